package oidc

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	josejson "github.com/go-jose/go-jose/v4/json"
)

const (
	// fetchTimeout is for discovery and keys together. A login waits for it at most; pre-authentication deadlines are longer.
	fetchTimeout = 5 * time.Second
	// maxBodyBytes bounds the discovery document and the key set; real ones have a few kilobytes.
	maxBodyBytes = 1 << 20
	// maxHeaderBytes bounds an answer's headers alike.
	maxHeaderBytes = 64 << 10
)

// keySet holds an issuer's keys and fetches them when they are needed. go-oidc's RemoteKeySet does not do: it fetches for every
// unknown kid and every bad signature, keeps keys for ever, and reads without a bound.
//
// One fetch runs at a time and the next starts no sooner than minRefetch after the last one began, whatever comes in and however it
// ended. So the answer "no such key" also stands for that long: tokens with invented key ids cost the issuer at most one fetch in
// the interval, and logins with known keys never wait for those. No record of invented ids is kept; it would be theirs to fill.
type keySet struct {
	cfg    *Config
	client *http.Client

	mu      sync.Mutex
	keys    []publicKey
	found   document  // what was discovered with them
	fetched time.Time // when the last good fetch began; zero: never
	tried   time.Time // when the last fetch began; zero: never
	failure error     // of the last fetch; nil: good
	running *fetch    // nil: none
}

// fetch is one in progress; done is closed when its result is in the key set.
type fetch struct{ done chan struct{} }

func newKeySet(cfg *Config, client *http.Client) *keySet {
	return &keySet{cfg: cfg, client: client}
}

// find returns the key that a header names.
func (s *keySet) find(ctx context.Context, h header) (crypto.PublicKey, error) {
	key, running, err := s.look(ctx, h)
	if running == nil {
		return key, err
	}
	select {
	case <-running.done:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
	return s.settle(h)
}

// look answers from what is there, or tells which fetch to wait for. A fresh key needs no fetch; no fresh one, or none by that
// name, needs one if the interval allows it.
func (s *keySet) look(ctx context.Context, h header) (crypto.PublicKey, *fetch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.age(now) < s.cfg.JWKSTTL {
		if key, err := choose(s.keys, h); key != nil || err != nil {
			key, err := verdict(key, err)
			return key, nil, err
		}
	}
	if s.running == nil && (s.tried.IsZero() || now.Sub(s.tried) >= s.cfg.JWKSMinRefetch) {
		s.start(ctx, now)
	}
	if s.running != nil {
		return nil, s.running, nil
	}
	key, err := s.settleLocked(h, now)
	return key, nil, err
}

// settle answers from what is there and fetches nothing: keys past their time will do, up to MaxStale, while the issuer is down.
func (s *keySet) settle(h header) (crypto.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settleLocked(h, time.Now())
}

func (s *keySet) settleLocked(h header, now time.Time) (crypto.PublicKey, error) {
	if s.age(now) >= s.cfg.MaxStale {
		if s.failure != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, s.failure)
		}
		return nil, ErrUnavailable
	}
	key, err := choose(s.keys, h)
	return verdict(key, err)
}

func verdict(key crypto.PublicKey, err error) (crypto.PublicKey, error) {
	if key == nil || err != nil {
		return nil, &RejectedError{ReasonKey}
	}
	return key, nil
}

// age is how old the keys are; without any, for ever.
func (s *keySet) age(now time.Time) time.Duration {
	if s.fetched.IsZero() {
		return 1<<63 - 1
	}
	return now.Sub(s.fetched)
}

// start begins a fetch. It outlives the login that asked for it, because others wait for it too: a client that hangs up must not
// undo it. It ends by itself within fetchTimeout. s.mu is held.
func (s *keySet) start(ctx context.Context, now time.Time) {
	s.tried = now
	running := &fetch{done: make(chan struct{})}
	s.running = running
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		found, keys, err := s.download(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			s.keys, s.found, s.fetched = keys, found, now
		}
		s.failure = err
		s.running = nil
		close(running.done)
	}()
}

// document is what matters of the issuer's discovery document (OpenID Connect Discovery section 3, RFC 8414 section 2).
type document struct {
	Issuer        string `json:"issuer"`
	JWKSURI       string `json:"jwks_uri"`
	UserInfo      string `json:"userinfo_endpoint"`
	Introspection string `json:"introspection_endpoint"`
}

// discovered is the document that the keys in use came with.
func (s *keySet) discovered() document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found
}

// download discovers where the keys are (OpenID Connect Discovery section 4) and gets them. Both anew every time: a key set that
// has moved is found like a key that has changed.
func (s *keySet) download(ctx context.Context) (found document, keys []publicKey, err error) {
	body, err := s.get(ctx, strings.TrimSuffix(s.cfg.Issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return found, nil, fmt.Errorf("discover issuer: %w", err)
	}
	if err := josejson.Unmarshal(body, &found); err != nil {
		return found, nil, errors.New("discover issuer: document is not JSON")
	}
	// Otherwise one tenant's document could hand out another's keys.
	if found.Issuer != s.cfg.Issuer {
		return found, nil, errors.New("discover issuer: document is another issuer's")
	}
	if _, err := checkURL("jwks_uri", found.JWKSURI); err != nil {
		return found, nil, fmt.Errorf("discover issuer: %w", err)
	}
	if body, err = s.get(ctx, found.JWKSURI); err != nil {
		return found, nil, fmt.Errorf("fetch keys: %w", err)
	}
	keys, err = parseKeySet(body, s.cfg.Algorithms)
	return found, keys, err
}

func (s *keySet) get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: status %d", url, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBodyBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	if len(body) > maxBodyBytes {
		return nil, fmt.Errorf("read %s: answer is larger than %d bytes", url, maxBodyBytes)
	}
	return body, nil
}
