package config

import (
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/gateway/credentials"
)

// serviceAccountToken is where Kubernetes mounts a pod's token.
const serviceAccountToken = "/var/run/secrets/kubernetes.io/serviceaccount/token" // #nosec G101 -- a path

// defaultAhead is two logins at once without a wait. maxAhead bounds the roles that lie ready and are not used.
const (
	defaultAhead = 2
	maxAhead     = 64
)

// vaultVariables are those of Vault's own clients that fill in for keys which the file leaves out
// (https://developer.hashicorp.com/vault/docs/commands#environment-variables). The file comes first: a variable that is left over in
// somebody's shell must not send the gateway elsewhere.
var vaultVariables = [...]string{
	"VAULT_ADDR", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_TLS_SERVER_NAME", "VAULT_TOKEN", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY",
	"VAULT_SKIP_VERIFY",
}

func (d *document) vaultEnvironment(name, value string) {
	if slices.Contains(vaultVariables[:], name) {
		d.environ[name] = value
	}
}

// textOr is text, which the environment may fill in for.
func (s *section) textOr(key, variable, otherwise string) string {
	if value := s.d.environ[variable]; value != "" {
		otherwise = value
	}
	return s.text(key, otherwise)
}

// fileOr is a file, which the environment may fill in for. There, relative paths are relative to where the gateway was started.
func (s *section) fileOr(key, variable string) string {
	if path := s.file(key, ""); path != "" || s.has(key) {
		return path
	}
	path := s.d.environ[variable]
	if absolute, err := filepath.Abs(path); err == nil && path != "" {
		return absolute
	}
	return path
}

func (c *Config) readVault(s *section) {
	c.Vault = credentials.VaultConfig{
		Address:           s.textOr("address", "VAULT_ADDR", ""),
		CAFile:            s.fileOr("ca_file", "VAULT_CACERT"),
		ServerName:        s.textOr("server_name", "VAULT_TLS_SERVER_NAME", ""),
		Namespace:         s.textOr("namespace", "VAULT_NAMESPACE", ""),
		Mount:             s.text("mount", "database"),
		InsecurePlaintext: s.boolean("insecure_http"),
		JournalFile:       s.file("journal_file", ""),
		Ahead:             s.number("ahead", defaultAhead, 0, maxAhead),
	}
	c.reads("vault.ca_file", c.Vault.CAFile)
	c.writes("vault.journal_file", c.Vault.JournalFile)
	if c.Vault.Address == "" {
		s.required("address", "Vault's URL, for example https://vault.example.com:8200, or the variable VAULT_ADDR")
	} else {
		c.checkVaultAddress(s)
	}
	if skip, err := strconv.ParseBool(s.d.environ["VAULT_SKIP_VERIFY"]); err == nil && skip {
		s.d.problem(s.line, s.path, "VAULT_SKIP_VERIFY is set, but Vault's certificate is always verified: unset it, and set vault.ca_file")
	}
	c.readVaultAuth(s.section("auth"))
	s.done()
}

func (c *Config) checkVaultAddress(s *section) {
	u, err := url.Parse(c.Vault.Address)
	wrong := ""
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http":
		wrong = "is not a URL like https://vault.example.com:8200"
	case u.Scheme == "http" && !c.Vault.InsecurePlaintext && !isLoopback(net.JoinHostPort(u.Hostname(), "0")):
		wrong = "is not https and not on this machine: passwords would cross the network in the clear; set insecure_http: true when something else encrypts it"
	default:
		return
	}
	if s.has("address") {
		s.at("address").problem("%s", wrong)
		return
	}
	s.d.problem(s.line, s.pathOf("address"), "comes from VAULT_ADDR and %s", wrong)
}

func (c *Config) readVaultAuth(s *section) {
	methods := []string{"token", "approle", "kubernetes", "jwt", "cert"}
	method := s.oneOf("method", "", methods...)
	s.missing("method", "one of "+strings.Join(methods, ", "))
	switch method {
	case "token":
		c.readVaultToken(s)
	case "approle":
		a := &c.Vault.AppRole
		a.RoleIDFile = s.requiredFile("role_id_file", "SALLYPORT_VAULT_ROLE_ID_FILE", "the file with the role id")
		a.SecretIDFile = s.requiredFile("secret_id_file", "SALLYPORT_VAULT_SECRET_ID_FILE", "the file with the secret id")
		a.Mount = s.text("mount", "approle")
		c.readsSecret("vault.auth.role_id_file", a.RoleIDFile)
		c.readsSecret("vault.auth.secret_id_file", a.SecretIDFile)
	case "kubernetes":
		c.Vault.JWT = credentials.JWT{
			Mount: s.text("mount", "kubernetes"), Role: s.required("role", "Vault's role for the gateway's service account"),
			TokenFile: s.file("token_file", ""),
		}
		if c.Vault.JWT.TokenFile == "" {
			c.Vault.JWT.TokenFile = serviceAccountToken
		}
		c.reads("vault.auth.token_file", c.Vault.JWT.TokenFile) // Kubernetes lets the whole pod read it
	case "jwt":
		c.Vault.JWT = credentials.JWT{
			Mount: s.text("mount", "jwt"), Role: s.text("role", ""),
			TokenFile: s.requiredFile("token_file", "", "the file with the signed token that Vault is shown"),
		}
		c.readsSecret("vault.auth.token_file", c.Vault.JWT.TokenFile)
	case "cert":
		c.readVaultCertificate(s)
	default:
		return // what else is set cannot be judged
	}
	s.done()
}

func (c *Config) readVaultToken(s *section) {
	c.Vault.TokenFile = s.file("token_file", "SALLYPORT_VAULT_TOKEN_FILE")
	if c.Vault.TokenFile == "" && !s.has("token_file") {
		c.Vault.Token = s.d.environ["VAULT_TOKEN"]
	}
	if c.Vault.Token == "" {
		c.Vault.TokenFile = s.requiredFile("token_file", "SALLYPORT_VAULT_TOKEN_FILE", "the file with the gateway's Vault token, or the variable VAULT_TOKEN")
		c.readsSecret("vault.auth.token_file", c.Vault.TokenFile)
	}
}

func (c *Config) readVaultCertificate(s *section) {
	c.Vault.Certificate = credentials.Certificate{
		Mount: s.text("mount", "cert"), Role: s.text("role", ""),
		CertificateFile: s.fileOr("certificate", "VAULT_CLIENT_CERT"), KeyFile: s.fileOr("key", "VAULT_CLIENT_KEY"),
	}
	if c.Vault.Certificate.CertificateFile == "" {
		s.requiredFile("certificate", "", "the certificate that the gateway shows Vault, or the variable VAULT_CLIENT_CERT")
	}
	if c.Vault.Certificate.KeyFile == "" {
		s.requiredFile("key", "", "the certificate's key, or the variable VAULT_CLIENT_KEY")
	}
	c.reads("vault.auth.certificate", c.Vault.Certificate.CertificateFile)
	c.readsSecret("vault.auth.key", c.Vault.Certificate.KeyFile)
}
