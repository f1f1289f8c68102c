package credentials

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
)

const (
	defaultAppRole     = "approle"
	defaultJWT         = "jwt"
	defaultCertificate = "cert"
)

// AppRole is https://developer.hashicorp.com/vault/docs/auth/approle. The files are read at each login.
type AppRole struct {
	Mount        string // "": approle
	RoleIDFile   string
	SecretIDFile string
}

// JWT is a login by a token that somebody else signs and keeps fresh in a file, which is read at each login: an OpenID provider's
// (https://developer.hashicorp.com/vault/docs/auth/jwt) or the service account's of a Kubernetes pod, which Vault asks the cluster about
// (https://developer.hashicorp.com/vault/docs/auth/kubernetes). To Vault's clients both are the same.
type JWT struct {
	Mount     string // "": jwt
	Role      string // in Vault; "": the mount's default
	TokenFile string
}

// Certificate is https://developer.hashicorp.com/vault/docs/auth/cert. The files are read at each handshake.
type Certificate struct {
	Mount           string // "": cert
	Role            string // in Vault; "": whichever the certificate fits
	CertificateFile string // PEM, the leaf first
	KeyFile         string
}

// method is how the gateway obtains a token of its own. A token that it was given has none.
func (c *VaultConfig) method() func(context.Context, *api.Client) (*api.Secret, error) {
	switch {
	case c.AppRole.RoleIDFile != "":
		return c.AppRole.login
	case c.JWT.TokenFile != "":
		return c.JWT.login
	case c.Certificate.CertificateFile != "":
		return c.Certificate.login
	}
	return nil
}

// obtain reads the token, or logs in for one.
func (v *Vault) obtain(ctx context.Context) (string, error) {
	login := v.cfg.method()
	switch {
	case login != nil:
	case v.cfg.Token != "":
		return v.cfg.Token, nil
	default:
		return readSecret(v.cfg.TokenFile)
	}
	client, err := v.client("")
	if err != nil {
		return "", err
	}
	if v.cfg.Certificate.CertificateFile != "" {
		v.http.CloseIdleConnections() // they have shown the certificate that was there when they were opened
	}
	secret, err := login(ctx, client)
	switch {
	case err != nil:
		return "", err
	case secret == nil || secret.Auth == nil || secret.Auth.ClientToken == "":
		return "", errMalformed
	}
	return secret.Auth.ClientToken, nil
}

func (a AppRole) login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	roleID, err := readSecret(a.RoleIDFile)
	if err != nil {
		return nil, err
	}
	secretID, err := readSecret(a.SecretIDFile)
	if err != nil {
		return nil, err
	}
	method, err := approle.NewAppRoleAuth(roleID, &approle.SecretID{FromString: secretID}, approle.WithMountPath(a.Mount))
	if err != nil {
		return nil, errors.New("prepare AppRole login: failed")
	}
	return method.Login(ctx, client)
}

func (j JWT) login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	token, err := readSecret(j.TokenFile)
	if err != nil {
		return nil, err
	}
	secret, err := client.Logical().WriteWithContext(ctx, "auth/"+j.Mount+"/login", map[string]any{"role": j.Role, "jwt": token})
	if err != nil {
		return nil, classify("log in", err, token) // here, where what must not be repeated is known
	}
	return secret, nil
}

func (c Certificate) login(ctx context.Context, client *api.Client) (*api.Secret, error) {
	return client.Logical().WriteWithContext(ctx, "auth/"+c.Mount+"/login", map[string]any{"name": c.Role})
}

// load is a tls.Config's GetClientCertificate: a certificate that was renewed is shown from the next connection on.
func (c Certificate) load(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.CertificateFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load the certificate for vault: %w", err)
	}
	return &pair, nil
}
