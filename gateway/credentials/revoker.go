package credentials

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	// defaultPending bounds the memory; beyond it Vault is so far behind that the leases' own end is the better hope.
	defaultPending = 4096
	// defaultWorkers is how many revocations are asked for at once: each makes Vault run DROP ROLE.
	defaultWorkers = 8
	// defaultAttemptTimeout is for one attempt.
	defaultAttemptTimeout = 20 * time.Second
	// A revocation that failed is tried again after firstRetry, twice as long each time up to lastRetry.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 30 * time.Second
	// hurriedRetry is the longest pause once the gateway is about to end.
	hurriedRetry = time.Second
	// unknownEnd is for how long a lease is pursued that does not say when it ends.
	unknownEnd = time.Hour
)

// Why a revocation was given up.
var (
	ErrLeaseEnded  = errors.New("the lease ended before it was revoked")
	ErrTooMany     = errors.New("too many revocations are pending")
	ErrNotRunning  = errors.New("the revoker has stopped")
	errStillActive = errors.New("revocations are pending")
)

// RevokerConfig says what a Revoker does. Zero values have defaults, except for Revoke.
type RevokerConfig struct {
	Revoke         func(context.Context, Lease) error // one attempt
	Settled        func(Lease)                        // a lease needs no revocation any more; nil: nobody wants to know
	Pending        int                                // most leases at a time; 0: 4096
	Workers        int                                // most attempts at a time; 0: 8
	AttemptTimeout time.Duration                      // 0: 20 seconds
}

// Revoker revokes leases in the background, and tries again until Vault has done it or the lease has ended by itself. Its methods
// may be called from many goroutines; nothing happens before Run does.
type Revoker struct {
	cfg  RevokerConfig
	log  *slog.Logger
	wake chan struct{} // one place: the queue has changed

	mu      sync.Mutex
	waiting []*revocation
	pending int           // waiting and being attempted
	idle    chan struct{} // closed when pending comes to 0; nil if nobody waits
	hurried bool
	stopped bool
}

// revocation is one lease on its way.
type revocation struct {
	lease    Lease
	due      time.Time
	end      time.Time
	attempts int
	settled  chan error // one place
}

// NewRevoker makes a Revoker. Vault has one of its own: this is for tests and other sources of credentials.
func NewRevoker(cfg RevokerConfig, log *slog.Logger) *Revoker {
	if cfg.Pending <= 0 {
		cfg.Pending = defaultPending
	}
	if cfg.Workers <= 0 {
		cfg.Workers = defaultWorkers
	}
	if cfg.AttemptTimeout <= 0 {
		cfg.AttemptTimeout = defaultAttemptTimeout
	}
	return &Revoker{cfg: cfg, log: log, wake: make(chan struct{}, 1)}
}

// Revoke takes over the lease and returns at once. The channel gives exactly one value: nil when the role is gone, or why it was
// given up. Nobody has to read it: a session waits a moment, and says "revoked" or "pending".
func (r *Revoker) Revoke(lease Lease) <-chan error {
	settled := make(chan error, 1)
	now := time.Now()
	end := lease.Expires
	if end.IsZero() {
		end = now.Add(unknownEnd)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopped:
		settled <- ErrNotRunning
	case r.pending >= r.cfg.Pending:
		settled <- ErrTooMany
	default:
		r.pending++
		r.enqueue(&revocation{lease: lease, due: now, end: end, settled: settled})
		return settled
	}
	r.log.Error("lease not revoked: it is left to end by itself", "lease", lease.IDHash(), "expires", lease.Expires)
	return settled
}

// Pending is how many leases are neither revoked nor given up.
func (r *Revoker) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending
}

// Hurry has everything that waits tried at once, and from now on again every second: what was away for long may be back before the gateway
// has ended.
func (r *Revoker) Hurry() {
	r.mu.Lock()
	r.hurried = true
	r.mu.Unlock()
	r.retryNow()
}

// retryNow has everything that waits tried at once: what was away is back.
func (r *Revoker) retryNow() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for _, entry := range r.waiting {
		entry.due = now
	}
	r.notify()
}

// Drain hurries, and returns nil when nothing is pending, or an error that says how much is when ctx ends.
func (r *Revoker) Drain(ctx context.Context) error {
	r.Hurry()
	r.mu.Lock()
	if r.pending == 0 {
		r.mu.Unlock()
		return nil
	}
	if r.idle == nil {
		r.idle = make(chan struct{})
	}
	idle := r.idle
	r.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain revocations: %d: %w: %w", r.Pending(), errStillActive, ctx.Err())
	}
}

// Run works until ctx ends, waits for the attempts under way, gives up the rest, and returns nil.
func (r *Revoker) Run(ctx context.Context) error {
	var attempts sync.WaitGroup
	places := make(chan struct{}, r.cfg.Workers)
	for ctx.Err() == nil {
		entry, wait := r.next(time.Now())
		if entry == nil {
			pause(ctx, wait, r.wake)
			continue
		}
		select {
		case places <- struct{}{}:
			attempts.Go(func() {
				defer func() { <-places }()
				r.attempt(ctx, entry)
			})
		case <-ctx.Done():
			r.postpone(entry)
		}
	}
	attempts.Wait()
	r.stop()
	return nil
}

// next takes the entry that has been due longest, or says how long there is none.
func (r *Revoker) next(now time.Time) (*revocation, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := -1
	for i, entry := range r.waiting {
		if first < 0 || entry.due.Before(r.waiting[first].due) {
			first = i
		}
	}
	if first < 0 {
		return nil, lastRetry
	}
	entry := r.waiting[first]
	if wait := entry.due.Sub(now); wait > 0 {
		return nil, wait
	}
	last := len(r.waiting) - 1
	r.waiting[first], r.waiting[last] = r.waiting[last], nil
	r.waiting = r.waiting[:last]
	return entry, 0
}

// attempt asks once. An entry that failed goes back to the queue until its lease ends.
func (r *Revoker) attempt(ctx context.Context, entry *revocation) {
	attempt, cancel := context.WithTimeout(ctx, r.cfg.AttemptTimeout)
	err := r.cfg.Revoke(attempt, entry.lease)
	cancel()
	now := time.Now()
	switch {
	case err == nil:
		r.settle(entry, nil)
	case !now.Before(entry.end):
		r.log.Error("lease ended before it was revoked", "lease", entry.lease.IDHash(), "attempts", entry.attempts+1, "error", err)
		r.settle(entry, fmt.Errorf("%w: %w", ErrLeaseEnded, err))
	default:
		if entry.attempts == 0 && ctx.Err() == nil {
			r.log.Warn("lease not revoked yet", "lease", entry.lease.IDHash(), "error", err)
		}
		r.retry(entry, now)
	}
}

// retry puts an entry that failed back. Whoever hurries finds it in the queue, or it finds that there is a hurry.
func (r *Revoker) retry(entry *revocation, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	longest := lastRetry
	if r.hurried {
		longest = hurriedRetry
	}
	entry.due = now.Add(jitter(min(firstRetry<<min(entry.attempts, 16), longest)))
	entry.attempts++
	r.enqueue(entry)
}

func (r *Revoker) postpone(entry *revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enqueue(entry)
}

// enqueue and notify are called with the lock held.
func (r *Revoker) enqueue(entry *revocation) {
	r.waiting = append(r.waiting, entry)
	r.notify()
}

func (r *Revoker) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// settle ends an entry: the lease is revoked, or has ended.
func (r *Revoker) settle(entry *revocation, err error) {
	if r.cfg.Settled != nil {
		r.cfg.Settled(entry.lease)
	}
	entry.settled <- err
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release(1)
}

// release takes n off what is pending. The lock is held.
func (r *Revoker) release(n int) {
	r.pending -= n
	if r.pending == 0 && r.idle != nil {
		close(r.idle)
		r.idle = nil
	}
}

// stop gives up what waits.
func (r *Revoker) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	for _, entry := range r.waiting {
		r.log.Error("lease not revoked: it is left to end by itself", "lease", entry.lease.IDHash(), "expires", entry.lease.Expires)
		entry.settled <- ErrNotRunning
	}
	r.release(len(r.waiting))
	r.waiting = nil
}
