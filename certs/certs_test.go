package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	authority, err := New("test")
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func leaf(t *testing.T, authority *Authority, request Request) *x509.Certificate {
	t.Helper()
	certPEM, keyPEM, err := authority.Issue(request)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func TestIssue(t *testing.T) {
	authority := newAuthority(t)
	server := Request{CommonName: "gateway", DNSNames: []string{"gateway.test"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true}
	client := Request{CommonName: "ana", Client: true}
	expired := server
	expired.TTL = -time.Hour
	tests := map[string]struct {
		request Request
		name    string
		usage   x509.ExtKeyUsage
		other   bool // verified against another authority
		ok      bool
	}{
		"server":             {server, "gateway.test", x509.ExtKeyUsageServerAuth, false, true},
		"server by address":  {server, "127.0.0.1", x509.ExtKeyUsageServerAuth, false, true},
		"client":             {client, "", x509.ExtKeyUsageClientAuth, false, true},
		"other name":         {server, "evil.test", x509.ExtKeyUsageServerAuth, false, false},
		"common name":        {server, "gateway", x509.ExtKeyUsageServerAuth, false, false},
		"server as a client": {server, "", x509.ExtKeyUsageClientAuth, false, false},
		"client as a server": {client, "", x509.ExtKeyUsageServerAuth, false, false},
		"expired":            {expired, "gateway.test", x509.ExtKeyUsageServerAuth, false, false},
		"another authority":  {server, "gateway.test", x509.ExtKeyUsageServerAuth, true, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			trusted := authority
			if tt.other {
				trusted = newAuthority(t) // of the same name
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(trusted.CertPEM())
			_, err := leaf(t, authority, tt.request).Verify(x509.VerifyOptions{
				Roots: roots, DNSName: tt.name, KeyUsages: []x509.ExtKeyUsage{tt.usage},
			})
			if (err == nil) != tt.ok {
				t.Errorf("Verify = %v, want ok %v", err, tt.ok)
			}
		})
	}
}

func TestIssueBounds(t *testing.T) {
	authority := newAuthority(t)
	if _, _, err := authority.Issue(Request{CommonName: "x"}); err == nil {
		t.Error("a certificate for nothing was issued")
	}
	certificate := leaf(t, authority, Request{Server: true, TTL: 100 * authorityTTL})
	if certificate.NotAfter.After(authority.certificate.NotAfter) || certificate.IsCA {
		t.Errorf("leaf until %v, CA %v", certificate.NotAfter, certificate.IsCA)
	}
	if key, ok := certificate.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("key %T", certificate.PublicKey)
	}
	workload := &url.URL{Scheme: "spiffe", Host: "example.test", Path: "/batch"}
	if uris := leaf(t, authority, Request{Client: true, URIs: []*url.URL{workload}}).URIs; len(uris) != 1 || *uris[0] != *workload {
		t.Errorf("URIs %v, want %v", uris, workload)
	}
	if other := leaf(t, authority, Request{Server: true}); other.SerialNumber.Cmp(certificate.SerialNumber) == 0 {
		t.Error("two leaves share a serial number")
	}
}

func TestWriteFiles(t *testing.T) {
	authority, directory := newAuthority(t), t.TempDir()
	key := filepath.Join(directory, "gateway.key")
	if err := os.WriteFile(key, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := authority.WriteFiles(directory, "gateway", Request{Server: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(directory, "gateway.crt"), key); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key: %v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(filepath.Join(directory, "ca.crt"))
	if block, _ := pem.Decode(text); err != nil || block == nil || block.Type != "CERTIFICATE" {
		t.Errorf("ca.crt: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(directory, ".new-*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := authority.WriteFiles(filepath.Join(directory, "none"), "gateway", Request{Server: true}); err == nil {
		t.Error("wrote into a directory that does not exist")
	}
	if err := authority.WriteFiles(directory, "none", Request{}); err == nil {
		t.Error("wrote a certificate for nothing")
	}
}
