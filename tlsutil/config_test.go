package tlsutil

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/certs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newAuthority(t *testing.T) *certs.Authority {
	t.Helper()
	authority, err := certs.New("test")
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

var gateway = certs.Request{CommonName: "gateway", DNSNames: []string{"gateway.test"}, Server: true}

// handshake connects a client to a server and returns what the client made of it.
func handshake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = tls.Server(conn, server).Handshake() // the client hears of a failure by an alert
	}()
	defer func() { <-served }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	secured := tls.Client(conn, client)
	err = secured.Handshake()
	return secured.ConnectionState(), err
}

func TestHandshake(t *testing.T) {
	authority, directory := newAuthority(t), t.TempDir()
	if err := authority.WriteFiles(directory, "gateway", gateway); err != nil {
		t.Fatal(err)
	}
	reloader, err := NewReloader(ReloaderConfig{Certificate: filepath.Join(directory, "gateway.crt"), Key: filepath.Join(directory, "gateway.key")})
	if err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := newAuthority(t).WriteFiles(other, "x", gateway); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		ca, name string
		change   func(*tls.Config)
		ok       bool
	}{
		"TLS 1.3":             {directory, "gateway.test", func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, true},
		"TLS 1.2":             {directory, "gateway.test", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, true},
		"no ALPN":             {directory, "gateway.test", func(c *tls.Config) { c.NextProtos, c.MaxVersion = nil, tls.VersionTLS12 }, true},
		"other ALPN":          {directory, "gateway.test", func(c *tls.Config) { c.NextProtos = []string{"h2"} }, false},
		"TLS 1.1":             {directory, "gateway.test", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, false},
		"CBC suite":           {directory, "gateway.test", cbcOnly, false},
		"another name":        {directory, "evil.test", nil, false},
		"name of the subject": {directory, "gateway", nil, false},
		"another authority":   {other, "gateway.test", nil, false},
		"the system's":        {"", "gateway.test", nil, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			files := ClientFiles{ServerName: tt.name}
			if tt.ca != "" {
				files.CA = filepath.Join(tt.ca, "ca.crt")
			}
			client, err := ClientConfig(files)
			if err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				tt.change(client)
			}
			state, err := handshake(t, ServerConfig(reloader), client)
			if (err == nil) != tt.ok {
				t.Fatalf("handshake: %v, want ok %v", err, tt.ok)
			}
			if err == nil && client.NextProtos != nil && state.NegotiatedProtocol != ALPN {
				t.Errorf("ALPN %q", state.NegotiatedProtocol)
			}
		})
	}
}

func cbcOnly(c *tls.Config) {
	c.MaxVersion = tls.VersionTLS12
	c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
}

func TestClientConfig(t *testing.T) {
	authority, directory := newAuthority(t), t.TempDir()
	if err := authority.WriteFiles(directory, "gateway", certs.Request{CommonName: "gateway", Client: true}); err != nil {
		t.Fatal(err)
	}
	if err := authority.WriteFiles(directory, "other", certs.Request{CommonName: "other", Client: true}); err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(directory, name) }
	tests := map[string]struct {
		files ClientFiles
		want  string // part of the error; "": valid
	}{
		"least":             {ClientFiles{ServerName: "db.test"}, ""},
		"all":               {ClientFiles{CA: path("ca.crt"), Certificate: path("gateway.crt"), Key: path("gateway.key"), ServerName: "db.test"}, ""},
		"no name":           {ClientFiles{CA: path("ca.crt")}, "no server name"},
		"no CA file":        {ClientFiles{CA: path("none"), ServerName: "db.test"}, "read CA file"},
		"CA is a key":       {ClientFiles{CA: path("gateway.key"), ServerName: "db.test"}, "no certificate in it"},
		"key alone":         {ClientFiles{Key: path("gateway.key"), ServerName: "db.test"}, "go together"},
		"certificate alone": {ClientFiles{Certificate: path("gateway.crt"), ServerName: "db.test"}, "go together"},
		"another's key":     {ClientFiles{Certificate: path("gateway.crt"), Key: path("other.key"), ServerName: "db.test"}, "load key pair"},
		"no certificate":    {ClientFiles{Certificate: path("none"), Key: path("gateway.key"), ServerName: "db.test"}, "load key pair"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			config, err := ClientConfig(tt.files)
			if tt.want != "" {
				if err == nil || config != nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("ClientConfig = %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil || config.InsecureSkipVerify || config.ServerName != "db.test" || config.MinVersion != tls.VersionTLS12 {
				t.Errorf("ClientConfig: %v", err)
			}
		})
	}
}

// signedWith makes a self-signed certificate by one signature algorithm.
func signedWith(t *testing.T, algorithm x509.SignatureAlgorithm) *x509.Certificate {
	t.Helper()
	var key crypto.Signer
	var err error
	switch algorithm {
	case x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case x509.PureEd25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, SignatureAlgorithm: algorithm}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestServerEndPoint(t *testing.T) {
	sum256 := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	sum384 := func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }
	sum512 := func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
	tests := map[string]struct {
		algorithm x509.SignatureAlgorithm
		sum       func([]byte) []byte // nil: not defined
	}{
		"ECDSA SHA-256":   {x509.ECDSAWithSHA256, sum256},
		"ECDSA SHA-384":   {x509.ECDSAWithSHA384, sum384},
		"ECDSA SHA-512":   {x509.ECDSAWithSHA512, sum512},
		"RSA SHA-256":     {x509.SHA256WithRSA, sum256},
		"RSA PSS SHA-384": {x509.SHA384WithRSAPSS, sum384},
		"Ed25519":         {x509.PureEd25519, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			certificate := signedWith(t, tt.algorithm)
			got, err := ServerEndPoint(certificate)
			if tt.sum == nil {
				if !errors.Is(err, ErrNoEndPoint) || got != nil {
					t.Errorf("ServerEndPoint = %x, %v", got, err)
				}
				return
			}
			if err != nil || !bytes.Equal(got, tt.sum(certificate.Raw)) {
				t.Errorf("ServerEndPoint = %x, %v", got, err)
			}
		})
	}
	// Go no longer signs with these, and RFC 5929 replaces their hashes.
	for _, algorithm := range []x509.SignatureAlgorithm{x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1} {
		got, err := ServerEndPoint(&x509.Certificate{Raw: []byte("x"), SignatureAlgorithm: algorithm})
		if err != nil || !bytes.Equal(got, sum256([]byte("x"))) {
			t.Errorf("%v: %x, %v", algorithm, got, err)
		}
	}
	if _, err := ServerEndPoint(nil); err == nil {
		t.Error("no certificate has a hash")
	}
	if _, err := ServerEndPoint(&x509.Certificate{}); !errors.Is(err, ErrNoEndPoint) {
		t.Errorf("unknown algorithm: %v", err)
	}
}

// writeFile replaces a file at once, as a careful issuer does.
func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
