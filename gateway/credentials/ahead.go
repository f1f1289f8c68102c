package credentials

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// warm is for how long after its last use a role has credentials ready: a working day's pauses, not its nights. Each that nobody
	// takes costs the backend a CREATE ROLE and a DROP ROLE.
	warm = time.Hour
	// maxComing bounds what is asked for ahead at a time, so that logins which wait find Vault free.
	maxComing = 4
	// A role whose credentials cannot be issued is tried again after firstRestock, twice as long each time up to lastRestock.
	firstRestock = time.Second
	lastRestock  = 30 * time.Second
	// freshShare of a lease's time is for how long it may lie ready: the session that takes it has the rest before it must be renewed.
	freshShare = 4
)

// ahead issues credentials before they are needed, so that a login does not wait for it. Each is used once, by one session, and
// revoked if nobody takes it in time. A role gets the first when it is used for the first time.
type ahead struct {
	size   int // of each role's stock; 0: nothing is issued ahead
	issue  func(context.Context, string) (Lease, error)
	revoke func(Lease)
	log    *slog.Logger
	wake   chan struct{} // one place: the stocks have changed

	requests sync.WaitGroup // what is coming

	mu     sync.Mutex
	stocks map[string]*stock
	coming int // of all roles
	over   bool
}

// stock is what is ready for one role.
type stock struct {
	ready   []waiting // the oldest first
	coming  int
	used    time.Time
	retry   time.Time // not before; zero: at once
	backoff time.Duration
}

// waiting is a credential that nobody has taken yet.
type waiting struct {
	lease Lease
	stale time.Time // when it is too old to be taken
}

func newAhead(size int, issue func(context.Context, string) (Lease, error), revoke func(Lease), log *slog.Logger) *ahead {
	return &ahead{size: size, issue: issue, revoke: revoke, log: log, wake: make(chan struct{}, 1), stocks: make(map[string]*stock)}
}

// take gives the caller a credential that is ready, the oldest that is still fresh.
func (a *ahead) take(role string) (lease Lease, ok bool) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.stocks[role]
	if s == nil {
		return Lease{}, false
	}
	s.used = now
	a.notify()
	a.discard(s, now)
	if len(s.ready) == 0 {
		return Lease{}, false
	}
	lease = s.ready[0].lease
	lease.Stocked = true
	s.ready = slices.Delete(s.ready, 0, 1)
	return lease, true
}

// used notes that a role exists and is asked for.
func (a *ahead) used(role string) {
	if a.size == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stocks[role] == nil {
		a.stocks[role] = new(stock)
	}
	a.stocks[role].used = time.Now()
	a.notify()
}

// discard revokes what has waited for too long, and forgets what has ended with its token. The lock is held.
func (a *ahead) discard(s *stock, now time.Time) {
	s.ready = slices.DeleteFunc(s.ready, func(w waiting) bool {
		select {
		case <-w.lease.Lost(): // the role is gone, or is about to go
			return true
		default:
		}
		if now.Before(w.stale) {
			return false
		}
		a.revoke(w.lease)
		return true
	})
}

// run fills the stocks until ctx ends, and then revokes what is in them.
func (a *ahead) run(ctx context.Context) error {
	for ctx.Err() == nil {
		role, wait := a.next(time.Now())
		if role == "" {
			pause(ctx, wait, a.wake)
			continue
		}
		go a.restock(ctx, role)
	}
	a.stop()
	a.requests.Wait()
	return nil
}

// next takes on the issue of one credential, or says how long nothing needs to be done.
func (a *ahead) next(now time.Time) (role string, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wait = warm
	for name, s := range a.stocks {
		a.discard(s, now)
		if len(s.ready) > 0 {
			wait = min(wait, s.ready[0].stale.Sub(now))
		}
		cold := now.Sub(s.used) >= warm
		switch {
		case cold && len(s.ready)+s.coming == 0:
			delete(a.stocks, name)
		case cold || len(s.ready)+s.coming >= a.size || a.coming >= maxComing || a.over:
		case s.backoff > 0 && s.coming > 0: // one attempt finds out whether it goes again
		case now.Before(s.retry):
			wait = min(wait, s.retry.Sub(now))
		default:
			s.coming++
			a.coming++
			a.requests.Add(1) // here: who has called stop may wait for them
			return name, 0
		}
	}
	return "", wait
}

// restock issues one credential.
func (a *ahead) restock(ctx context.Context, role string) {
	defer a.requests.Done()
	lease, err := a.issue(ctx, role)
	now := time.Now()
	left := lease.Expires.Sub(now)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.coming--
	a.notify()
	s := a.stocks[role] // stays while something is coming
	s.coming--
	switch {
	case err != nil:
		if s.backoff == 0 && ctx.Err() == nil {
			a.log.Warn("credential not issued ahead; logins wait for theirs meanwhile", "role", role, "error", err)
		}
		s.postpone(now)
	case a.over:
		a.revoke(lease)
	case left < lease.ttl/2: // it ends with the gateway's token, which is about to be replaced
		a.revoke(lease)
		s.postpone(now)
	default:
		s.ready = append(s.ready, waiting{lease, now.Add(left / freshShare)})
		s.backoff, s.retry = 0, time.Time{}
	}
}

func (s *stock) postpone(now time.Time) {
	s.backoff = min(max(2*s.backoff, firstRestock), lastRestock)
	s.retry = now.Add(jitter(s.backoff))
}

// stock is how many credentials lie ready.
func (a *ahead) stock() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.stocks {
		n += len(s.ready)
	}
	return n
}

// stop ends it: what is ready is revoked, and what is coming as it comes.
func (a *ahead) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	for _, s := range a.stocks {
		for _, w := range s.ready {
			a.revoke(w.lease)
		}
		clear(s.ready) // passwords
		s.ready = nil
	}
}

// notify is called with the lock held.
func (a *ahead) notify() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// obtain is issue for a session that waits: it gets a credential that was issued ahead if there is one.
func (a *ahead) obtain(ctx context.Context, role string) (Lease, error) {
	if lease, ok := a.take(role); ok {
		return lease, nil
	}
	lease, err := a.issue(ctx, role)
	if err == nil {
		a.used(role)
	}
	return lease, err
}

// Take is Issue for a session that waits, but not for longer than patience: it gets a credential that was issued ahead if there is one.
func (v *Vault) Take(ctx context.Context, role string) (Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return v.ahead.obtain(ctx, role)
}

// Stock is how many credentials were issued ahead and lie ready.
func (v *Vault) Stock() int { return v.ahead.stock() }

// issueAhead issues what sessions have taken before, by the name that it has among the stocks.
func (v *Vault) issueAhead(ctx context.Context, name string) (Lease, error) {
	if p, user, ok := v.pkiOf(name); ok {
		return p.Issue(ctx, user)
	}
	return v.Issue(ctx, name)
}
