package credentials

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// PKIConfig is a role of Vault's PKI engine (https://developer.hashicorp.com/vault/docs/secrets/pki).
type PKIConfig struct {
	Mount  string
	Role   string
	Revoke bool // certificates are revoked when their session has ended
}

// PKI gives each session a certificate of its own for a database user that is there already, by which the backend knows it (cert in
// pg_hba.conf). The private key is made here and goes nowhere: Vault signs a request. A certificate cannot be renewed; the session ends
// before it does.
type PKI struct {
	vault *Vault
	cfg   PKIConfig
}

// PKI is the engine's role.
func (v *Vault) PKI(cfg PKIConfig) *PKI { return &PKI{v, cfg} }

// Take is Issue for a session that waits, but not for longer than patience: it gets a certificate that was issued ahead if there is one.
func (p *PKI) Take(ctx context.Context, user string) (Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.vault.ahead.obtain(ctx, p.name(user))
}

// Issue has Vault sign a certificate whose common name is the user's (POST <mount>/sign/<role>). Errors are *Error.
func (p *PKI) Issue(ctx context.Context, user string) (Lease, error) {
	if !ValidPath(p.cfg.Mount) || !segment.MatchString(p.cfg.Role) {
		return Lease{}, pkiError(Refused, errors.New("that is no mount or no role"))
	}
	return p.vault.get(ctx, p.name(user), func(ctx context.Context, l *login) (Lease, error) { return p.sign(ctx, l, user) })
}

// Renew is impossible.
func (p *PKI) Renew(context.Context, Lease) (Lease, error) {
	return Lease{}, &Error{Source: SourceVaultPKI, Kind: Refused, Op: "renew lease", Err: errors.New("a certificate cannot be renewed")}
}

// Revoker revokes certificates in the background while the Vault runs.
func (p *PKI) Revoker() *Revoker { return p.vault.revoker }

func pkiError(kind Kind, err error) error {
	return &Error{Source: SourceVaultPKI, Kind: kind, Op: opIssue, Err: err}
}

// pkiPrefix cannot begin a lease id or a role's name: no path has a colon.
const pkiPrefix = "pki:"

// name tells the user's certificates from everything else that Vault is asked for.
func (p *PKI) name(user string) string {
	return pkiPrefix + strings.Join([]string{p.cfg.Mount, p.cfg.Role, strconv.FormatBool(p.cfg.Revoke), user}, ":")
}

// pkiOf is what a name stands for.
func (v *Vault) pkiOf(name string) (p *PKI, user string, ok bool) {
	rest, ok := strings.CutPrefix(name, pkiPrefix)
	parts := strings.SplitN(rest, ":", 4)
	if !ok || len(parts) != 4 {
		return nil, "", false
	}
	return v.PKI(PKIConfig{Mount: parts[0], Role: parts[1], Revoke: parts[2] == strconv.FormatBool(true)}), parts[3], true
}

// certificateOf is the certificate that a lease id stands for; other leases are Vault's own.
func certificateOf(id string) (mount, serial string, ok bool) {
	rest, ok := strings.CutPrefix(id, pkiPrefix)
	if ok {
		mount, serial, ok = strings.Cut(rest, ":")
	}
	return mount, serial, ok
}

// sign has a certificate made for a fresh key.
func (p *PKI) sign(ctx context.Context, l *login, user string) (Lease, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Lease{}, pkiError(Unavailable, err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: user}}, key)
	if err != nil {
		return Lease{}, pkiError(Refused, err)
	}
	started := time.Now()
	secret, err := p.vault.call(ctx, opIssue, l, func(client *api.Client) (*api.Secret, error) {
		return client.Logical().WriteWithContext(ctx, p.cfg.Mount+"/sign/"+p.cfg.Role, map[string]any{
			"csr":         string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})),
			"common_name": user, "exclude_cn_from_sans": true, "format": "pem",
		})
	})
	if err != nil {
		return Lease{}, err
	}
	if secret == nil {
		return Lease{}, pkiError(Refused, errors.New("nothing there"))
	}
	return p.lease(l, secret, key, user, started)
}

// lease makes a lease of Vault's answer. If the role makes leases, Vault revokes what its own lease says, as it does with a role.
func (p *PKI) lease(l *login, secret *api.Secret, key *ecdsa.PrivateKey, user string, started time.Time) (Lease, error) {
	lease := Lease{Source: SourceVaultPKI, Username: user}
	serial, _ := secret.Data["serial_number"].(string)
	switch {
	case secret.LeaseID != "":
		lease.ID, lease.parent = secret.LeaseID, l
	case p.cfg.Revoke && serial != "":
		lease.ID = pkiPrefix + p.cfg.Mount + ":" + serial
	}
	pair, err := readPair(secret.Data, key)
	if err == nil {
		err = fitsUser(pair.Leaf, user, started)
	}
	if err == nil && p.cfg.Revoke && lease.ID == "" {
		err = errors.New("there is no serial number in the answer, by which the certificate would be revoked")
	}
	if err == nil && lease.ID != "" {
		err = p.vault.ledger.remember(p.name(user), lease, started)
	}
	if err != nil {
		p.vault.giveBack(lease)
		return Lease{}, pkiError(Refused, err)
	}
	lease.Certificate, lease.Expires, lease.MaxExpires = pair, pair.Leaf.NotAfter, pair.Leaf.NotAfter
	lease.ttl = lease.Expires.Sub(started)
	return p.vault.capped(lease), nil
}

// readPair is the certificate in an answer, with those of who signed it.
func readPair(data map[string]any, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
	text, _ := data["certificate"].(string)
	texts := []string{text}
	chain, _ := data["ca_chain"].([]any)
	for _, one := range chain {
		text, _ := one.(string)
		texts = append(texts, text)
	}
	pair := &tls.Certificate{PrivateKey: key}
	for _, text := range texts {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, errMalformed
		}
		pair.Certificate = append(pair.Certificate, block.Bytes)
	}
	var err error
	if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	if !key.PublicKey.Equal(pair.Leaf.PublicKey) {
		return nil, errors.New("the certificate is for another key")
	}
	return pair, nil
}

// fitsUser refuses a certificate that the backend would refuse, or take for somebody else's.
func fitsUser(leaf *x509.Certificate, user string, now time.Time) error {
	forClients := len(leaf.ExtKeyUsage) == 0
	for _, usage := range leaf.ExtKeyUsage {
		forClients = forClients || usage == x509.ExtKeyUsageClientAuth || usage == x509.ExtKeyUsageAny
	}
	switch {
	case leaf.Subject.CommonName != user:
		return fmt.Errorf("the certificate's common name is %q, not %q", leaf.Subject.CommonName, user)
	case !forClients:
		return errors.New("the certificate is not for clients: the role needs client_flag")
	case !leaf.NotAfter.After(now):
		return errors.New("the certificate has ended already")
	}
	return nil
}

// revokeCertificate revokes one (POST <mount>/revoke). One that is revoked already is success.
func (v *Vault) revokeCertificate(ctx context.Context, l *login, mount, serial string) error {
	_, err := v.call(ctx, "revoke certificate", l, func(client *api.Client) (*api.Secret, error) {
		return client.Logical().WriteWithContext(ctx, mount+"/revoke", map[string]any{"serial_number": serial})
	})
	return err
}
