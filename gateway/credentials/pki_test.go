package credentials

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakePKI signs what a test wants, instead of what it is asked for where the test says so.
type fakePKI struct {
	t       *testing.T
	key     *ecdsa.PrivateKey
	name    string             // "": the one asked for
	usage   []x509.ExtKeyUsage // nil: for clients
	ttl     time.Duration      // 0: an hour
	other   bool               // the certificate is for another key
	lease   string
	garbage string // in the certificate's place
	unnamed bool   // the answer has no serial number

	mu      sync.Mutex
	sent    string // the request
	revoked []string
}

// seen is what Vault was sent to sign, and to revoke.
func (f *fakePKI) seen() (sent string, revoked int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent, len(f.revoked)
}

func (f *fakePKI) serve(w http.ResponseWriter, r *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	var body map[string]any
	switch r.URL.Path {
	case "/v1/pki/sign/app":
		_ = json.NewDecoder(r.Body).Decode(&body)
		f.sent, _ = body["csr"].(string)
		name, _ := body["common_name"].(string)
		certificate := f.sign(f.sent, name)
		if f.garbage != "" {
			certificate = f.garbage
		}
		data := map[string]any{"certificate": certificate, "serial_number": "0a:0b"}
		if f.unnamed {
			delete(data, "serial_number")
		}
		answer(w, map[string]any{"lease_id": f.lease, "data": data})
	case "/v1/pki/revoke":
		_ = json.NewDecoder(r.Body).Decode(&body)
		serial, _ := body["serial_number"].(string)
		f.revoked = append(f.revoked, serial)
		answer(w, map[string]any{"data": map[string]any{"revocation_time": 1}})
	default:
		return false
	}
	return true
}

func (f *fakePKI) sign(request, name string) string {
	block, _ := pem.Decode([]byte(request))
	if block == nil {
		f.t.Fatal("Vault was sent no request")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || csr.CheckSignature() != nil || csr.Subject.CommonName != name {
		f.t.Fatalf("Vault was sent a request for %q that is not right: %v", csr.Subject.CommonName, err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x0a0b), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(max(f.ttl, -time.Hour)),
		ExtKeyUsage: f.usage,
	}
	if f.name != "" {
		template.Subject.CommonName = f.name
	}
	if f.ttl == 0 {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	if f.usage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	public := csr.PublicKey
	if f.other {
		public = f.key.Public()
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, f.key)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestPKI(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		fake   *fakePKI
		revoke bool
		id     string // of the lease
		why    string // "": it is good
	}{
		"revoked":        {&fakePKI{}, true, "pki:pki:0a:0b", ""},
		"not revoked":    {&fakePKI{}, false, "", ""},
		"Vault's lease":  {&fakePKI{lease: "pki/sign/app/lease-1"}, false, "pki/sign/app/lease-1", ""},
		"for anything":   {&fakePKI{usage: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}, false, "", ""},
		"somebody else":  {&fakePKI{name: "postgres"}, true, "", `common name is "postgres"`},
		"for servers":    {&fakePKI{usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, true, "", "client_flag"},
		"another key":    {&fakePKI{other: true}, true, "", "another key"},
		"over":           {&fakePKI{ttl: -time.Second}, true, "", "ended already"},
		"no certificate": {&fakePKI{garbage: "none"}, true, "", "malformed"},
		"a key":          {&fakePKI{garbage: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, true, "", "malformed"},
		"no DER":         {&fakePKI{garbage: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, true, "", "read certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			fake, signer := newFakeVault(), test.fake
			bubble(t, given, fake, func(t *testing.T, v *Vault) {
				signer.t, signer.key = t, key
				fake.setFault(signer.serve)
				lease, err := v.PKI(PKIConfig{Mount: "pki", Role: "app", Revoke: test.revoke}).Take(t.Context(), "app_reader")
				if sent, _ := signer.seen(); strings.Contains(sent, "PRIVATE") {
					t.Error("Vault was sent a private key")
				}
				if test.why != "" {
					refusedBecause(t, err, test.why)
					time.Sleep(time.Second)
					if _, revoked := signer.seen(); revoked != 1 || lease.Certificate != nil {
						t.Errorf("of what is of no use %d certificates were revoked", revoked)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if lease.Username != "app_reader" || lease.Password != "" || lease.Source != SourceVaultPKI || lease.ID != test.id ||
					!lease.Expires.Equal(lease.Certificate.Leaf.NotAfter) || lease.Renewable || (lease.Lost() != nil) != (signer.lease != "") {
					t.Errorf("got %v", lease)
				}
			})
		})
	}
}

// TestPKICannotRevoke: a certificate that is to be revoked, and of which Vault does not say by what name, is not used.
func TestPKICannotRevoke(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for revoke, why := range map[bool]string{true: "no serial number", false: ""} {
		fake := newFakeVault()
		bubble(t, given, fake, func(t *testing.T, v *Vault) {
			signer := &fakePKI{t: t, key: key, unnamed: true}
			fake.setFault(signer.serve)
			_, err := v.PKI(PKIConfig{Mount: "pki", Role: "app", Revoke: revoke}).Take(t.Context(), "app_reader")
			if why != "" {
				refusedBecause(t, err, why)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPKIAhead: the next certificates are signed before they are needed, and what nobody takes is revoked in the end.
func TestPKIAhead(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	fake := newFakeVault()
	ahead := func(t *testing.T) VaultConfig {
		cfg := given(t)
		cfg.Ahead, cfg.JournalFile = 2, filepath.Join(t.TempDir(), "leases")
		return cfg
	}
	bubble(t, ahead, fake, func(t *testing.T, v *Vault) {
		signer := &fakePKI{t: t, key: key}
		fake.setFault(signer.serve)
		p := v.PKI(PKIConfig{Mount: "pki", Role: "app", Revoke: true})
		if _, err := p.Take(t.Context(), "app:reader"); err != nil { // a colon is a letter like others
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if signed := fake.asked("pki/sign/app"); signed != 3 {
			t.Errorf("%d certificates were signed, want 3", signed)
		}
		lease, err := p.Take(t.Context(), "app:reader")
		if err != nil || lease.Username != "app:reader" {
			t.Errorf("got %v, %v", lease, err)
		}
		time.Sleep(time.Second) // until there are two again
		if err := v.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if _, revoked := signer.seen(); revoked != 2 {
			t.Errorf("%d certificates were revoked, want 2", revoked)
		}
	})
}
