package openid

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

var (
	errUnknown      = errors.New("unknown or used")
	errCredentials  = errors.New("wrong address or password")
	errNotSupported = errors.New("not supported")
)

// store keeps what is in flight: authorization requests, codes, devices
// (op.Storage, op.DeviceAuthorizationStorage). Tokens are JWTs and not kept.
type store struct {
	keys  *keyring
	users map[string]User // by address

	mu       sync.Mutex
	lifetime time.Duration
	requests map[string]*request
	codes    map[string]string // code -> request id
	devices  map[string]*op.DeviceAuthorizationState
	typed    map[string]string // user code -> device code
	revoked  map[string]bool   // ids of access tokens
}

var (
	_ op.Storage                    = (*store)(nil)
	_ op.DeviceAuthorizationStorage = (*store)(nil)
)

func newStore(users []User, lifetime time.Duration) (*store, error) {
	s := &store{
		keys: &keyring{}, users: make(map[string]User), lifetime: lifetime,
		requests: make(map[string]*request), codes: make(map[string]string),
		devices: make(map[string]*op.DeviceAuthorizationState), typed: make(map[string]string), revoked: make(map[string]bool),
	}
	for _, u := range users {
		if u.Subject == "" || u.Email == "" || u.Password == "" {
			return nil, errors.New("a user needs subject, address and password")
		}
		s.users[u.Email] = u
	}
	return s, s.keys.rotate(false)
}

func (s *store) setLifetime(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifetime = d
}

func (s *store) tokenLifetime() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lifetime
}

// check finds a user by address and password.
func (s *store) check(email, password string) (User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, ok := s.users[email]
	if !ok || subtle.ConstantTimeCompare([]byte(user.Password), []byte(password)) != 1 {
		return User{}, errCredentials
	}
	return user, nil
}

func (s *store) setGroups(email string, groups []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := s.users[email]
	user.Groups = groups
	s.users[email] = user
}

func (s *store) bySubject(subject string) (User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if u.Subject == subject {
			return u, nil
		}
	}
	return User{}, errUnknown
}

// finish marks a request as authenticated by the user.
func (s *store) finish(id string, user User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.requests[id]
	if !ok {
		return errUnknown
	}
	// Replaced, not changed: the library may be reading the old one.
	done := *r
	done.subject, done.authTime = user.Subject, time.Now()
	s.requests[id] = &done
	return nil
}

func (s *store) CreateAuthRequest(_ context.Context, in *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	if len(in.Prompt) == 1 && in.Prompt[0] == oidc.PromptNone {
		return nil, oidc.ErrLoginRequired()
	}
	if in.CodeChallenge == "" || in.CodeChallengeMethod != oidc.CodeChallengeMethodS256 {
		return nil, oidc.ErrInvalidRequest().WithDescription("PKCE with S256 is required")
	}
	r := &request{id: rand.Text(), in: *in}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[r.id] = r
	return r, nil
}

func (s *store) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.requests[id]; ok {
		return r, nil
	}
	return nil, errUnknown
}

func (s *store) AuthRequestByCode(_ context.Context, code string) (op.AuthRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.codes[code]
	delete(s.codes, code) // one attempt: RFC 6749, 4.1.2
	if r, found := s.requests[id]; ok && found {
		return r, nil
	}
	return nil, errUnknown
}

func (s *store) SaveAuthCode(_ context.Context, id, code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes[code] = id
	return nil
}

func (s *store) DeleteAuthRequest(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.requests, id)
	return nil
}

func (s *store) SigningKey(context.Context) (op.SigningKey, error) { return s.keys.signing(), nil }

func (s *store) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}

func (s *store) KeySet(context.Context) ([]op.Key, error) { return s.keys.published(), nil }

func (s *store) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != ClientID && id != OperatorsClientID {
		return nil, oidc.ErrInvalidClient()
	}
	return client{id: id, lifetime: s.tokenLifetime()}, nil
}

// AuthorizeClientIDSecret fails for all clients but the one that asks about tokens: the others are public.
func (s *store) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if id != IntrospectorID || subtle.ConstantTimeCompare([]byte(secret), []byte(IntrospectorSecret)) != 1 {
		return errCredentials
	}
	return nil
}
