package credentials

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/vault/api"
)

const (
	// maxResponse is a thousand times what a credential needs.
	maxResponse = 1 << 20
	// maxIdle keeps as many connections as a burst of logins uses.
	maxIdle         = 16
	idleTimeout     = 90 * time.Second
	dialTimeout     = 5 * time.Second
	keepAlivePeriod = 30 * time.Second
)

// newTransport verifies Vault with TLS 1.2 or later, and knows no proxy.
func newTransport(cfg VaultConfig) (http.RoundTripper, error) {
	secured := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cfg.ServerName}
	if cfg.Certificate.CertificateFile != "" {
		if _, err := cfg.Certificate.load(nil); err != nil {
			return nil, err
		}
		secured.GetClientCertificate = cfg.Certificate.load
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		secured.RootCAs = x509.NewCertPool()
		if !secured.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read CA file %s: no certificate in it", cfg.CAFile)
		}
	}
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlivePeriod}).DialContext,
		TLSClientConfig:     secured,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout:     idleTimeout,
		ForceAttemptHTTP2:   true,
	}, nil
}

// bounded limits what an answer may be. The library takes every status below 400 for success, and would take a redirect that is not
// followed for a revocation that was done; to follow it is to hand the token to whoever it names.
type bounded struct {
	next http.RoundTripper
}

var (
	errRedirect = errors.New("vault answered with a redirect, which is not followed")
	errTooLarge = errors.New("vault's answer is too large")
)

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 200 || response.StatusCode >= 300 && response.StatusCode < 400 {
		_ = response.Body.Close()
		return nil, errRedirect
	}
	response.Body = &boundedBody{body: response.Body, left: maxResponse}
	return response, nil
}

// CloseIdleConnections is what http.Client looks for.
func (b bounded) CloseIdleConnections() {
	if closer, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

type boundedBody struct {
	body io.ReadCloser
	left int
}

// Read fails, where an io.LimitReader would pretend that the answer ends.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.body.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func (b *boundedBody) Close() error { return b.body.Close() }

// client makes an API client for one token, "" for none. The library fills what it can from VAULT_* variables; all of that is
// overwritten. It does not try again by itself: its callers have deadlines.
func (v *Vault) client(token string) (*api.Client, error) {
	client, err := api.NewClient(&api.Config{
		Address:          v.cfg.Address,
		HttpClient:       v.http,
		Timeout:          v.cfg.Timeout,
		DisableRedirects: true,
	})
	if err != nil {
		return nil, fmt.Errorf("make API client: %w", err)
	}
	client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}})
	if v.cfg.Namespace != "" {
		client.SetNamespace(v.cfg.Namespace)
	}
	client.SetToken(token)
	return client, nil
}
