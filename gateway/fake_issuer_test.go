package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/sallyport/sallyport/authn/oidc"
)

// fakeIssuer is an OpenID provider that publishes one key and signs what a test wants.
type fakeIssuer struct {
	url    string
	caFile string
	key    *ecdsa.PrivateKey
}

func startIssuer(t testing.TB) *fakeIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &fakeIssuer{key: key, caFile: filepath.Join(t.TempDir(), "issuer.crt")}
	server := httptest.NewTLSServer(i)
	t.Cleanup(server.Close)
	i.url = server.URL
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(i.caFile, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

// ServeHTTP implements http.Handler.
func (i *fakeIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/keys" {
		key := jose.JSONWebKey{KeyID: "1", Algorithm: "ES256", Use: "sig", Key: i.key.Public()}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key}})
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.url, "jwks_uri": i.url + "/keys"})
}

// verifier accepts the issuer's tokens; sub is the account. They are for sallyport, and so is it unless it is told otherwise.
func (i *fakeIssuer) verifier(t testing.TB, audiences ...string) *oidc.Verifier {
	t.Helper()
	if len(audiences) == 0 {
		audiences = []string{"sallyport"}
	}
	v, err := oidc.New(oidc.Config{Issuer: i.url, Audiences: audiences, CAFile: i.caFile})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// token is a user's token, good for an hour from then on.
func (i *fakeIssuer) token(t testing.TB, user string) string {
	t.Helper()
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{KeyID: "1", Key: i.key}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	payload, err := json.Marshal(map[string]any{"iss": i.url, "aud": "sallyport", "sub": user, "iat": now, "exp": now + 3600})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
