package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var errRevoke = errors.New("role cannot be dropped")

// attempts counts what a Revoker asks for, and fails as long as left is not 0.
type attempts struct {
	mu      sync.Mutex
	left    map[string]int // failures to come, by lease; -1: for ever
	made    map[string]int
	running int
	most    int
	takes   time.Duration
}

func (a *attempts) revoke(ctx context.Context, lease Lease) error {
	a.mu.Lock()
	a.running++
	a.most = max(a.most, a.running)
	a.made[lease.ID]++
	failing := a.left[lease.ID] != 0
	if a.left[lease.ID] > 0 {
		a.left[lease.ID]--
	}
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.running--
	}()
	pause(ctx, a.takes, nil)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failing:
		return errRevoke
	}
	return nil
}

func (a *attempts) count(id string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.made[id]
}

// working runs body with a Revoker that runs; stop ends its Run and waits.
func working(t *testing.T, cfg RevokerConfig, a *attempts, body func(t *testing.T, r *Revoker, stop func())) {
	t.Helper()
	a.made = map[string]int{}
	synctest.Test(t, func(t *testing.T) {
		cfg.Revoke = a.revoke
		r := NewRevoker(cfg, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		stop := func() {
			cancel()
			running.Wait()
		}
		defer stop()
		body(t, r, stop)
	})
}

func lease(id string, left time.Duration) Lease { return Lease{ID: id, Expires: time.Now().Add(left)} }

// within waits for a revocation to be settled.
func within(t *testing.T, settled <-chan error, wait time.Duration) error {
	t.Helper()
	select { // both may be ready when wait is 0
	case err := <-settled:
		return err
	default:
	}
	select {
	case err := <-settled:
		return err
	case <-time.After(wait):
		t.Fatalf("not settled within %s", wait)
		return nil
	}
}

func TestRevokerRevokes(t *testing.T) {
	working(t, RevokerConfig{}, &attempts{takes: time.Second}, func(t *testing.T, r *Revoker, _ func()) {
		settled := r.Revoke(lease("a", time.Hour))
		if r.Pending() != 1 {
			t.Errorf("Pending = %d, want 1", r.Pending())
		}
		if err := within(t, settled, 2*time.Second); err != nil {
			t.Error(err)
		}
		if err := r.Drain(t.Context()); err != nil || r.Pending() != 0 {
			t.Errorf("Drain: %v, Pending %d", err, r.Pending())
		}
	})
}

func TestRevokerRetries(t *testing.T) {
	a := &attempts{left: map[string]int{"a": 5}}
	working(t, RevokerConfig{}, a, func(t *testing.T, r *Revoker, _ func()) {
		started := time.Now()
		if err := within(t, r.Revoke(lease("a", time.Hour)), time.Minute); err != nil {
			t.Error(err)
		}
		// 250 ms, 500 ms, 1 s, 2 s, 4 s, less a tenth at most.
		if took := time.Since(started); a.count("a") != 6 || took < 6900*time.Millisecond || took > 7750*time.Millisecond {
			t.Errorf("%d attempts in %s", a.count("a"), took)
		}
	})
}

func TestRevokerGivesUpAtLeaseEnd(t *testing.T) {
	for name, end := range map[string]time.Duration{"known": 10 * time.Minute, "past": -time.Second} {
		t.Run(name, func(t *testing.T) {
			a := &attempts{left: map[string]int{"a": -1}}
			working(t, RevokerConfig{}, a, func(t *testing.T, r *Revoker, _ func()) {
				started := time.Now()
				err := within(t, r.Revoke(lease("a", end)), time.Hour)
				if !errors.Is(err, ErrLeaseEnded) || !errors.Is(err, errRevoke) {
					t.Errorf("settled with %v", err)
				}
				if late := time.Since(started) - max(end, 0); late < 0 || late > lastRetry {
					t.Errorf("given up %s after the lease's end", late)
				}
				if a.count("a") > 40 {
					t.Errorf("%d attempts", a.count("a"))
				}
			})
		})
	}
	t.Run("unknown", func(t *testing.T) {
		working(t, RevokerConfig{}, &attempts{left: map[string]int{"a": -1}}, func(t *testing.T, r *Revoker, _ func()) {
			if err := within(t, r.Revoke(Lease{ID: "a"}), unknownEnd+lastRetry); !errors.Is(err, ErrLeaseEnded) {
				t.Errorf("settled with %v", err)
			}
		})
	})
}

// TestRevokerDoesNotStarve: leases that cannot be revoked do not hold up those that can.
func TestRevokerDoesNotStarve(t *testing.T) {
	a := &attempts{left: map[string]int{}, takes: 100 * time.Millisecond}
	for i := range 100 {
		a.left[fmt.Sprint("stuck-", i)] = -1
	}
	working(t, RevokerConfig{Workers: 4}, a, func(t *testing.T, r *Revoker, _ func()) {
		for i := range 100 {
			r.Revoke(lease(fmt.Sprint("stuck-", i), time.Hour))
		}
		time.Sleep(5 * time.Minute)
		if err := within(t, r.Revoke(lease("good", time.Hour)), 3*time.Second); err != nil {
			t.Error(err)
		}
		if a.most > 4 {
			t.Errorf("%d attempts at a time, want 4 at most", a.most)
		}
	})
}

func TestRevokerIsBounded(t *testing.T) {
	a := &attempts{left: map[string]int{"a": -1, "b": -1}}
	working(t, RevokerConfig{Pending: 2}, a, func(t *testing.T, r *Revoker, _ func()) {
		r.Revoke(lease("a", time.Hour))
		r.Revoke(lease("b", time.Hour))
		if err := within(t, r.Revoke(lease("c", time.Hour)), 0); !errors.Is(err, ErrTooMany) {
			t.Errorf("the third of two settled with %v", err)
		}
		if a.count("c") != 0 || r.Pending() != 2 {
			t.Errorf("attempted %d times, Pending %d", a.count("c"), r.Pending())
		}
	})
}

// TestRevokerHurries: what waits for its turn after a long outage does not when the gateway is about to end, though nobody drains yet.
func TestRevokerHurries(t *testing.T) {
	a := &attempts{left: map[string]int{"a": 12}}
	working(t, RevokerConfig{}, a, func(t *testing.T, r *Revoker, _ func()) {
		settled := r.Revoke(lease("a", time.Hour))
		time.Sleep(40 * time.Second) // the ninth attempt is due at about a minute
		r.Hurry()
		if err := within(t, settled, 5*time.Second); err != nil || a.count("a") != 13 {
			t.Errorf("settled with %v after %d attempts", err, a.count("a"))
		}
	})
}

// TestRevokerHurriesWhatFails: an attempt that is under way when the hurry begins, and fails, is repeated as soon as any other.
func TestRevokerHurriesWhatFails(t *testing.T) {
	a := &attempts{left: map[string]int{"a": 8}, takes: 5 * time.Second}
	working(t, RevokerConfig{}, a, func(t *testing.T, r *Revoker, _ func()) {
		settled := r.Revoke(lease("a", time.Hour))
		for a.count("a") < 8 {
			time.Sleep(time.Second)
		}
		r.Hurry()
		if err := within(t, settled, 11*time.Second); err != nil { // the rest of this attempt, a second, and the next
			t.Error(err)
		}
	})
}

func TestRevokerDrain(t *testing.T) {
	t.Run("hurries", func(t *testing.T) {
		a := &attempts{left: map[string]int{"a": 8}}
		working(t, RevokerConfig{}, a, func(t *testing.T, r *Revoker, _ func()) {
			settled := r.Revoke(lease("a", time.Hour))
			time.Sleep(40 * time.Second) // the ninth attempt is due at about a minute
			started := time.Now()
			if err := r.Drain(t.Context()); err != nil || time.Since(started) > time.Second {
				t.Errorf("Drain: %v after %s", err, time.Since(started))
			}
			if err := within(t, settled, 0); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("goes on hurrying", func(t *testing.T) {
		a := &attempts{left: map[string]int{"a": 12}}
		working(t, RevokerConfig{}, a, func(t *testing.T, r *Revoker, _ func()) {
			r.Revoke(lease("a", time.Hour))
			time.Sleep(40 * time.Second)
			started := time.Now()
			if err := r.Drain(t.Context()); err != nil || time.Since(started) > 5*time.Second {
				t.Errorf("Drain: %v after %s", err, time.Since(started))
			}
		})
	})
	t.Run("is bounded", func(t *testing.T) {
		working(t, RevokerConfig{}, &attempts{left: map[string]int{"a": -1}}, func(t *testing.T, r *Revoker, _ func()) {
			r.Revoke(lease("a", time.Hour))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := r.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || r.Pending() != 1 {
				t.Errorf("Drain: %v, Pending %d", err, r.Pending())
			}
		})
	})
	t.Run("of nothing", func(t *testing.T) {
		if err := NewRevoker(RevokerConfig{}, slog.New(slog.DiscardHandler)).Drain(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRevokerStops(t *testing.T) {
	a := &attempts{left: map[string]int{"a": -1}, takes: 10 * time.Second}
	working(t, RevokerConfig{Workers: 1}, a, func(t *testing.T, r *Revoker, stop func()) {
		first, second := r.Revoke(lease("a", time.Hour)), r.Revoke(lease("b", time.Hour))
		synctest.Wait()
		stop()
		for name, settled := range map[string]<-chan error{"under way": first, "waiting": second, "late": r.Revoke(lease("c", time.Hour))} {
			if err := within(t, settled, 0); !errors.Is(err, ErrNotRunning) {
				t.Errorf("%s: settled with %v, want %v", name, err, ErrNotRunning)
			}
		}
		if r.Pending() != 0 {
			t.Errorf("Pending = %d", r.Pending())
		}
	})
}

// TestRevokerHangs bounds an attempt that never ends.
func TestRevokerHangs(t *testing.T) {
	a := &attempts{takes: time.Hour}
	working(t, RevokerConfig{AttemptTimeout: time.Second}, a, func(t *testing.T, r *Revoker, _ func()) {
		r.Revoke(lease("a", time.Hour))
		time.Sleep(10 * time.Second)
		if a.count("a") < 4 {
			t.Errorf("%d attempts in ten seconds", a.count("a"))
		}
	})
}
