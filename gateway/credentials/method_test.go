package credentials

import (
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/certs"
)

// TestJWTIsNotRepeated: Vault may quote the token that it refuses, and the error must not.
func TestJWTIsNotRepeated(t *testing.T) {
	const token = "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"
	fake := newFakeVault()
	var got map[string]any
	fake.fault = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/auth/kubernetes/login" {
			return false
		}
		_ = json.NewDecoder(r.Body).Decode(&got)
		refuse(w, 403, "cannot verify "+token)
		return true
	}
	cfg := func(t *testing.T) VaultConfig {
		return VaultConfig{Address: "https://vault.test", JWT: JWT{Mount: "kubernetes", Role: "gateway", TokenFile: secretFile(t, token+"\n")}}
	}
	bubble(t, cfg, fake, func(t *testing.T, v *Vault) {
		err := v.Ready()
		if kindOfError(t, err) != Refused || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "cannot verify") {
			t.Errorf("Ready: %v", err)
		}
	})
	if got["role"] != "gateway" || got["jwt"] != token {
		t.Errorf("Vault was sent %v", got)
	}
	if strings.Contains(fake.logs.String(), token) {
		t.Errorf("the log repeats the token:\n%s", fake.logs.String())
	}
}

// TestCertificateIsReadAgain: one that was renewed is shown at the next connection.
func TestCertificateIsReadAgain(t *testing.T) {
	authority, err := certs.New("gateways")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	renew := func(name string) {
		t.Helper()
		if err := authority.WriteFiles(dir, "gateway", certs.Request{CommonName: name, Client: true}); err != nil {
			t.Fatal(err)
		}
	}
	shown := make(chan string, 8)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/auth/cert/login") {
			shown <- r.TLS.PeerCertificates[0].Subject.CommonName
			answer(w, map[string]any{"auth": map[string]any{"client_token": "hvs.by-certificate"}})
			return
		}
		answer(w, map[string]any{"data": map[string]any{"ttl": 60}})
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	renew("first")
	v, err := NewVault(VaultConfig{Address: server.URL, CAFile: authorityFile(t, server), Certificate: Certificate{
		CertificateFile: filepath.Join(dir, "gateway.crt"), KeyFile: filepath.Join(dir, "gateway.key"),
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer v.http.CloseIdleConnections()
	for _, name := range []string{"first", "second"} {
		renew(name)
		l, err := v.logIn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := <-shown; got != name || !l.own {
			t.Errorf("Vault was shown %q, want %q; own = %t", got, name, l.own)
		}
	}
}

// TestServerName: Vault may have another name than its address, as behind a tunnel.
func TestServerName(t *testing.T) {
	authority, err := certs.New("vaults")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := authority.WriteFiles(dir, "vault", certs.Request{CommonName: "vault", DNSNames: []string{"vault.example.com"}, Server: true}); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "vault.crt"), filepath.Join(dir, "vault.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"data": map[string]any{"ttl": 60}})
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	for name, works := range map[string]bool{"vault.example.com": true, "other.example.com": false, "": false} {
		cfg := VaultConfig{Address: server.URL, Token: rootToken, ServerName: name, CAFile: secretFile(t, string(authority.CertPEM()))}
		v, err := NewVault(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.logIn(t.Context()); (err == nil) != works {
			t.Errorf("as %q: %v", name, err)
		}
		v.http.CloseIdleConnections()
	}
}
