package oidc

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authn"
)

// desk is the issuer's side of a recheck: what it says, and what it was asked.
type desk struct {
	mu     sync.Mutex
	status int    // 0: 200
	says   object // of whoever asks
	asked  int
	tokens []string
	slow   time.Duration
}

// ServeHTTP answers both endpoints.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.asked++
	d.tokens = append(d.tokens, r.Header.Get("Authorization")+r.PostFormValue("token"))
	status, says, slow := d.status, d.says.with(nil), d.slow
	d.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-r.Context().Done():
	}
	if status != 0 {
		http.Error(w, "no, "+r.Header.Get("Authorization"), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(says)
}

func (d *desk) set(change func(*desk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// heard is a session that follows its identity.
type heard struct {
	mu   sync.Mutex
	told []string
	stop func()
}

func follow(id authn.Identity) *heard {
	h := &heard{}
	h.stop = id.Standing.Follow(func(groups []string, err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case errors.Is(err, ErrRejected):
			h.told = append(h.told, "rejected")
		case err != nil:
			h.told = append(h.told, "unavailable")
		default:
			h.told = append(h.told, fmt.Sprint(groups))
		}
	})
	return h
}

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.told, " ")
}

func (h *heard) want(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	if got := h.all(); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// interval is that of these tests, which own the clock.
const interval = time.Minute

// asks runs a test with an issuer that is asked at its UserInfo endpoint.
func asks(t *testing.T, change func(*Config), test func(*testing.T, *desk, *Verifier)) {
	with := func(c *Config) {
		c.Recheck.Interval = interval
		if change != nil {
			change(c)
		}
	}
	withClock(t, with, func(t *testing.T, i *issuer, v *Verifier) {
		d := &desk{says: object{"sub": "1234", "groups": []string{"dba", "dev"}}}
		i.set(func(i *issuer) { i.userinfo, i.inspect = d.ServeHTTP, d.ServeHTTP })
		test(t, d, v)
	})
}

// longClaims are of a token that lives for the test.
func longClaims() object {
	return goodClaims().with(object{"exp": time.Now().Add(24 * time.Hour).Unix()})
}

// confirmed logs in with a token and must succeed.
func confirmed(t *testing.T, v *Verifier, bearer string) authn.Identity {
	t.Helper()
	id, err := v.Verify(t.Context(), bearer, "ana")
	if err != nil || id.Standing == nil {
		t.Fatalf("Verify = %+v, %v", id, err)
	}
	return id
}

// TestRecheckGroups: the groups are the issuer's at the login, and what it says later is told, once for each change.
func TestRecheckGroups(t *testing.T) {
	asks(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		d.set(func(d *desk) { d.says["groups"] = []string{"dev"} })
		bearer := token(goodHeader(), longClaims())
		id := confirmed(t, v, bearer)
		if diff := cmp.Diff([]string{"dev"}, id.Groups); diff != "" {
			t.Errorf("groups at the login (-want +got):\n%s", diff)
		}
		h := follow(id)
		defer h.stop()
		time.Sleep(3 * interval)
		h.want(t, "")
		if got := d.count(); got < 4 || got > 5 {
			t.Errorf("asked %d times in three intervals and at the login", got)
		}
		d.set(func(d *desk) { d.says["groups"] = []string{"dba", "dev"} })
		time.Sleep(interval)
		d.set(func(d *desk) { d.says["groups"] = []string{"dev", "dba"} }) // the same
		time.Sleep(2 * interval)
		d.set(func(d *desk) { d.says["groups"] = []string{} })
		time.Sleep(interval)
		h.want(t, "[dba dev] []")
		for _, sent := range d.tokens {
			if sent != "Bearer "+bearer {
				t.Fatalf("the issuer was sent %q", sent)
			}
		}
	})
}

// TestRecheckEnds: what ends an identity ends it at once and for all, and does not let it in again.
func TestRecheckEnds(t *testing.T) {
	tests := map[string]func(*desk){
		"revoked":                  func(d *desk) { d.status = http.StatusUnauthorized },
		"forbidden":                func(d *desk) { d.status = http.StatusForbidden },
		"another subject":          func(d *desk) { d.says["sub"] = "1235" },
		"no subject":               func(d *desk) { delete(d.says, "sub") },
		"groups that are not said": func(d *desk) { delete(d.says, "groups") },
		"groups of another type":   func(d *desk) { d.says["groups"] = 7 },
		"groups elsewhere": func(d *desk) {
			d.says["_claim_names"] = object{"groups": "src1"}
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			asks(t, nil, func(t *testing.T, d *desk, v *Verifier) {
				bearer := token(goodHeader(), longClaims())
				first, second := follow(confirmed(t, v, bearer)), follow(confirmed(t, v, bearer))
				other := follow(confirmed(t, v, token(goodHeader(), longClaims().with(object{"jti": "other"}))))
				defer other.stop()
				d.set(change)
				time.Sleep(interval)
				first.want(t, "rejected")
				second.want(t, "rejected")
				first.stop()
				second.stop()
				_, err := v.Verify(t.Context(), bearer, "ana")
				wantError(t, err, ErrRejected)
				if strings.Contains(err.Error(), bearer) {
					t.Errorf("the error has the token: %v", err)
				}
			})
		})
	}
}

// TestRecheckUnavailable: the last answer holds for a bounded time; then the identity ends, and nobody is let in by it.
func TestRecheckUnavailable(t *testing.T) {
	tests := map[string]func(*desk){
		"error":       func(d *desk) { d.status = http.StatusInternalServerError },
		"redirect":    func(d *desk) { d.status = http.StatusFound },
		"hangs":       func(d *desk) { d.slow = time.Hour },
		"too much":    func(d *desk) { d.says["filler"] = strings.Repeat("x", maxBodyBytes) },
		"not a claim": func(d *desk) { d.says = nil },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			asks(t, nil, func(t *testing.T, d *desk, v *Verifier) {
				bearer := token(goodHeader(), longClaims())
				h := follow(confirmed(t, v, bearer))
				d.set(change)
				time.Sleep(2 * interval)
				confirmed(t, v, bearer)
				time.Sleep(interval - fetchTimeout - time.Second)
				h.want(t, "")
				time.Sleep(3 * fetchTimeout)
				h.want(t, "unavailable")
				h.stop()
				_, err := v.Verify(t.Context(), bearer, "ana")
				wantError(t, err, ErrUnavailable)
				if strings.Contains(err.Error(), bearer) {
					t.Errorf("the error has the token: %v", err)
				}
				d.set(func(d *desk) {
					d.status, d.slow, d.says = 0, 0, object{"sub": "1234", "groups": []string{"dba"}}
				})
				confirmed(t, v, token(goodHeader(), longClaims()))
			})
		})
	}
}

// TestRecheckRecovers: an issuer that answers again within the bound has ended nothing, and is asked on.
func TestRecheckRecovers(t *testing.T) {
	asks(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		h := follow(confirmed(t, v, token(goodHeader(), longClaims())))
		defer h.stop()
		for range 3 {
			d.set(func(d *desk) { d.status = http.StatusBadGateway })
			time.Sleep(2 * interval)
			d.set(func(d *desk) { d.status = 0 })
			time.Sleep(interval)
		}
		d.set(func(d *desk) { d.says["groups"] = []string{"dev"} })
		time.Sleep(interval)
		h.want(t, "[dev]")
	})
}

// TestRecheckIsShared: sessions of one token ask together, and nobody asks about a token that nobody follows.
func TestRecheckIsShared(t *testing.T) {
	asks(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		d.set(func(d *desk) { d.slow = time.Second })
		bearer := token(goodHeader(), longClaims())
		var logins sync.WaitGroup
		sessions := make([]*heard, 50)
		for n := range sessions {
			logins.Go(func() { sessions[n] = follow(confirmed(t, v, bearer)) })
		}
		logins.Wait()
		if got := d.count(); got != 1 {
			t.Errorf("50 logins asked %d times", got)
		}
		time.Sleep(10 * interval)
		if got := d.count(); got < 10 || got > 14 {
			t.Errorf("50 sessions asked %d times in ten intervals", got)
		}
		for _, h := range sessions {
			h.stop()
			h.want(t, "")
		}
		v.recheck.mu.Lock()
		if s := v.recheck.tokens; len(s) != 1 {
			t.Errorf("%d tokens are remembered, want the one whose answer still holds", len(s))
		}
		for _, s := range v.recheck.tokens {
			if s.token != "" {
				t.Error("the token is kept without a session")
			}
		}
		v.recheck.mu.Unlock()
		asked := d.count()
		time.Sleep(10 * interval)
		if got := d.count(); got != asked {
			t.Errorf("asked %d times more for nobody", got-asked)
		}
		v.recheck.mu.Lock()
		defer v.recheck.mu.Unlock()
		if len(v.recheck.tokens) != 0 {
			t.Error("what the issuer said is remembered for ever")
		}
	})
}

// TestRecheckIsBounded: however many tokens there are, the issuer is asked a few things at once, and not about all of them at one moment.
func TestRecheckIsBounded(t *testing.T) {
	asks(t, func(c *Config) { c.Recheck.MaxStale = 24 * time.Hour }, func(t *testing.T, d *desk, v *Verifier) {
		const tokens = 200
		var sessions []*heard
		for n := range tokens {
			sessions = append(sessions, follow(confirmed(t, v, token(goodHeader(), longClaims().with(object{"jti": fmt.Sprint(n)})))))
		}
		asked := d.count()
		first := interval * 8 / 10
		time.Sleep(first + interval/50)
		if got := d.count() - asked; got > tokens/4 {
			t.Errorf("%d of %d questions came together", got, tokens)
		}
		time.Sleep(interval)
		d.set(func(d *desk) { d.slow = time.Hour })
		asked = d.count()
		time.Sleep(fetchTimeout - time.Second)
		if got := d.count() - asked; got > maxAsking {
			t.Errorf("%d questions at once", got)
		}
		for _, h := range sessions {
			h.stop()
		}
		time.Sleep(interval)
	})
}

// TestRecheckBeforeFollowing: what changed between the proof and the session is told at once.
func TestRecheckBeforeFollowing(t *testing.T) {
	asks(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		bearer := token(goodHeader(), longClaims())
		first := follow(confirmed(t, v, bearer))
		defer first.stop()
		id := confirmed(t, v, bearer)
		d.set(func(d *desk) { d.says["groups"] = []string{"dev"} })
		time.Sleep(interval)
		h := follow(id)
		defer h.stop()
		h.want(t, "[dev]")
	})
	asks(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		id := confirmed(t, v, token(goodHeader(), longClaims()))
		time.Sleep(2 * interval) // forgotten
		d.set(func(d *desk) { d.status = http.StatusUnauthorized })
		h := follow(id)
		h.want(t, "rejected")
	})
	asks(t, nil, func(t *testing.T, d *desk, v *Verifier) {
		bearer := token(goodHeader(), longClaims())
		first, id := follow(confirmed(t, v, bearer)), confirmed(t, v, bearer)
		d.set(func(d *desk) { d.status = http.StatusUnauthorized })
		time.Sleep(interval)
		first.want(t, "rejected")
		first.stop()
		h := follow(id) // a session that was waiting for its credential
		h.want(t, "rejected")
	})
}

// TestRecheckIntrospection: the gateway proves itself; inactive is the end, and groups that are not named are the token's.
func TestRecheckIntrospection(t *testing.T) {
	introspects := func(c *Config) { c.Recheck.ClientID, c.Recheck.ClientSecret = "gate way", always("s:cret") }
	asks(t, introspects, func(t *testing.T, d *desk, v *Verifier) {
		d.set(func(d *desk) { d.says = object{"active": true} })
		bearer := token(goodHeader(), longClaims())
		id := confirmed(t, v, bearer)
		if diff := cmp.Diff([]string{"dba", "dev"}, id.Groups); diff != "" {
			t.Errorf("groups (-want +got):\n%s", diff)
		}
		h := follow(id)
		if want := "Basic Z2F0ZSt3YXk6cyUzQWNyZXQ=" + bearer; d.tokens[0] != want {
			t.Errorf("sent %q, want %q", d.tokens[0], want)
		}
		d.set(func(d *desk) { d.says = object{"active": true, "sub": "1234", "groups": "dba"} })
		time.Sleep(interval)
		h.want(t, "[dba]")
		d.set(func(d *desk) { d.says = object{"active": false} })
		time.Sleep(interval)
		h.want(t, "[dba] rejected")
		_, err := v.Verify(t.Context(), bearer, "ana")
		wantError(t, err, ErrRejected)
	})
	for name, says := range map[string]object{
		"inactive":               {"active": false, "sub": "1234"},
		"active in words":        {"active": "true", "sub": "1234"},
		"nothing of being so":    {"sub": "1234"},
		"another subject":        {"active": true, "sub": "1235"},
		"a subject that is none": {"active": true, "sub": 7},
	} {
		t.Run(name, func(t *testing.T) {
			asks(t, introspects, func(t *testing.T, d *desk, v *Verifier) {
				d.set(func(d *desk) { d.says = says })
				_, err := v.Verify(t.Context(), token(goodHeader(), longClaims()), "ana")
				wantError(t, err, ErrRejected)
			})
		})
	}
	t.Run("the gateway is not known", func(t *testing.T) {
		asks(t, introspects, func(t *testing.T, d *desk, v *Verifier) {
			d.set(func(d *desk) { d.status = http.StatusUnauthorized })
			_, err := v.Verify(t.Context(), token(goodHeader(), longClaims()), "ana")
			wantError(t, err, ErrUnavailable)
		})
	})
}

// TestRecheckSecret: another secret counts from the next question on, and one that cannot be had is no answer.
func TestRecheckSecret(t *testing.T) {
	var secret atomic.Pointer[string]
	holds := func(text string) { secret.Store(&text) }
	holds("first")
	reads := func(c *Config) {
		c.Recheck.ClientID, c.Recheck.ClientSecret = "gateway", func() (string, error) {
			if text := secret.Load(); text != nil {
				return *text, nil
			}
			return "", errors.New("permission denied")
		}
	}
	asks(t, reads, func(t *testing.T, d *desk, v *Verifier) {
		d.set(func(d *desk) { d.says = object{"active": true} })
		h := follow(confirmed(t, v, token(goodHeader(), longClaims())))
		defer h.stop()
		holds("second")
		time.Sleep(interval)
		d.mu.Lock()
		for n, want := range []string{"first", "second"} {
			if sent := d.tokens[n]; !strings.HasPrefix(sent, "Basic "+base64.StdEncoding.EncodeToString([]byte("gateway:"+want))) {
				t.Errorf("question %d was asked with %q, want the %s secret", n, sent, want)
			}
		}
		d.mu.Unlock()
		secret.Store(nil)
		_, err := v.Verify(t.Context(), token(goodHeader(), longClaims().with(object{"jti": "other"})), "ana")
		wantError(t, err, ErrUnavailable)
		time.Sleep(4 * interval)
		h.want(t, "unavailable")
	})
}

// always is a secret that stays.
func always(secret string) func() (string, error) {
	if secret == "" {
		return nil
	}
	return func() (string, error) { return secret, nil }
}

// TestRecheckNeedsEndpoint: an issuer that cannot be asked lets nobody in.
func TestRecheckNeedsEndpoint(t *testing.T) {
	for _, client := range []string{"", "gateway"} {
		with := func(c *Config) {
			c.Recheck = Recheck{Interval: interval, ClientID: client, ClientSecret: always(client)}
		}
		withClock(t, with, func(t *testing.T, _ *issuer, v *Verifier) {
			_, err := v.Verify(t.Context(), token(goodHeader(), goodClaims()), "ana")
			wantError(t, err, ErrUnavailable)
		})
	}
}

// TestRecheckObserve: every answer is told, whoever asked.
func TestRecheckObserve(t *testing.T) {
	var mu sync.Mutex
	var all []string
	observe := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, fmt.Sprint(errors.Is(err, ErrRejected), " ", errors.Is(err, ErrUnavailable)))
	}
	asks(t, func(c *Config) { c.Recheck.Observe = observe }, func(t *testing.T, d *desk, v *Verifier) {
		bearer := token(goodHeader(), longClaims())
		defer follow(confirmed(t, v, bearer)).stop()
		d.set(func(d *desk) { d.status = http.StatusBadGateway })
		time.Sleep(interval)
		d.set(func(d *desk) { d.status = http.StatusUnauthorized })
		time.Sleep(interval)
	})
	if got, want := strings.Join(all, ", "), "false false, false true, true false"; got != want {
		t.Errorf("observed %s, want %s", got, want)
	}
}

func TestRecheckConfig(t *testing.T) {
	for name, recheck := range map[string]Recheck{
		"too often":              {Interval: time.Second},
		"too seldom":             {Interval: 2 * time.Hour},
		"stale before its time":  {Interval: time.Minute, MaxStale: time.Second},
		"stale for ever":         {Interval: time.Minute, MaxStale: 48 * time.Hour},
		"stale without asking":   {MaxStale: time.Minute},
		"a client without proof": {Interval: time.Minute, ClientID: "gateway"},
		"proof without a client": {Interval: time.Minute, ClientSecret: always("s")},
	} {
		if _, err := New(Config{Issuer: "https://id.example", Audiences: []string{"a"}, Recheck: recheck}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
