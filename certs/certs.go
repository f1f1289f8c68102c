// Package certs makes certificates for development and tests. The authority's key lives in memory and ends with the process.
package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const (
	// authorityTTL is long enough for a demo that is left running, and too short to become somebody's production.
	authorityTTL = 90 * 24 * time.Hour
	// defaultTTL is that of a leaf.
	defaultTTL = 30 * 24 * time.Hour
	// backdate forgives clocks that are a little behind, as those of virtual machines are.
	backdate = 5 * time.Minute
	// serialBits is RFC 5280's longest positive serial number, less the sign.
	serialBits = 127
)

// Authority is a development CA with an ECDSA P-256 key. Ed25519 would not do: SCRAM channel binding is not defined for it.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// Request says what a leaf is for.
type Request struct {
	CommonName string
	DNSNames   []string
	IPs        []net.IP
	URIs       []*url.URL    // a SPIFFE ID, for one
	Server     bool          // may serve TLS
	Client     bool          // may log in over TLS
	TTL        time.Duration // zero: 30 days; cut to the authority's end
}

// New makes an authority.
func New(commonName string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make authority key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityTTL),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	certificate, err := sign(template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign authority: %w", err)
	}
	return &Authority{certificate: certificate, key: key}, nil
}

// CertPEM is the authority's certificate: what the others trust.
func (a *Authority) CertPEM() []byte { return encode("CERTIFICATE", a.certificate.Raw) }

// Issue makes a leaf and its key, both in PEM (PKCS #8).
func (a *Authority) Issue(request Request) (certPEM, keyPEM []byte, err error) {
	if !request.Server && !request.Client {
		return nil, nil, errors.New("issue certificate: neither for a server nor for a client")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	certificate, err := sign(a.template(request), a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign certificate: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	return encode("CERTIFICATE", certificate.Raw), encode("PRIVATE KEY", encoded), nil
}

// WriteFiles issues a leaf into directory, which must exist: name.crt, name.key (readable by the owner alone), and the authority's
// ca.crt beside them.
func (a *Authority) WriteFiles(directory, name string, request Request) error {
	certPEM, keyPEM, err := a.Issue(request)
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{{"ca.crt", a.CertPEM(), 0o644}, {name + ".key", keyPEM, 0o600}, {name + ".crt", certPEM, 0o644}} {
		if err := replace(filepath.Join(directory, file.name), file.text, file.mode); err != nil {
			return fmt.Errorf("write %s: %w", file.name, err)
		}
	}
	return nil
}

func (a *Authority) template(request Request) *x509.Certificate {
	ttl := request.TTL
	if ttl == 0 {
		ttl = defaultTTL
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: request.CommonName},
		DNSNames:     request.DNSNames,
		IPAddresses:  request.IPs,
		URIs:         request.URIs,
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(ttl),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	if template.NotAfter.After(a.certificate.NotAfter) {
		template.NotAfter = a.certificate.NotAfter
	}
	if template.NotAfter.Before(template.NotBefore) { // a negative TTL makes one that has expired, for tests
		template.NotBefore = template.NotAfter.Add(-backdate)
	}
	if request.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if request.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	return template
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(raw)
}

// serial is random, as RFC 5280 section 4.1.2.2 wants it: unique and positive.
func serial() *big.Int {
	bound := new(big.Int).Lsh(big.NewInt(1), serialBits)
	n, err := rand.Int(rand.Reader, bound)
	if err != nil {
		return big.NewInt(time.Now().UnixNano()) // crypto/rand never fails
	}
	return n.Add(n, big.NewInt(1))
}

func encode(kind string, raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
}

// replace writes a file beside its place and renames it into it: no reader sees half of one, and no old mode stays.
func replace(path string, text []byte, mode os.FileMode) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // gone after the rename
	_, err = file.Write(text)
	if err := errors.Join(err, file.Chmod(mode), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
