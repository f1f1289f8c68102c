package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/sallyport/sallyport/authn"
)

const (
	// minRecheck: less would be a load that an issuer takes for an attack.
	minRecheck = 5 * time.Second
	// maxRecheck is the life of a token, as a rule: what is asked less often need not be.
	maxRecheck = time.Hour
	// defaultStaleIntervals lets an issuer miss two questions, as it does while it restarts.
	defaultStaleIntervals = 3
	// maxAsking bounds the questions that an issuer is asked at once, however many tokens there are.
	maxAsking = 16
)

// Recheck says how the issuer is asked about tokens: when one is verified, and then again and again while its identity is followed. It is
// asked at its UserInfo endpoint (OpenID Connect Core section 5.3) with the token itself, which must be an access token with the scope
// openid: ID tokens are refused there. With a client of the gateway's own it is asked by introspection instead (RFC 7662).
//
// The groups are what it says. Where UserInfo does not name the groups of a token that has some, they are not known, and the token is
// refused; introspection need not name any, but what has done so must go on.
type Recheck struct {
	Interval time.Duration // between two questions at most; 5 seconds to an hour; zero: the issuer is not asked
	MaxStale time.Duration // how old its answer may get while it gives no other; Interval to 24 hours; zero: three times Interval

	ClientID     string                 // of the gateway, for introspection; "": UserInfo is asked
	ClientSecret func() (string, error) // asked for at each question: sessions that run must not be left with one that has been replaced

	// Observe is told of every answer: nil, an ErrRejected or an ErrUnavailable. It may be nil.
	Observe func(error)
}

func (r Recheck) validate() error {
	if (r.ClientID == "") != (r.ClientSecret == nil) {
		return errors.New("recheck has a client without a secret, or a secret without a client")
	}
	if r.Interval == 0 && r.MaxStale == 0 {
		return nil
	}
	return errors.Join(
		bound{"recheck interval", r.Interval, minRecheck, maxRecheck}.check(),
		bound{"recheck max stale", r.MaxStale, r.Interval, maxMaxStale}.check(),
	)
}

// fingerprint stands for a token.
type fingerprint [sha256.Size]byte

// rechecks asks an issuer about tokens. All sessions that one token has opened share its answers, and each token has a timer of its own,
// begun when it was first asked about: they do not come all at once. A token is kept while somebody follows its identity; what the issuer
// said of it, until it would have to be asked again.
type rechecks struct {
	cfg   *Config
	keys  *keySet
	once  singleflight.Group
	slots chan struct{}

	mu     sync.Mutex
	tokens map[fingerprint]*standing
}

// standing is what the issuer says of one token. It is guarded by rechecks.mu.
type standing struct {
	token     string // "": nobody follows it
	subject   string
	last      opinion
	followers map[*follower]func(groups []string, err error)
	timer     *time.Timer
}

// opinion is what the issuer said.
type opinion struct {
	groups []string
	named  bool      // by the issuer, and not only in the token
	at     time.Time // when it was asked
}

// follower is an identity's authn.Standing.
type follower struct {
	rechecks *rechecks
	key      fingerprint
	token    string
	subject  string
	begun    opinion // the identity's
}

func newRechecks(cfg *Config, keys *keySet) *rechecks {
	return &rechecks{cfg: cfg, keys: keys, slots: make(chan struct{}, maxAsking), tokens: make(map[fingerprint]*standing)}
}

// confirm has an identity stand as the issuer says, which is asked unless it has been within the interval. While it gives no answer its last
// one holds until that is too old.
func (r *rechecks) confirm(ctx context.Context, token string, id authn.Identity) (authn.Identity, error) {
	key := fingerprint(sha256.Sum256([]byte(token)))
	last, known := r.remembered(key)
	if !known || time.Since(last.at) >= r.cfg.Recheck.Interval {
		if !known {
			last = opinion{groups: id.Groups}
		}
		next, err := r.ask(ctx, key, token, id.Subject, last)
		if err != nil && (errors.Is(err, ErrRejected) || !known || time.Since(last.at) >= r.cfg.Recheck.MaxStale) {
			return authn.Identity{}, err
		}
		if err == nil {
			last = next
		}
	}
	id.Groups = last.groups
	id.Standing = &follower{rechecks: r, key: key, token: token, subject: id.Subject, begun: last}
	return id, nil
}

func (r *rechecks) remembered(key fingerprint) (opinion, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.tokens[key]
	if s == nil {
		return opinion{}, false
	}
	return s.last, true
}

// ask asks once for all who want to know at this moment; who goes away does not undo it. The answer is noted, and told to the followers.
func (r *rechecks) ask(ctx context.Context, key fingerprint, token, subject string, before opinion) (opinion, error) {
	answered := r.once.DoChan(string(key[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		next, err := r.question(ctx, token, subject, before)
		r.note(key, subject, next, err)
		if r.cfg.Recheck.Observe != nil {
			r.cfg.Recheck.Observe(err)
		}
		return next, err
	})
	select {
	case result := <-answered:
		next, _ := result.Val.(opinion)
		return next, result.Err
	case <-ctx.Done():
		return opinion{}, fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// note keeps an answer, or ends what the issuer has rejected.
func (r *rechecks) note(key fingerprint, subject string, next opinion, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.tokens[key]
	switch {
	case err == nil && s == nil:
		r.keep(key, subject, next)
	case err == nil:
		changed := !slices.Equal(s.last.groups, next.groups)
		s.last = next
		for _, told := range s.followers {
			if changed {
				told(next.groups, nil)
			}
		}
	case s != nil && errors.Is(err, ErrRejected):
		r.end(key, s, err)
	}
}

// keep remembers an answer until the issuer would have to be asked again. r.mu is held.
func (r *rechecks) keep(key fingerprint, subject string, last opinion) *standing {
	s := &standing{subject: subject, last: last, followers: make(map[*follower]func([]string, error))}
	r.tokens[key] = s
	s.timer = time.AfterFunc(r.pause(s), func() { r.due(key, s) })
	return s
}

// pause is how long to wait before the issuer is asked again: an interval at most, and as a rule a little less, so that the tokens of one
// morning do not come as one; and while it does not answer not beyond the time that the last answer holds. r.mu is held.
func (r *rechecks) pause(s *standing) time.Duration {
	jitter := 0.8 + 0.2*rand.Float64() // #nosec -- not a secret
	pause := time.Duration(float64(r.cfg.Recheck.Interval) * jitter)
	return max(0, min(pause, time.Until(s.last.at.Add(r.cfg.Recheck.MaxStale))))
}

// due asks again about a token that is followed, and forgets one that is not.
func (r *rechecks) due(key fingerprint, s *standing) {
	r.mu.Lock()
	token, last := s.token, s.last
	if token == "" {
		if r.tokens[key] == s {
			delete(r.tokens, key)
		}
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	_, err := r.ask(context.Background(), key, token, s.subject, last)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.tokens[key] != s: // it was rejected
	case err != nil && time.Since(s.last.at) >= r.cfg.Recheck.MaxStale:
		r.end(key, s, err)
	default:
		s.timer.Reset(r.pause(s))
	}
}

// end tells all followers that it is over. r.mu is held.
func (r *rechecks) end(key fingerprint, s *standing, err error) {
	for _, told := range s.followers {
		told(nil, err)
	}
	clear(s.followers)
	s.token = ""
	s.timer.Stop()
	delete(r.tokens, key)
}

// Follow implements authn.Standing. It is for one session.
func (f *follower) Follow(told func(groups []string, err error)) (stop func()) {
	r := f.rechecks
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.tokens[f.key]
	if s == nil { // it was forgotten since the login, or rejected: the session may have waited long for a place or a credential
		s = r.keep(f.key, f.subject, f.begun)
		s.timer.Reset(0)
	}
	s.token, s.followers[f] = f.token, told
	if !slices.Equal(s.last.groups, f.begun.groups) {
		told(s.last.groups, nil)
	}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(s.followers, f)
		if len(s.followers) == 0 {
			s.token = ""
		}
	}
}
