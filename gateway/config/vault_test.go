package config

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/credentials"
)

const smallVault = `vault: {address: "http://127.0.0.1:8200", auth: {method: token, token_file: token}}`

func withVault(vault string) string { return strings.Replace(small, smallVault, vault, 1) }

func TestVault(t *testing.T) {
	const address = "https://vault.example.com:8200"
	environ := []string{
		"VAULT_ADDR=" + address, "VAULT_NAMESPACE=team", "VAULT_CACERT=/run/ca", "VAULT_TLS_SERVER_NAME=vault", "VAULT_TOKEN=hvs.x",
		"VAULT_CLIENT_CERT=/run/crt", "VAULT_CLIENT_KEY=/run/key",
	}
	surroundings := credentials.VaultConfig{Address: address, Namespace: "team", CAFile: "/run/ca", ServerName: "vault", Mount: "database", Ahead: 2}
	from := func(base credentials.VaultConfig, change func(*credentials.VaultConfig)) credentials.VaultConfig {
		change(&base)
		return base
	}
	for name, test := range map[string]struct {
		vault   string
		environ []string
		want    credentials.VaultConfig
	}{
		"kubernetes": {
			`vault: {address: "` + address + `", auth: {method: kubernetes, role: gateway}}`, nil,
			credentials.VaultConfig{Address: address, Mount: "database", Ahead: 2, JWT: credentials.JWT{
				Mount: "kubernetes", Role: "gateway", TokenFile: serviceAccountToken,
			}},
		},
		"jwt": {
			`vault: {address: "` + address + `", auth: {method: jwt, mount: ci, role: gateway, token_file: /run/jwt}}`, nil,
			credentials.VaultConfig{Address: address, Mount: "database", Ahead: 2, JWT: credentials.JWT{Mount: "ci", Role: "gateway", TokenFile: "/run/jwt"}},
		},
		"certificate from the environment": {
			`vault: {auth: {method: cert}}`, environ,
			from(surroundings, func(c *credentials.VaultConfig) {
				c.Certificate = credentials.Certificate{Mount: "cert", CertificateFile: "/run/crt", KeyFile: "/run/key"}
			}),
		},
		"token from the environment": {
			`vault: {auth: {method: token}}`, environ,
			from(surroundings, func(c *credentials.VaultConfig) { c.Token = "hvs.x" }),
		},
		"the file comes first": {
			`vault: {address: "https://other.example.com", namespace: "", ca_file: /etc/ca, server_name: other, auth: {method: token, token_file: /etc/token}}`, environ,
			credentials.VaultConfig{Address: "https://other.example.com", CAFile: "/etc/ca", ServerName: "other", Mount: "database", Ahead: 2, TokenFile: "/etc/token"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, withVault(test.vault), test.environ...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, c.Vault); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVaultProblems(t *testing.T) {
	for name, test := range map[string]struct {
		vault, environ, want string
	}{
		"verification turned off": {smallVault, "VAULT_SKIP_VERIFY=1", "always verified"},
		"an address in the clear": {`vault: {auth: {method: token, token_file: t}}`, "VAULT_ADDR=http://vault.example.com", "comes from VAULT_ADDR and is not https"},
		"no address":              {`vault: {auth: {method: token, token_file: t}}`, "", "or the variable VAULT_ADDR"},
		"no role":                 {`vault: {address: "https://v", auth: {method: kubernetes}}`, "", "vault.auth.role: is missing"},
		"no token":                {`vault: {address: "https://v", auth: {method: jwt}}`, "", "vault.auth.token_file: is missing"},
		"no certificate":          {`vault: {address: "https://v", auth: {method: cert, key: k}}`, "", "vault.auth.certificate: is missing"},
		"another method's key":    {`vault: {address: "https://v", auth: {method: cert, certificate: c, key: k, role_id_file: r}}`, "", "is not a key that exists here"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, withVault(test.vault), test.environ)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestVaultFilesOfTheEnvironment: a relative path there is relative to where the gateway was started, not to the file.
func TestVaultFilesOfTheEnvironment(t *testing.T) {
	c, err := load(t, small, "VAULT_CACERT=ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := filepath.Abs("ca.pem"); c.Vault.CAFile != want {
		t.Errorf("%s, want %s", c.Vault.CAFile, want)
	}
}
