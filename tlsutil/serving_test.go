package tlsutil

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"path/filepath"
	"testing"

	"github.com/sallyport/sallyport/certs"
)

// newClientListener asks its clients for a certificate of authority.
func newClientListener(t *testing.T) (l *listener, authority *certs.Authority) {
	t.Helper()
	l, authority = newListener(t), newAuthority(t)
	l.cfg.ClientCA = filepath.Join(filepath.Dir(l.cfg.Certificate), "clients.crt")
	writeFile(t, l.cfg.ClientCA, authority.CertPEM())
	var err error
	if l.Reloader, err = NewReloader(l.cfg); err != nil {
		t.Fatal(err)
	}
	return l, authority
}

// trusting is a client that trusts the listener, and has a certificate of authority's if there is one.
func (l *listener) trusting(t *testing.T, authority *certs.Authority, request certs.Request) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(l.authority.CertPEM())
	config := &tls.Config{RootCAs: roots, ServerName: "gateway.test", MinVersion: tls.VersionTLS12}
	if authority != nil {
		certPEM, keyPEM, err := authority.Issue(request)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(certPEM, keyPEM)
		if err != nil {
			t.Fatal(err)
		}
		// Shown whether the server asked for one of this authority's or not.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config
}

// TestServingIsWhatClientsSee: the hash is of the certificate that this connection was served, though another is served by then.
func TestServingIsWhatClientsSee(t *testing.T) {
	l := newListener(t)
	first := l.Serving()
	l.renew(t)
	if err := l.Reload(); err != nil || l.Serving() == first {
		t.Fatalf("Reload: %v", err)
	}
	for name, serving := range map[string]*Serving{"before the reload": first, "after the reload": l.Serving()} {
		t.Run(name, func(t *testing.T) {
			state, err := handshake(t, serving.Config, l.trusting(t, nil, certs.Request{}))
			if err != nil {
				t.Fatal(err)
			}
			seen := state.PeerCertificates[0]
			want, err := ServerEndPoint(seen)
			if err != nil || !bytes.Equal(serving.EndPoint, want) || !serving.Leaf().Equal(seen) {
				t.Errorf("EndPoint = %x, client saw %x, %v", serving.EndPoint, want, err)
			}
		})
	}
	if bytes.Equal(first.EndPoint, l.Serving().EndPoint) {
		t.Error("two certificates with one hash")
	}
}

func TestClientCertificates(t *testing.T) {
	l, authority := newClientListener(t)
	ana := certs.Request{CommonName: "ana", Client: true}
	tests := map[string]struct {
		authority *certs.Authority
		request   certs.Request
		ok        bool
		chains    bool
	}{
		"good":                      {authority, ana, true, true},
		"none":                      {nil, certs.Request{}, true, false},
		"another authority's":       {newAuthority(t), ana, false, false},
		"the gateway's authority":   {l.authority, ana, false, false},
		"a server's":                {authority, certs.Request{CommonName: "ana", Server: true}, false, false},
		"one that has expired":      {authority, certs.Request{CommonName: "ana", Client: true, TTL: -1}, false, false},
		"good, for servers as well": {authority, certs.Request{CommonName: "ana", Client: true, Server: true}, true, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var chains [][]*x509.Certificate
			config := l.Serving().Config.Clone()
			config.VerifyConnection = func(state tls.ConnectionState) error {
				chains = state.VerifiedChains
				return nil
			}
			client := l.trusting(t, tt.authority, tt.request)
			client.MaxVersion = tls.VersionTLS12 // in TLS 1.3 the client is done before the server has looked
			if _, err := handshake(t, config, client); (err == nil) != tt.ok || (chains != nil) != tt.chains {
				t.Errorf("handshake: %v, %d chains", err, len(chains))
			}
		})
	}
}

// TestNoResumption: a resumed connection shows no certificate to bind to and checks none. TLS 1.2 gives its tickets in the handshake.
func TestNoResumption(t *testing.T) {
	l := newListener(t)
	client := l.trusting(t, nil, certs.Request{})
	client.MaxVersion = tls.VersionTLS12
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for range 2 {
		if state, err := handshake(t, l.Serving().Config, client); err != nil || state.DidResume {
			t.Errorf("handshake: %v, resumed %v", err, state.DidResume)
		}
	}
}

func TestReloadOfClientCA(t *testing.T) {
	l, authority := newClientListener(t)
	first := l.Serving()
	if err := l.Reload(); err != nil || l.Serving() != first {
		t.Fatalf("nothing changed: %v", err)
	}
	for name, text := range map[string][]byte{"empty": nil, "no PEM": []byte("x"), "a key": read(t, l.cfg.Key)} {
		t.Run(name, func(t *testing.T) {
			writeFile(t, l.cfg.ClientCA, text)
			if err := l.Reload(); err == nil || l.Serving() != first || l.Err() == nil {
				t.Errorf("Reload: %v", err)
			}
		})
	}
	remove(t, l.cfg.ClientCA)
	if err := l.Reload(); err == nil || l.Serving() != first {
		t.Errorf("removed: %v", err)
	}
	writeFile(t, l.cfg.ClientCA, newAuthority(t).CertPEM())
	if err := l.Reload(); err != nil || l.Serving() == first {
		t.Fatalf("another authority: %v", err)
	}
	client := l.trusting(t, authority, certs.Request{CommonName: "ana", Client: true})
	client.MaxVersion = tls.VersionTLS12
	if _, err := handshake(t, l.Serving().Config, client); err == nil {
		t.Error("the old authority's clients are still let in")
	}
}
