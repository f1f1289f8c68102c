package gateway

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxUnproven bounds the backend sessions whose client has proved nothing yet. Each takes one of PostgreSQL's max_connections, 100 by
	// default, for whoever asks.
	maxUnproven = 20
	// maxUnprovenOfNetwork keeps places for others when clients of one network let their backends wait for as long as they may (answerTime).
	maxUnprovenOfNetwork = maxUnproven / 2
)

// unproven are the logins whose client has proved nothing yet while a backend waits for that. Those that policy refused are among them,
// and are served at the same pace: a stopwatch must not tell what is not said.
type unproven struct {
	pace atomic.Int64 // nanoseconds that a backend took lately, until the client was asked or its password was answered

	mu      sync.Mutex
	total   int
	held    map[netip.Prefix]int // places, by network
	waiters []*placeWaiter       // as they came
}

// placeWaiter is a login that waits for a place.
type placeWaiter struct {
	network netip.Prefix
	entered chan struct{} // closed when it has one
}

func newUnproven() *unproven { return &unproven{held: map[netip.Prefix]int{}} }

// enter waits for one of the places. A place that becomes free goes to the network that holds the fewest.
func (u *unproven) enter(ctx context.Context, network netip.Prefix) (leave func(), err error) {
	w := &placeWaiter{network, make(chan struct{})}
	u.mu.Lock()
	u.waiters = append(u.waiters, w)
	u.fill()
	u.mu.Unlock()
	select {
	case <-w.entered:
		return func() { u.leave(network) }, nil
	case <-ctx.Done():
		u.giveUp(w)
		return nil, fail(ReasonTooManyConnections, ctx.Err())
	}
}

// fill gives the free places away. The lock is held.
func (u *unproven) fill() {
	for u.total < maxUnproven {
		next := -1
		for i, w := range u.waiters {
			if held := u.held[w.network]; held < maxUnprovenOfNetwork && (next < 0 || held < u.held[u.waiters[next].network]) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		w := u.waiters[next]
		u.waiters = slices.Delete(u.waiters, next, next+1)
		u.total++
		u.held[w.network]++
		close(w.entered)
	}
}

// giveUp takes a waiter off, and gives its place back if it got one after all.
func (u *unproven) giveUp(w *placeWaiter) {
	u.mu.Lock()
	i := slices.Index(u.waiters, w)
	if i >= 0 {
		u.waiters = slices.Delete(u.waiters, i, i+1)
	}
	u.mu.Unlock()
	if i < 0 {
		u.leave(w.network)
	}
}

func (u *unproven) leave(network netip.Prefix) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.total--
	if u.held[network]--; u.held[network] == 0 {
		delete(u.held, network)
	}
	u.fill()
}

// took notes how long a backend took.
func (u *unproven) took(began, asked time.Time) {
	if asked.IsZero() {
		asked = time.Now()
	}
	u.pace.Store(int64(asked.Sub(began)))
}

// keepPace waits as long.
func (u *unproven) keepPace(ctx context.Context) {
	timer := time.NewTimer(time.Duration(u.pace.Load()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
