package tlsutil

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport/sallyport/certs"
)

// TestClientPair: what the files hold is shown at the next handshake, and what is no pair is not.
func TestClientPair(t *testing.T) {
	authority, err := certs.New("clients")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "a.crt"), filepath.Join(dir, "a.key")
	issue := func(name string, ttl time.Duration) {
		t.Helper()
		// Renamed into place, as whoever renews a certificate does.
		if err := authority.WriteFiles(dir, "next", certs.Request{CommonName: name, Client: true, TTL: ttl}); err != nil {
			t.Fatal(err)
		}
		for from, to := range map[string]string{"next.crt": certificate, "next.key": key} {
			if err := os.Rename(filepath.Join(dir, from), to); err != nil {
				t.Fatal(err)
			}
		}
	}
	issue("first", time.Hour)
	var told []error
	p, err := NewClientPair(certificate, key, func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	request := &tls.CertificateRequestInfo{SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}, Version: tls.VersionTLS13}
	shows := func(want string, good bool, times int) {
		t.Helper()
		for range 2 {
			got, err := p.Get(request)
			if err != nil || got.Leaf == nil || got.Leaf.Subject.CommonName != want {
				t.Fatalf("got %v, %v, want %s", got, err, want)
			}
		}
		if (p.Err() == nil) != good || len(told) != times || times > 0 && (told[times-1] == nil) != good {
			t.Errorf("%v; told %d times, want %d", p.Err(), len(told), times)
		}
	}
	shows("first", true, 0)
	issue("second", time.Hour)
	shows("second", true, 1)
	if err := os.WriteFile(key, []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	shows("second", false, 2)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	shows("second", false, 3)
	issue("third", -time.Hour)
	shows("second", false, 4)
	issue("fourth", time.Hour)
	shows("fourth", true, 5)
	other := *request
	other.AcceptableCAs = [][]byte{[]byte("somebody else")}
	if got, err := p.Get(&other); err != nil || len(got.Certificate) > 0 {
		t.Errorf("a server of others is shown %v, %v", got, err)
	}
	if _, err := NewClientPair(certificate, filepath.Join(dir, "none"), nil); err == nil {
		t.Error("there is no key")
	}
}
