package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// keyring has one private key of each kind; RSA keys are slow to make.
type keyring struct {
	rsa, otherRSA *rsa.PrivateKey
	ec            *ecdsa.PrivateKey
	ed            ed25519.PrivateKey
}

var keys = sync.OnceValue(func() keyring {
	var k keyring
	k.rsa = must(rsa.GenerateKey(rand.Reader, 2048))
	k.otherRSA = must(rsa.GenerateKey(rand.Reader, 2048))
	k.ec = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, k.ed, _ = ed25519.GenerateKey(rand.Reader)
	return k
})

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func published(id, algorithm string, key crypto.PublicKey) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: id, Algorithm: algorithm, Use: "sig", Key: key}
}

// issuer is an OpenID provider that only publishes: discovery and keys. Fields are set under mu.
type issuer struct {
	mu       sync.Mutex
	url      string
	name     string // the document's issuer; "": url
	keys     []jose.JSONWebKey
	jwksURI  string           // "": its own
	jwks     http.HandlerFunc // nil: the keys
	config   http.HandlerFunc // nil: the document
	userinfo http.HandlerFunc // nil: there is no such endpoint
	inspect  http.HandlerFunc // introspection; nil: there is no such endpoint
	fetches  int              // of the keys
	requests int
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.requests++
	var override http.HandlerFunc
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		override, answer = i.config, i.document()
	case "/keys":
		i.fetches++
		override, answer = i.jwks, jose.JSONWebKeySet{Keys: i.keys}
	case "/userinfo":
		override = i.userinfo
	case "/introspect":
		override = i.inspect
	}
	if override == nil && answer == nil {
		override = http.NotFound
	}
	i.mu.Unlock()
	if override != nil {
		override(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (i *issuer) document() map[string]string {
	document := map[string]string{"issuer": i.url, "jwks_uri": i.url + "/keys"}
	if i.name != "" {
		document["issuer"] = i.name
	}
	if i.jwksURI != "" {
		document["jwks_uri"] = i.jwksURI
	}
	if i.userinfo != nil {
		document["userinfo_endpoint"] = i.url + "/userinfo"
	}
	if i.inspect != nil {
		document["introspection_endpoint"] = i.url + "/introspect"
	}
	return document
}

func (i *issuer) set(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *issuer) fetched() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// RoundTrip makes the issuer its own network, for tests that own the clock.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.ServeHTTP(recorder, r)
	}()
	select {
	case <-done:
		return recorder.Result(), nil
	case <-r.Context().Done():
		<-done
		return nil, r.Context().Err()
	}
}

func newIssuer() *issuer {
	return &issuer{url: "https://id.example/realm", keys: []jose.JSONWebKey{
		published("rsa", "RS256", &keys().rsa.PublicKey),
		published("ec", "", &keys().ec.PublicKey),
		published("ed", "EdDSA", keys().ed.Public()),
	}}
}

// verifierOf trusts the issuer, reached without a network.
func verifierOf(t testing.TB, i *issuer, change func(*Config)) *Verifier {
	t.Helper()
	cfg := Config{Issuer: i.url, Audiences: []string{"sallyport"}, UserClaim: "preferred_username"}
	if change != nil {
		change(&cfg)
	}
	v, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	v.keys.client.Transport = pathTransport{i}
	return v
}

// pathTransport takes the issuer's path off, as its server would.
type pathTransport struct{ *issuer }

func (p pathTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Path = strings.TrimPrefix(r.URL.Path, "/realm")
	return p.issuer.RoundTrip(r)
}

type object map[string]any

// with returns a copy with changes; a nil value takes a member away.
func (o object) with(changes object) object {
	o = maps.Clone(o)
	for name, value := range changes {
		if value == nil {
			delete(o, name)
			continue
		}
		o[name] = value
	}
	return o
}

func goodHeader() object { return object{"alg": "RS256", "kid": "rsa", "typ": "JWT"} }

func goodClaims() object {
	now := time.Now().Unix()
	return object{
		"iss": "https://id.example/realm", "aud": "sallyport", "sub": "1234", "preferred_username": "ana", "name": "Ana Lima",
		"groups": []string{"dba", "dev"}, "iat": now, "exp": now + 600, "email": "ana@example.org", "email_verified": true,
	}
}

// token signs with the issuer's RSA key.
func token(header, payload object) string {
	return signed(string(must(json.Marshal(header))), string(must(json.Marshal(payload))), keys().rsa)
}

// signed makes a compact JWS of any two texts. The key's type chooses the signature; []byte is HMAC, nil none.
func signed(header, payload string, key any) string {
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	sum := sha256.Sum256([]byte(input))
	var signature []byte
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if strings.Contains(header, `"PS256"`) {
			signature = must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
			break
		}
		signature = must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:]))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			panic(err)
		}
		signature = make([]byte, 64)
		r.FillBytes(signature[:32])
		s.FillBytes(signature[32:])
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		signature = mac.Sum(nil)
	}
	return input + "." + encode(signature)
}
