package authz

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
)

// BundleConfig says where a policy is that is published as an OPA bundle, and whose signature it must have. An OPA bundle is a tar.gz
// of modules and data with a JWT over the digests of all of them (https://www.openpolicyagent.org/docs/management-bundles#signing).
//
// The signature says who made a bundle, not that it is the newest: whoever has the server, or is between it and here, can hold back new
// ones and bring back old ones. Status.CheckedAt and the revision show that.
type BundleConfig struct {
	URL    string
	Client *http.Client // required; it follows no redirects
	// TokenFile, if set, holds a bearer token for the server. It is read for every request.
	TokenFile string

	PublicKey string // PEM
	Algorithm string // RS256, ES256 and their like; no HMAC
	// KeyID must be what the signature calls its key; "": whatever it says, PublicKey is the key.
	KeyID string
	Scope string // must be the signature's; "": it has none

	PollMin, PollMax time.Duration // between two requests; some time between them, so that a fleet does not ask at once

	// Cache is the file that the last good bundle is kept in, and read from when the server cannot be asked at start; "": none.
	Cache string
}

const (
	// maxBundleBytes bounds a bundle as it is sent, maxUnpackedBytes what it unpacks to, before any of it is believed.
	maxBundleBytes   = 32 << 20
	maxUnpackedBytes = 64 << 20
	// maxBundleToken bounds the file with the token.
	maxBundleToken = 64 << 10
	// minPoll keeps a mistake in the configuration from being an attack on the server.
	minPoll = time.Second
)

// anyKey is what the one key is called when the signature may call it what it likes.
const anyKey = "policy"

// BundleAlgorithms are those that a bundle may be signed by. With HMAC whoever can verify a bundle could make one.
func BundleAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}
}

// Validate says what is wrong with a configuration. It asks no server.
func (c BundleConfig) Validate() error {
	_, err := newBundleOrigin(c, slog.New(slog.DiscardHandler))
	return err
}

// bundleOrigin is a policy that a server publishes.
type bundleOrigin struct {
	cfg    BundleConfig
	verify *bundle.VerificationConfig
	logger *slog.Logger

	mu   sync.Mutex
	etag string // of the bundle in use; "": the server has not said
}

func newBundleOrigin(cfg BundleConfig, logger *slog.Logger) (*bundleOrigin, error) {
	switch {
	case cfg.URL == "":
		return nil, errors.New("bundle URL is not set")
	case cfg.Client == nil:
		return nil, errors.New("bundle has no HTTP client")
	case cfg.PublicKey == "":
		return nil, errors.New("bundle has no public key: what nobody signed is not believed")
	case !slices.Contains(BundleAlgorithms(), cfg.Algorithm):
		return nil, fmt.Errorf("bundle algorithm %q is not one of %s", cfg.Algorithm, strings.Join(BundleAlgorithms(), ", "))
	case cfg.PollMin < minPoll || cfg.PollMax < cfg.PollMin:
		return nil, fmt.Errorf("bundle poll interval %s to %s is none", cfg.PollMin, cfg.PollMax)
	}
	if err := checkPublicKey(cfg.PublicKey, cfg.Algorithm); err != nil {
		return nil, err
	}
	name := cfg.KeyID
	if name == "" {
		name = anyKey
	}
	key := &bundle.KeyConfig{Key: cfg.PublicKey, Algorithm: cfg.Algorithm, Scope: cfg.Scope}
	// With the id left empty the verifier looks the key up by the signature's own word for it.
	id := map[bool]string{true: anyKey, false: ""}[cfg.KeyID == ""]
	return &bundleOrigin{
		cfg: cfg, logger: logger, verify: bundle.NewVerificationConfig(map[string]*bundle.KeyConfig{name: key}, id, cfg.Scope, nil),
	}, nil
}

// read fetches the bundle and verifies it.
func (o *bundleOrigin) read(ctx context.Context) (source, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.cfg.URL, nil)
	if err != nil {
		return source{}, errors.New("bundle URL is not one")
	}
	o.mu.Lock()
	if o.etag != "" {
		request.Header.Set("If-None-Match", o.etag)
	}
	o.mu.Unlock()
	if err := o.authorize(request); err != nil {
		return source{}, err
	}
	response, err := o.cfg.Client.Do(request)
	if err != nil {
		var inner *url.Error // whose own text has the URL, and that may have a secret in its query
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return source{}, fmt.Errorf("fetch bundle: %w", err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusNotModified:
		return source{}, errUnchanged
	case http.StatusOK:
	default:
		return source{}, fmt.Errorf("fetch bundle: the server answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	raw, err := readAtMost(response.Body, maxBundleBytes)
	if err != nil {
		return source{}, fmt.Errorf("fetch bundle: %w", err)
	}
	s, err := o.unpack(raw)
	s.etag = response.Header.Get("ETag")
	return s, err
}

func (o *bundleOrigin) authorize(request *http.Request) error {
	if o.cfg.TokenFile == "" {
		return nil
	}
	f, err := os.Open(o.cfg.TokenFile)
	if err != nil {
		return fmt.Errorf("read bundle token: %w", err)
	}
	defer f.Close()
	token, err := readAtMost(f, maxBundleToken)
	if err != nil {
		return fmt.Errorf("read bundle token: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+string(bytes.TrimSpace(token)))
	return nil
}

// readCache reads the bundle that was kept last. It is verified like any other: the file may be somebody's who is not us.
func (o *bundleOrigin) readCache(context.Context) (source, error) {
	if o.cfg.Cache == "" {
		return source{}, errors.New("no bundle is kept")
	}
	f, err := os.Open(o.cfg.Cache)
	if err != nil {
		return source{}, fmt.Errorf("read the bundle that was kept: %w", err)
	}
	defer f.Close()
	raw, err := readAtMost(f, maxBundleBytes)
	if err != nil {
		return source{}, fmt.Errorf("read the bundle that was kept: %w", err)
	}
	s, err := o.unpack(raw)
	if err != nil {
		return source{}, fmt.Errorf("the bundle that was kept: %w", err)
	}
	return s, nil
}

func readAtMost(r io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("is larger than %d bytes", limit)
	}
	return content, nil
}

// unpack verifies a bundle and makes a source of it. Nothing of it is parsed as a policy by its own wishes: the language is ours.
func (o *bundleOrigin) unpack(raw []byte) (source, error) {
	if err := checkUnpacked(raw); err != nil {
		return source{}, fmt.Errorf("unpack bundle: %w", err)
	}
	b, err := bundle.NewReader(bytes.NewReader(raw)).WithBundleVerificationConfig(o.verify).WithSizeLimitBytes(maxUnpackedBytes).
		WithCapabilities(ast.CapabilitiesForThisVersion()).WithRegoVersion(ast.RegoV1).Read()
	if err != nil {
		return source{}, fmt.Errorf("verify bundle: %w", err)
	}
	switch {
	case b.Type() != bundle.SnapshotBundleType:
		return source{}, errors.New("a bundle of changes is not a policy")
	case len(b.WasmModules)+len(b.PlanModules) > 0:
		return source{}, errors.New("the bundle holds compiled policies: only Rego is evaluated")
	}
	s := source{modules: map[string]string{}, data: b.Data, raw: raw}
	for _, module := range b.Modules {
		name := strings.TrimPrefix(module.RelativePath, "/")
		if !strings.HasSuffix(name, testSuffix) {
			s.modules[name] = string(module.Raw)
			s.files = append(s.files, name)
		}
	}
	if len(s.modules) == 0 {
		return source{}, errors.New("the bundle holds no .rego file")
	}
	if _, ok := s.data["sallyport"]; ok {
		return source{}, errors.New("sallyport: belongs to the Rego packages, data cannot define it")
	}
	slices.Sort(s.files)
	s.revision, err = revisionOf(s)
	return s, err
}

// checkUnpacked sees that a bundle does not unpack to more than a policy can be.
func checkUnpacked(raw []byte) error {
	unpacked, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(unpacked, maxUnpackedBytes+1))
	if err == nil && n > maxUnpackedBytes {
		err = fmt.Errorf("is larger than %d bytes", maxUnpackedBytes)
	}
	return err
}

// revisionOf is the digest of what a bundle says, however it was packed and signed.
func revisionOf(s source) (string, error) {
	data, err := json.Marshal(s.data) // keys are sorted
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(s.modules)) {
		fmt.Fprintf(digest, "%d %s %d %s ", len(name), name, len(s.modules[name]), s.modules[name])
	}
	digest.Write(data)
	return hex.EncodeToString(digest.Sum(nil)[:revisionBytes]), nil
}

// kept remembers what the server called the bundle in use, and puts it away for a restart.
func (o *bundleOrigin) kept(s source) error {
	o.mu.Lock()
	o.etag = s.etag
	o.mu.Unlock()
	if o.cfg.Cache == "" {
		return nil
	}
	if old, err := os.ReadFile(o.cfg.Cache); err == nil && bytes.Equal(old, s.raw) {
		return nil
	}
	return replaceFile(o.cfg.Cache, s.raw)
}

// replaceFile writes a file so that there is always a whole one, after a crash too.
func replaceFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// follow asks the server again and again.
func (o *bundleOrigin) follow(ctx context.Context, again func()) error {
	for {
		wait := o.cfg.PollMin
		if spread := int64(o.cfg.PollMax - o.cfg.PollMin); spread > 0 {
			wait += time.Duration(rand.Int64N(spread)) // #nosec -- spreads requests
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
			again()
		}
	}
}
