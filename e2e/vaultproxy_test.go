package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/sallyport/sallyport/e2e/stack"
)

// vaultProxy stands between a gateway and a real Vault. It counts what the gateway asks for, and fails as a test wants.
type vaultProxy struct {
	*httptest.Server

	mu    sync.Mutex
	asked []string                                                 // method and path, in order
	fault func(w http.ResponseWriter, r *http.Request) (done bool) // asked first; nil: none
	after func(r *http.Request)                                    // when Vault has answered and the gateway has not heard it; nil: nothing
}

// proxyVault starts one. Its address is plain HTTP on this machine.
func proxyVault(t *testing.T, vault *stack.Vault) *vaultProxy {
	t.Helper()
	address, err := url.Parse(vault.Address)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	if vault.CAFile != "" {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(read(t, vault.CAFile)))
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	p := &vaultProxy{}
	onward := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(address) },
		ModifyResponse: func(response *http.Response) error {
			p.mu.Lock()
			after := p.after
			p.mu.Unlock()
			if after != nil {
				after(response.Request)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Method+" "+r.URL.Path)
		fault := p.fault
		p.mu.Unlock()
		if fault == nil || !fault(w, r) {
			onward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		p.Close()
		transport.CloseIdleConnections()
	})
	return p
}

func (p *vaultProxy) setFault(fault func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = fault
}

func (p *vaultProxy) setAfter(after func(*http.Request)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = after
}

// count is how often a path, or one that it is the end of, was asked for.
func (p *vaultProxy) count(path string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, request := range p.asked {
		if strings.HasSuffix(request, path) {
			n++
		}
	}
	return n
}

// secureVault is a Vault that no other test knows.
func secureVault(t *testing.T) *stack.Vault {
	t.Helper()
	vault, err := shared.services.SecureVault(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vault.Stop(); err != nil {
			t.Error(err)
		}
	})
	return vault
}

// enginesPolicy is what a gateway needs of the engines besides dynamic roles.
const enginesPolicy = `
path "database/static-creds/app-reader" { capabilities = ["read"] }
path "secret/data/app/*"                { capabilities = ["read"] }
path "pki/sign/app"                     { capabilities = ["update"] }
path "pki/revoke"                       { capabilities = ["update"] }
`

// asking has a gateway ask a Vault, directly or by way of a proxy, with a token that is given to it.
func asking(t *testing.T, vault *stack.Vault, address string) func(*stack.GatewayConfig) {
	t.Helper()
	if err := vault.Client.Sys().PutPolicyWithContext(t.Context(), "engines", enginesPolicy); err != nil {
		t.Fatal(err)
	}
	secret, err := vault.Client.Auth().Token().CreateWithContext(t.Context(), &api.TokenCreateRequest{
		Policies: []string{"gateway", "engines"}, Period: "10m", NoParent: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	file := secretFile(t, secret.Auth.ClientToken)
	return func(c *stack.GatewayConfig) {
		c.Vault.Address = address
		if address == vault.Address {
			c.Vault.CAFile = vault.CAFile
		}
		c.Vault.Auth = stack.VaultAuth{Method: "token", TokenFile: file}
	}
}

// auditSays waits until the last line of a type has something in it: lines are written a moment after what they tell of.
func auditSays(t *testing.T, g *stack.Gateway, kind, account, what string) {
	t.Helper()
	eventually(t, 5*time.Second, func() error {
		if line := auditLine(t, g, kind, account); !strings.Contains(line, what) {
			return fmt.Errorf("the audit log says %s", line)
		}
		return nil
	})
}

// auditLine is the last line of a gateway's audit log of a type, of sessions that came as the account.
func auditLine(t *testing.T, g *stack.Gateway, kind, account string) string {
	t.Helper()
	text, err := os.ReadFile(g.Audit)
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for line := range strings.Lines(string(text)) {
		if strings.Contains(line, `"type":"`+kind+`"`) && strings.Contains(line, `user":"`+account+`"`) {
			found = line
		}
	}
	return found
}
