package credentials

import (
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVaultConfig(t *testing.T) {
	const address, token = "https://vault.test:8200", "hvs.x"
	for name, test := range map[string]struct {
		cfg  VaultConfig
		want string // "": accepted
	}{
		"token":                    {VaultConfig{Address: address, Token: token}, ""},
		"token file":               {VaultConfig{Address: address, TokenFile: "t"}, ""},
		"approle":                  {VaultConfig{Address: address, AppRole: AppRole{RoleIDFile: "r", SecretIDFile: "s"}}, ""},
		"a path":                   {VaultConfig{Address: address + "/vault", Token: token, Mount: "teams/database-1"}, ""},
		"http to this host":        {VaultConfig{Address: "http://127.0.0.1:8200", Token: token}, ""},
		"http to this host, six":   {VaultConfig{Address: "http://[::1]:8200", Token: token}, ""},
		"http by its name":         {VaultConfig{Address: "http://localhost:8200", Token: token}, ""},
		"http insecurely":          {VaultConfig{Address: "http://vault.test:8200", Token: token, InsecurePlaintext: true}, ""},
		"http to another":          {VaultConfig{Address: "http://vault.test:8200", Token: token}, "use https"},
		"http to a lookalike":      {VaultConfig{Address: "http://localhost.evil.test", Token: token}, "use https"},
		"no way in":                {VaultConfig{Address: address}, "exactly one"},
		"two ways in":              {VaultConfig{Address: address, Token: token, TokenFile: "t"}, "exactly one"},
		"token and half a role":    {VaultConfig{Address: address, Token: token, AppRole: AppRole{SecretIDFile: "s"}}, "exactly one"},
		"half a role":              {VaultConfig{Address: address, AppRole: AppRole{RoleIDFile: "r"}}, "secret id file"},
		"jwt":                      {VaultConfig{Address: address, JWT: JWT{TokenFile: "t"}}, ""},
		"jwt and a token":          {VaultConfig{Address: address, Token: token, JWT: JWT{TokenFile: "t"}}, "exactly one"},
		"a JWT mount":              {VaultConfig{Address: address, JWT: JWT{TokenFile: "t", Mount: "../sys"}}, "the mount"},
		"half a certificate":       {VaultConfig{Address: address, Certificate: Certificate{KeyFile: "k"}}, "its certificate file"},
		"no certificate there":     {VaultConfig{Address: address, Certificate: Certificate{CertificateFile: "/nonexistent", KeyFile: "k"}}, "load the certificate"},
		"no address":               {VaultConfig{Token: token}, "not a URL"},
		"no scheme":                {VaultConfig{Address: "vault.test:8200", Token: token}, "not a URL"},
		"a unix socket":            {VaultConfig{Address: "unix:///run/vault", Token: token}, "not a URL"},
		"another scheme":           {VaultConfig{Address: "ftp://vault.test", Token: token}, "not https"},
		"a password in it":         {VaultConfig{Address: "https://u:hunter2@vault.test", Token: token}, "more than scheme"},
		"a query":                  {VaultConfig{Address: address + "?a=b", Token: token}, "more than scheme"},
		"malformed, with password": {VaultConfig{Address: "https://u:hunter2@vault test", Token: token}, "not a URL"},
		"a mount that climbs":      {VaultConfig{Address: address, Token: token, Mount: "database/../sys"}, "the mount"},
		"a mount with a slash":     {VaultConfig{Address: address, Token: token, Mount: "/database"}, "the mount"},
		"an AppRole mount":         {VaultConfig{Address: address, Token: token, AppRole: AppRole{Mount: "a?b"}}, "the mount"},
		"a namespace":              {VaultConfig{Address: address, Token: token, Namespace: "/team-a/sub/"}, ""},
		"a namespace of two words": {VaultConfig{Address: address, Token: token, Namespace: "team a"}, "the namespace"},
		"a namespace's line":       {VaultConfig{Address: address, Token: token, Namespace: "team-a\nX-Vault-Token: x"}, "the namespace"},
		"a namespace with a gap":   {VaultConfig{Address: address, Token: token, Namespace: "team-a//sub"}, "the namespace"},
		"a namespace that climbs":  {VaultConfig{Address: address, Token: token, Namespace: "team-a/.."}, "the namespace"},
		"no namespace's name":      {VaultConfig{Address: address, Token: token, Namespace: "/"}, "the namespace"},
		"no CA file":               {VaultConfig{Address: address, Token: token, CAFile: "/nonexistent"}, "read CA file"},
		"a CA file without any":    {VaultConfig{Address: address, Token: token, CAFile: os.Args[0]}, "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewVault(test.cfg, slog.New(slog.DiscardHandler))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("NewVault: got %v, want %q", err, test.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), token)) {
				t.Errorf("the error contains a secret: %v", err)
			}
		})
	}
}

// TestRequestIgnoresEnvironment: what the library would take from VAULT_* does not reach Vault.
func TestRequestIgnoresEnvironment(t *testing.T) {
	var got *http.Request
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		answer(w, map[string]any{"data": map[string]any{"ttl": 60}})
	}))
	defer server.Close()
	for name, value := range map[string]string{
		"VAULT_TOKEN": "hvs.environment", "VAULT_NAMESPACE": "environment", "VAULT_ADDR": "https://environment.test",
		"VAULT_AGENT_ADDR": "https://environment.test", "VAULT_HEADERS": `{"X-Environment":"1"}`, "VAULT_SKIP_VERIFY": "true",
		"HTTPS_PROXY": "http://environment.test", "VAULT_PROXY_ADDR": "http://environment.test", "VAULT_MAX_RETRIES": "9",
	} {
		t.Setenv(name, value)
	}
	cfg := VaultConfig{Address: server.URL, Token: rootToken, Namespace: "/team", CAFile: authorityFile(t, server)}
	v, err := NewVault(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer v.http.CloseIdleConnections()
	if _, err := v.logIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"X-Vault-Token": rootToken, "X-Vault-Namespace": "team/", "X-Environment": "", "X-Vault-Request": "true"}
	for name, value := range want {
		if got.Header.Get(name) != value {
			t.Errorf("%s = %q, want %q", name, got.Header.Get(name), value)
		}
	}
}

// authorityFile writes a test server's certificate.
func authorityFile(t *testing.T, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTransportVerifies(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	v, err := NewVault(VaultConfig{Address: server.URL, Token: rootToken}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.logIn(t.Context())
	if kindOfError(t, err) != Unavailable || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("logIn: %v", err)
	}
}

// TestRedirectIsNotFollowed: it would carry the token along.
func TestRedirectIsNotFollowed(t *testing.T) {
	followed := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	v, err := NewVault(VaultConfig{Address: server.URL, Token: rootToken}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer v.http.CloseIdleConnections()
	if _, err = v.logIn(t.Context()); kindOfError(t, err) != Unavailable || followed {
		t.Errorf("logIn: %v, followed %v", err, followed)
	}
}

func TestReadSecret(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want string // "": refused
	}{
		"a word":         {"hvs.x", "hvs.x"},
		"and a line end": {"hvs.x\r\n", "hvs.x"},
		"empty":          {"", ""},
		"blank":          {" \n", ""},
		"two words":      {"hvs.x hvs.y", ""},
		"two lines":      {"hvs.x\nhvs.y\n", ""},
		"NUL":            {"hvs.\x00x", ""},
		"too long":       {strings.Repeat("x", maxSecretFile+1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readSecret(secretFile(t, test.text))
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("readSecret = %q, %v; want %q", got, err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "hvs.") {
				t.Errorf("the error contains the secret: %v", err)
			}
		})
	}
	if _, err := readSecret("/nonexistent"); err == nil {
		t.Error("a missing file was read")
	}
}
