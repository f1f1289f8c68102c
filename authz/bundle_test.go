package authz

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
)

// signer signs bundles.
type signer struct{ private, public string }

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{encode(t, "PRIVATE KEY", key), encode(t, "PUBLIC KEY", &key.PublicKey)}
}

func encode(t *testing.T, kind string, key any) string {
	t.Helper()
	marshal := x509.MarshalPKCS8PrivateKey
	if strings.HasSuffix(kind, "PUBLIC KEY") {
		marshal = x509.MarshalPKIXPublicKey
	}
	der, err := marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// published is a bundle to be. The zero one is a good policy.
type published struct {
	statement string         // the reason that it denies with
	files     map[string]any // more .rego files and data, or others
	claims    map[string]any
	keyID     string
	change    func(b *bundle.Bundle) // before it is signed
	after     func(b *bundle.Bundle) // when it is signed
}

func (p published) pack(t *testing.T, s signer) []byte {
	t.Helper()
	b := bundle.Bundle{Data: map[string]any{"from": "bundle"}}
	modules := map[string]string{
		"lib/connect.rego": connectAllowed, "statement.rego": denies(p.statement), "x_test.rego": "package x_test\n\ntest_x if http.send({})\n",
	}
	for _, name := range slices.Sorted(maps.Keys(modules)) { // in order: some bundles are made without the first
		text := modules[name]
		b.Modules = append(b.Modules, bundle.ModuleFile{URL: "/" + name, Path: "/" + name, RelativePath: "/" + name, Raw: []byte(text)})
	}
	maps.Copy(b.Data, p.files)
	if p.change != nil {
		p.change(&b)
	}
	claims := ""
	if p.claims != nil {
		text, err := json.Marshal(p.claims)
		if err != nil {
			t.Fatal(err)
		}
		claims = filepath.Join(t.TempDir(), "claims.json")
		put(t, claims, string(text))
	}
	if err := b.GenerateSignature(bundle.NewSigningConfig(s.private, "ES256", claims), p.keyID, false); err != nil {
		t.Fatal(err)
	}
	if p.after != nil {
		p.after(&b)
	}
	var out bytes.Buffer
	if err := bundle.NewWriter(&out).DisableFormat(true).Write(b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bundleServer serves one bundle, with an ETag.
type bundleServer struct {
	*httptest.Server
	mu       sync.Mutex
	content  []byte
	etag     string
	status   int
	requests []http.Header
}

func newBundleServer(t *testing.T) *bundleServer {
	t.Helper()
	s := &bundleServer{status: http.StatusOK}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *bundleServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Header)
	w.Header().Set("ETag", s.etag)
	switch {
	case s.status != http.StatusOK:
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(s.status)
	case r.Header.Get("If-None-Match") == s.etag:
		w.WriteHeader(http.StatusNotModified)
	default:
		_, _ = w.Write(s.content)
	}
}

func (s *bundleServer) publish(content []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.content, s.etag, s.status = content, fmt.Sprintf(`"%d"`, len(s.requests)), http.StatusOK
}

func (s *bundleServer) answer(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status = status
}

func (s *bundleServer) last() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[len(s.requests)-1]
}

// config is how a gateway gets the bundle.
func (s *bundleServer) config(key signer) BundleConfig {
	client := s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return BundleConfig{
		URL: s.URL + "/policy.tar.gz?secret=hunter2", Client: client, PublicKey: key.public, Algorithm: "ES256",
		PollMin: minPoll, PollMax: minPoll,
	}
}

func TestBundle(t *testing.T) {
	key, server := newSigner(t), newBundleServer(t)
	server.publish(published{statement: "one"}.pack(t, key))
	cfg := server.config(key)
	var announced []Status
	e, err := New(Config{Timeout: patience, Bundle: &cfg, OnReload: func(s Status) { announced = append(announced, s) }})
	if err != nil {
		t.Fatal(err)
	}
	first := e.Status()
	if got := reason(t, e); got != "one" || first.Err != nil || first.CheckedAt.IsZero() {
		t.Errorf("%q by %+v", got, first)
	}
	if err := e.Reload(); err != nil || server.last().Get("If-None-Match") == "" {
		t.Errorf("the server was not asked for something newer: %v, %v", err, server.last())
	}
	if got := e.Status(); !got.CheckedAt.After(first.CheckedAt) || !got.LoadedAt.Equal(first.LoadedAt) {
		t.Errorf("what is unchanged was loaded: %+v", got)
	}
	server.publish(published{statement: "two"}.pack(t, key))
	if err := e.Reload(); err != nil || reason(t, e) != "two" || e.Status().Revision == first.Revision {
		t.Errorf("a new bundle is not in use: %v, %+v", err, e.Status())
	}
	if len(announced) != 1 {
		t.Errorf("announced %d times, want once", len(announced))
	}
	// The same policy, packed and signed anew, is no other policy.
	server.publish(published{statement: "two"}.pack(t, key))
	if err := e.Reload(); err != nil || len(announced) != 1 {
		t.Errorf("the same again: %v, announced %d times", err, len(announced))
	}
}

// bomb is a small file that unpacks to much.
func bomb(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	packed, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(packed)
	if err := archive.WriteHeader(&tar.Header{Name: "data.json", Size: maxUnpackedBytes, Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(archive, zeros{}, maxUnpackedBytes); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestBundleRefuses: what is not signed as it must be changes nothing, and nothing starts with it.
func TestBundleRefuses(t *testing.T) {
	key, other := newSigner(t), newSigner(t)
	for name, test := range map[string]struct {
		content []byte
		change  func(*BundleConfig)
		want    string
	}{
		"not signed":         {published{after: func(b *bundle.Bundle) { b.Signatures = bundle.SignaturesConfig{} }}.pack(t, key), nil, "bundle missing .signatures.json"},
		"no signature":       {published{after: func(b *bundle.Bundle) { b.Signatures.Signatures = []string{} }}.pack(t, key), nil, "missing JWT"},
		"signed twice":       {published{after: func(b *bundle.Bundle) { b.Signatures.Signatures = append(b.Signatures.Signatures, "x") }}.pack(t, key), nil, "multiple JWTs"},
		"another verifier":   {published{after: func(b *bundle.Bundle) { b.Signatures.Plugin = "none" }}.pack(t, key), nil, "no verifier exists"},
		"by somebody else":   {published{}.pack(t, other), nil, "failed to verify JWT signature"},
		"without algorithm":  {published{after: func(b *bundle.Bundle) { b.Signatures.Signatures = unsecured(b.Signatures.Signatures) }}.pack(t, key), nil, "verify JWT signature"},
		"a changed module":   {published{after: func(b *bundle.Bundle) { b.Modules[0].Raw = append(b.Modules[0].Raw, '\n') }}.pack(t, key), nil, "digest mismatch"},
		"changed data":       {published{after: func(b *bundle.Bundle) { b.Data["from"] = "elsewhere" }}.pack(t, key), nil, "digest mismatch"},
		"one file more":      {published{after: addModule("y.rego", "package y")}.pack(t, key), nil, "not included in bundle signature"},
		"one file less":      {published{after: func(b *bundle.Bundle) { b.Modules = b.Modules[1:] }}.pack(t, key), nil, "not found in the target bundle"},
		"another scope":      {published{claims: map[string]any{"scope": "write"}}.pack(t, key), nil, "scope mismatch"},
		"no scope":           {published{}.pack(t, key), func(c *BundleConfig) { c.Scope = "read" }, "scope mismatch"},
		"another key's name": {published{keyID: "old"}.pack(t, key), func(c *BundleConfig) { c.KeyID = "new" }, "old not found"},
		"no key's name":      {published{}.pack(t, key), func(c *BundleConfig) { c.KeyID = "new" }, "key ID is empty"},
		"no archive":         {[]byte("<html>"), nil, "unpack bundle: "},
		"nothing":            {nil, nil, "unpack bundle: "},
		"a bomb":             {bomb(t), nil, "unpack bundle: is larger than"},
		"data of ours":       {published{files: map[string]any{"sallyport": map[string]any{}}}.pack(t, key), nil, "belongs to the Rego packages"},
		"no policy":          {published{change: func(b *bundle.Bundle) { b.Modules = nil }}.pack(t, key), nil, "holds no .rego file"},
		"no decision":        {published{change: func(b *bundle.Bundle) { b.Modules = b.Modules[:1] }}.pack(t, key), nil, "no rule defines"},
		"uses the network":   {published{change: addModule("y.rego", "package y\n\nx := http.send({})\n")}.pack(t, key), nil, "undefined function http.send"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newBundleServer(t)
			cfg := server.config(key)
			if test.change != nil {
				test.change(&cfg)
			}
			server.publish(test.content)
			_, err := New(Config{Timeout: patience, Bundle: &cfg})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("at start: got %v, want an error about %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the URL: %v", err)
			}
			good := published{statement: "good", keyID: cfg.KeyID}
			if cfg.Scope != "" {
				good.claims = map[string]any{"scope": cfg.Scope}
			}
			server.publish(good.pack(t, key))
			e, err := New(Config{Timeout: patience, Bundle: &cfg})
			if err != nil {
				t.Fatal(err)
			}
			server.publish(test.content)
			for range 2 { // the second time too: what was refused is not what is unchanged
				if err := e.Reload(); err == nil || !strings.Contains(err.Error(), test.want) || e.Status().Err == nil {
					t.Errorf("later: got %v, status %+v", err, e.Status())
				}
			}
			if got := reason(t, e); got != "good" {
				t.Errorf("it decides: %q", got)
			}
		})
	}
}

func addModule(name, text string) func(b *bundle.Bundle) {
	return func(b *bundle.Bundle) {
		b.Modules = append(b.Modules, bundle.ModuleFile{URL: "/" + name, Path: "/" + name, RelativePath: "/" + name, Raw: []byte(text)})
	}
}

// unsecured makes a token say that it needs no signature (RFC 7519, 6).
func unsecured(tokens []string) []string {
	parts := strings.Split(tokens[0], ".")
	return []string{"eyJhbGciOiJub25lIn0." + parts[1] + "."}
}

// TestBundleServerFails: an answer that is none changes nothing and is told; without a bundle nothing starts.
func TestBundleServerFails(t *testing.T) {
	key, server := newSigner(t), newBundleServer(t)
	cfg := server.config(key)
	server.publish(published{statement: "good"}.pack(t, key))
	e, err := New(Config{Timeout: patience, Bundle: &cfg})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]string{
		http.StatusFound: "answered 302 Found", http.StatusForbidden: "answered 403 Forbidden", http.StatusInternalServerError: "answered 500", http.StatusNoContent: "answered 204",
	} {
		server.answer(status)
		if _, err := New(Config{Timeout: patience, Bundle: &cfg}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d at start: %v", status, err)
		}
		if err := e.Reload(); err == nil || !strings.Contains(err.Error(), want) || reason(t, e) != "good" {
			t.Errorf("%d later: %v", status, err)
		}
	}
	server.answer(http.StatusOK)
	if err := e.Reload(); err != nil || e.Status().Err != nil {
		t.Errorf("it does not recover: %v", err)
	}
	server.Close()
	if err := e.Reload(); err == nil || !strings.Contains(err.Error(), "fetch bundle: ") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("without a server: %v", err)
	}
}

// TestBundleIsKept: a gateway starts again without the server, by the last good bundle and no other.
func TestBundleIsKept(t *testing.T) {
	key, server := newSigner(t), newBundleServer(t)
	cfg := server.config(key)
	cfg.Cache = filepath.Join(t.TempDir(), "policy.tar.gz")
	server.publish(published{statement: "good"}.pack(t, key))
	e, err := New(Config{Timeout: patience, Bundle: &cfg})
	if err != nil {
		t.Fatal(err)
	}
	server.publish(published{}.pack(t, newSigner(t)))
	if err := e.Reload(); err == nil {
		t.Fatal("a bundle of somebody else's was taken")
	}
	if info, err := os.Stat(cfg.Cache); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file that it is kept in: %v, %v", info, err)
	}
	server.answer(http.StatusServiceUnavailable)
	again, err := New(Config{Timeout: patience, Bundle: &cfg})
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Status(); reason(t, again) != "good" || got.Err == nil || got.Revision != e.Status().Revision {
		t.Errorf("without the server: %+v", got)
	}
	server.publish(published{statement: "new"}.pack(t, key))
	if err := again.Reload(); err != nil || reason(t, again) != "new" || again.Status().Err != nil {
		t.Errorf("with the server again: %v", err)
	}

	server.answer(http.StatusServiceUnavailable)
	put(t, cfg.Cache, string(published{statement: "forged"}.pack(t, newSigner(t))))
	if _, err := New(Config{Timeout: patience, Bundle: &cfg}); err == nil || !strings.Contains(err.Error(), "the bundle that was kept: verify bundle: ") || !strings.Contains(err.Error(), "503") {
		t.Errorf("a kept bundle of somebody else's: %v", err)
	}
	if err := os.Remove(cfg.Cache); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Timeout: patience, Bundle: &cfg}); err == nil {
		t.Error("it starts without any policy")
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(cfg.Cache), "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("files were left: %v, %v", left, err)
	}
}

func TestBundleToken(t *testing.T) {
	key, server := newSigner(t), newBundleServer(t)
	cfg := server.config(key)
	cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	server.publish(published{}.pack(t, key))
	if _, err := New(Config{Timeout: patience, Bundle: &cfg}); err == nil || !strings.Contains(err.Error(), "read bundle token") {
		t.Errorf("without the file: %v", err)
	}
	put(t, cfg.TokenFile, "first\n")
	e, err := New(Config{Timeout: patience, Bundle: &cfg})
	if err != nil || server.last().Get("Authorization") != "Bearer first" {
		t.Fatalf("%v, %v", err, server.last())
	}
	put(t, cfg.TokenFile, "second\n")
	if err := e.Reload(); err != nil || server.last().Get("Authorization") != "Bearer second" {
		t.Errorf("%v, %v", err, server.last())
	}
}

func TestBundleConfig(t *testing.T) {
	key, server := newSigner(t), newBundleServer(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024) // #nosec -- to be refused
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(*BundleConfig)
		want   string
	}{
		"no URL":         {func(c *BundleConfig) { c.URL = "" }, "URL"},
		"no client":      {func(c *BundleConfig) { c.Client = nil }, "client"},
		"no key":         {func(c *BundleConfig) { c.PublicKey = "" }, "what nobody signed"},
		"no PEM":         {func(c *BundleConfig) { c.PublicKey = "x" }, "not PEM"},
		"broken key":     {func(c *BundleConfig) { c.PublicKey = "-----BEGIN PUBLIC KEY-----\neA==\n-----END PUBLIC KEY-----\n" }, "public key: "},
		"private key":    {func(c *BundleConfig) { c.PublicKey = key.private }, "is a private key"},
		"HMAC":           {func(c *BundleConfig) { c.Algorithm = "HS256" }, "not one of"},
		"none":           {func(c *BundleConfig) { c.Algorithm = "none" }, "not one of"},
		"other algoritm": {func(c *BundleConfig) { c.Algorithm = "RS256" }, "is ECDSA"},
		"short key":      {func(c *BundleConfig) { c.PublicKey, c.Algorithm = encode(t, "PUBLIC KEY", &small.PublicKey), "RS256" }, "1024 bits"},
		"RSA key":        {func(c *BundleConfig) { c.PublicKey = encode(t, "PUBLIC KEY", &small.PublicKey) }, "is RSA"},
		"polls at once":  {func(c *BundleConfig) { c.PollMin = 0 }, "poll interval"},
		"polls backward": {func(c *BundleConfig) { c.PollMax = c.PollMin - 1 }, "poll interval"},
	} {
		cfg := server.config(key)
		test.change(&cfg)
		if _, err := New(Config{Timeout: patience, Bundle: &cfg}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error about %q", name, err, test.want)
		}
	}
	cfg := server.config(key)
	if _, err := New(Config{Timeout: patience, Bundle: &cfg, Directory: "."}); err == nil {
		t.Error("two policies were taken for one")
	}
}

// TestBundleRun: it is asked again by itself.
func TestBundleRun(t *testing.T) {
	key, server := newSigner(t), newBundleServer(t)
	cfg := server.config(key)
	server.publish(published{statement: "one"}.pack(t, key))
	reloaded := make(chan Status, 1)
	e, err := New(Config{Timeout: patience, Bundle: &cfg, OnReload: func(s Status) { reloaded <- s }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	server.publish(published{statement: "two"}.pack(t, key))
	select {
	case <-reloaded:
	case <-time.After(time.Minute):
		t.Error("it was not asked again")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := reason(t, e); got != "two" {
		t.Errorf("got %q", got)
	}
}
