package credentials

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	// patience is how long a session waits for Vault. Its client hears what is wrong within five seconds.
	patience = 4 * time.Second
	// maxAtOnce bounds what Vault is asked at once for one role, whatever number of logins waits: each makes it run CREATE ROLE.
	maxAtOnce = 16
	// After minFailures in a row one request at a time finds out whether it goes again, not before firstProbe has passed, twice as long
	// each time up to lastProbe. The other logins are told at once what is wrong. A single failure is nobody's but one login's.
	minFailures = 3
	firstProbe  = 250 * time.Millisecond
	lastProbe   = 2 * time.Second
	// A request that fails where the one before it went well is repeated once, after minPause to maxPause: Vault closes its connections
	// to a database when it changes its own password there. Those that come later are not.
	minPause = 100 * time.Millisecond
	maxPause = 500 * time.Millisecond
)

// gates stand before Vault, one for each credential that is asked for: what hangs behind one role, its database for example, must not
// hold up the others.
type gates struct {
	mu     sync.Mutex
	byName map[string]*gate // as many as the configuration names
}

// gate keeps logins that wait from becoming as many requests.
type gate struct {
	places chan struct{}

	mu       sync.Mutex
	ill      bool // the last request failed, whatever it was that did
	failures int  // in a row
	last     *Error
	backoff  time.Duration
	probe    time.Time // not before
	probing  bool
}

// visit is one request that was let in.
type visit struct {
	gate  *gate
	probe bool // it finds out whether it goes again
	hale  bool // the request before it went well
}

// enter waits for a place, which leave must be called for. While requests are known to be in vain it returns why. Errors are *Error.
func (g *gates) enter(ctx context.Context, name string) (*visit, error) {
	g.mu.Lock()
	if g.byName == nil {
		g.byName = make(map[string]*gate)
	}
	one := g.byName[name]
	if one == nil {
		one = &gate{places: make(chan struct{}, maxAtOnce)}
		g.byName[name] = one
	}
	g.mu.Unlock()
	return one.enter(ctx)
}

func (g *gate) enter(ctx context.Context) (*visit, error) {
	if err := g.shut(time.Now()); err != nil {
		return nil, err
	}
	select {
	case g.places <- struct{}{}:
	case <-ctx.Done():
		return nil, &Error{Kind: Unavailable, Op: opIssue, Err: fmt.Errorf("others wait for theirs: %w", ctx.Err())}
	}
	v, err := g.begin(time.Now())
	if err != nil {
		<-g.places
	}
	return v, err
}

// leave gives the place to the next, with what came of the request.
func (v *visit) leave(err error) {
	v.gate.end(err, v.probe)
	<-v.gate.places
}

// again says whether a request that failed is to be repeated, and waits until it is time.
func (v *visit) again(ctx context.Context, err error) bool {
	failure, ok := errors.AsType[*Error](err)
	if !ok || failure.Status != http.StatusInternalServerError || !v.hale {
		return false
	}
	v.gate.mu.Lock()
	v.gate.ill = true
	v.gate.mu.Unlock()
	pause(ctx, minPause+time.Duration(rand.Int64N(int64(maxPause-minPause))), nil) // #nosec -- spreads load, guards nothing
	return ctx.Err() == nil
}

// shut says why nothing is asked now; nil: something is.
func (g *gate) shut(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.why(now)
}

// why is shut with the lock held.
func (g *gate) why(now time.Time) error {
	if g.failures < minFailures || !g.probing && !now.Before(g.probe) {
		return nil
	}
	return &Error{Source: g.last.Source, Kind: g.last.Kind, Op: g.last.Op, Status: g.last.Status, Err: g.last.Err}
}

// begin notes who finds out.
func (g *gate) begin(now time.Time) (*visit, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.why(now); err != nil {
		return nil, err
	}
	g.probing = g.failures >= minFailures
	return &visit{gate: g, probe: g.probing, hale: !g.ill}, nil
}

// end notes what came of a request.
func (g *gate) end(err error, probe bool) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if probe {
		g.probing = false
	}
	g.ill = err != nil
	failure, isOutage := outage(err)
	if !isOutage {
		g.failures, g.backoff = 0, 0
		return
	}
	g.failures, g.last = g.failures+1, failure
	if probe || g.failures == minFailures {
		g.backoff = min(max(2*g.backoff, firstProbe), lastProbe)
		g.probe = now.Add(jitter(g.backoff))
	}
}

// outage says whether others would fare the same. A 500 is of the role's database, and is answered fast; a token that has ended is
// replaced; what is refused costs Vault nothing.
func outage(err error) (*Error, bool) {
	failure, ok := errors.AsType[*Error](err)
	return failure, ok && failure.Kind == Unavailable && failure.Status != http.StatusInternalServerError && !errors.Is(err, errTokenLost)
}
