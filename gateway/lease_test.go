package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/credentials"
	"github.com/sallyport/sallyport/gateway/wire"
)

// timed is a session of which only time matters.
type timed struct {
	relay *relay
	clock *clock
	stop  func()
}

func startTimed(t *testing.T, limits Timeouts, id authn.Identity, g grant, lease credentials.Lease) timed {
	t.Helper()
	client, clientEnd := net.Pipe()
	backend, backendEnd := net.Pipe()
	t.Cleanup(func() {
		for _, c := range []net.Conn{client, clientEnd, backend, backendEnd} {
			_ = c.Close()
		}
	})
	r := &relay{client: client, backend: backend, queue: newQueue(), names: &names{}}
	r.active(time.Now())
	s := &session{config: &Config{Timeouts: limits.withDefaults()}, logger: slog.New(slog.DiscardHandler)}
	c := startClock(s, r, id, g, lease)
	x := timed{relay: r, clock: c, stop: sync.OnceFunc(c.stop)}
	t.Cleanup(x.stop)
	return x
}

// ended is why the session has ended, "" if it goes on.
func (x timed) ended() string {
	synctest.Wait()
	x.relay.mu.Lock()
	defer x.relay.mu.Unlock()
	if x.relay.ending == nil {
		return ""
	}
	return x.relay.ending.reason.String()
}

func TestClockEnds(t *testing.T) {
	type setup struct {
		limits Timeouts
		id     authn.Identity
		grant  grant
		lease  credentials.Lease
	}
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	grantOf := func(session, idle time.Duration) (g grant) {
		g.MaxSession, g.IdleTimeout = session, idle
		return g
	}
	tests := map[string]struct {
		make   func() setup
		after  time.Duration // it lives until just before
		reason string
	}{
		"lifetime of the configuration": {
			func() setup { return setup{limits: Timeouts{Session: time.Hour}} }, time.Hour, "lifetime",
		},
		"lifetime of the grant": {
			func() setup { return setup{limits: Timeouts{Session: time.Hour}, grant: grantOf(time.Minute, 0)} }, time.Minute, "lifetime",
		},
		"a grant cannot live longer than the configuration says": {
			func() setup { return setup{limits: Timeouts{Session: time.Minute}, grant: grantOf(time.Hour, 0)} }, time.Minute, "lifetime",
		},
		"identity": {
			func() setup { return setup{id: authn.Identity{Expires: in(10 * time.Minute)}} }, 10 * time.Minute, "identity_expired",
		},
		"identity that has expired already": {
			func() setup { return setup{id: authn.Identity{Expires: in(-time.Second)}} }, 0, "identity_expired",
		},
		"lease that cannot be renewed": {
			func() setup { return setup{lease: credentials.Lease{Expires: in(time.Hour)}} }, time.Hour - leaseMargin, "lease_expired",
		},
		"lease that is over already": {
			func() setup { return setup{lease: credentials.Lease{Expires: in(-time.Second)}} }, 0, "lease_expired",
		},
		"idle": {
			func() setup { return setup{limits: Timeouts{Idle: time.Minute}} }, time.Minute, "idle",
		},
		"idle by the grant": {
			func() setup { return setup{limits: Timeouts{Idle: time.Hour}, grant: grantOf(0, time.Minute)} }, time.Minute, "idle",
		},
		"the earliest of all": {
			func() setup {
				return setup{
					limits: Timeouts{Session: 3 * time.Minute, Idle: 5 * time.Minute}, id: authn.Identity{Expires: in(2 * time.Minute)},
					lease: credentials.Lease{Expires: in(4 * time.Minute)},
				}
			}, 2 * time.Minute, "identity_expired",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := tt.make()
				x := startTimed(t, s.limits, s.id, s.grant, s.lease)
				if tt.after > 0 {
					time.Sleep(tt.after - time.Second)
					if got := x.ended(); got != "" {
						t.Fatalf("ended by %s a second early", got)
					}
				}
				time.Sleep(time.Second)
				if got := x.ended(); got != tt.reason {
					t.Errorf("ended by %q, want %q", got, tt.reason)
				}
			})
		})
	}
}

func TestClockIdle(t *testing.T) {
	const limit = time.Minute
	tests := map[string]struct {
		live func(x timed) // what happens in the first minute and a half
		want string        // after three minutes
	}{
		"a busy session is not idle": {func(x timed) {
			_, _, _ = x.relay.queue.push(entry{kind: wire.Query})
			time.Sleep(limit + limit/2)
		}, ""},
		"activity sets the time anew": {func(x timed) {
			time.Sleep(limit / 2)
			x.relay.active(time.Now())
			time.Sleep(limit)
		}, "idle"},
		"idle in a transaction": {func(x timed) {
			_, _, _ = x.relay.queue.push(entry{kind: wire.Query})
			x.relay.queue.ready(wire.InTransaction)
			time.Sleep(limit + limit/2)
		}, "idle_in_transaction"},
		"idle in a failed transaction": {func(x timed) {
			_, _, _ = x.relay.queue.push(entry{kind: wire.Query})
			x.relay.queue.ready(wire.Failed)
			time.Sleep(limit + limit/2)
		}, "idle_in_transaction"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := startTimed(t, Timeouts{Idle: limit}, authn.Identity{}, grant{}, credentials.Lease{})
				tt.live(x)
				time.Sleep(limit + limit/2)
				if got := x.ended(); got != tt.want {
					t.Errorf("ended by %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestClockStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := startTimed(t, Timeouts{Session: time.Minute, Idle: time.Minute}, authn.Identity{}, grant{}, credentials.Lease{})
		x.stop()
		x.clock.after(alarmLife, time.Second, func() { t.Error("a timer set after the end runs") })
		time.Sleep(time.Hour)
		if got := x.ended(); got != "" {
			t.Errorf("ended by %s after the clock was stopped", got)
		}
	})
}

// renewing gives every lease another hour.
type renewing struct{ issuer }

func (renewing) Renew(_ context.Context, lease credentials.Lease) (credentials.Lease, error) {
	lease.Expires = time.Now().Add(time.Hour)
	return lease, nil
}

// TestRenewedLeaseIsRevoked until it ends, and not until it would have ended at first.
func TestRenewedLeaseIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lease := credentials.Lease{ID: "database/creds/app/1", Expires: time.Now().Add(time.Hour), Renewable: true}
		x := startTimed(t, Timeouts{Session: 24 * time.Hour}, authn.Identity{}, grant{database: Database{Credentials: renewing{}}}, lease)
		s, attempts := x.clock.session, 0
		s.lease = &lease
		s.revoker = credentials.NewRevoker(credentials.RevokerConfig{Revoke: func(context.Context, credentials.Lease) error {
			if attempts++; attempts < 5 {
				return errors.New("out of reach")
			}
			return nil
		}}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = s.revoker.Run(ctx) }()
		time.Sleep(3 * time.Hour)
		if got := x.ended(); got != "" {
			t.Fatalf("ended by %s", got)
		}
		x.stop()
		if err := <-s.revoker.Revoke(*s.lease); err != nil {
			t.Errorf("given up after %d attempts: %v", attempts, err)
		}
	})
}

func TestRenewalTimes(t *testing.T) {
	tests := map[string]struct {
		left        time.Duration
		renewable   bool
		least, most time.Duration
	}{
		"an hour":                     {time.Hour, true, 27 * time.Minute, 33 * time.Minute},
		"an hour, not renewable":      {time.Hour, false, time.Hour - leaseMargin, time.Hour - leaseMargin},
		"twelve seconds":              {12 * time.Second, true, 5 * time.Second, 7 * time.Second},
		"little more than the margin": {leaseMargin + 10*time.Millisecond, true, minRenewal, minRenewal},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &clock{margin: leaseMargin, lease: credentials.Lease{Expires: time.Now().Add(tt.left), Renewable: tt.renewable}}
				for range 100 {
					if got := c.renewal(); got < tt.least || got > tt.most {
						t.Fatalf("renews after %v, want %v to %v", got, tt.least, tt.most)
					}
				}
			})
		})
	}
}
