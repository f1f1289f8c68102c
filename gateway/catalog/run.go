package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// pollTime bounds one poll. A backend that does not answer for so long is taken for lost.
	pollTime = 15 * time.Second
	// restShare bounds what a Catalog costs a large database: it rests so many times as long as it has worked. Polling 1,000 tables took 11 ms
	// of the backend's time, 10,000 took 105 ms: from there on it polls less often than every second.
	restShare = 10
	// ageShare is the part of MaxAge that a rest may take all the same: there have to be polls to spare.
	ageShare = 4
	// askShare and askRest bound what Fresh costs: between two looks that it asks for there is thrice the time of the first, and some
	// milliseconds even when next to nothing had to be done. A reading is not counted: something has changed then, which is not due to those
	// who ask, and they would wait for longer than a decision may take.
	askShare = 3
	askRest  = 5 * time.Millisecond
	// An attempt that failed is repeated after firstRetry, twice as long each time up to lastRetry: twice within DefaultMaxAge at the least.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 4 * time.Second
)

// ErrReplace is what Session.Keep returns when a session has to be replaced and nothing is wrong.
var ErrReplace = errors.New("the session is to be replaced")

// Run opens sessions and reads over them until ctx ends, and then returns nil.
func (c *Catalog) Run(ctx context.Context) error {
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := c.serve(ctx, &failures)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, ErrReplace) {
			pause(ctx, firstRetry-time.Since(began)) // sessions that want to be replaced at once must not wear Vault out
			continue
		}
		c.fail(err)
		failures++
		pause(ctx, retry(failures))
	}
	return nil
}

// serve opens a session and reads over it until it is lost or has to be replaced.
func (c *Catalog) serve(ctx context.Context, failures *int) error {
	drain(c.replace) // whatever has changed until here is in what is loaded now
	session, err := c.config.Load().Open(ctx)
	if err != nil {
		return fmt.Errorf("open catalog session: %w", err)
	}
	conn, err := use(session)
	if err != nil {
		session.Close(true)
		return err
	}
	defer conn.close() // when neither of the two below uses it any more
	group, ctx := errgroup.WithContext(ctx)
	if session.Keep != nil {
		group.Go(func() error { return session.Keep(ctx) })
	}
	w := &watch{Catalog: c, conn: conn}
	group.Go(func() error { return w.run(ctx, failures) })
	return group.Wait()
}

// watch is the looking for changes over one session.
type watch struct {
	*Catalog
	conn *connection

	// last is the digest that this session computed. What another session saw is not trusted: that may have been another server, before a
	// failover or a restored backup.
	last    digest
	learned definitions // by a reading that failed later
}

// run looks until ctx ends, the session is lost, or another has to take its place.
func (w *watch) run(ctx context.Context, failures *int) error {
	if err := w.conn.prepare(ctx); err != nil {
		return err
	}
	for {
		began := time.Now()
		read, err := w.refresh(ctx)
		next := signals{rest: w.rest(time.Since(began)), poke: w.poke, asked: w.asked, askedRest: askRest}
		if !read {
			next.askedRest = max(askRest, askShare*time.Since(began))
		}
		switch {
		case err == nil:
			*failures = 0
		case ctx.Err() != nil || !w.conn.recovers(ctx):
			return err
		default: // the session is not to blame; another would cost a role and fail alike
			w.fail(err)
			*failures++
			w.last, next = digest{}, signals{rest: retry(*failures)}
		}
		if drain(w.replace) {
			return ErrReplace
		}
		next.await(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// recovers ends a transaction that has failed, and says whether the session can be used again.
func (c *connection) recovers(ctx context.Context) bool {
	return !c.pg.IsClosed() && c.run(ctx, "ROLLBACK") == nil
}

// refresh makes sure that the current snapshot is what the database has now, and says whether it had to be read for that.
func (w *watch) refresh(ctx context.Context) (read bool, err error) {
	drain(w.asked) // before asks is read: who comes later fills it again
	began, upTo, now := time.Now(), state{changes: w.changes.Load(), asks: w.asks.Load()}, w.current.Load()
	if w.last.text != "" && !now.unsettled {
		before := w.last
		if err := w.poll(ctx); err != nil {
			return false, err
		}
		if w.last.text == before.text {
			upTo.confirmed = began
			w.confirm(upTo, now)
			return false, nil
		}
	}
	known := make(definitions)
	if now != nil {
		maps.Copy(known, now.definitions)
	}
	maps.Copy(known, w.learned)
	r, next, err := w.conn.read(ctx, w.config.Load().Analyze, known, w.seed)
	if err != nil {
		w.learned = r.texts
		return true, err
	}
	w.last, w.learned = next, nil
	w.publish(r, upTo, now)
	return true, nil
}

func (w *watch) poll(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	w.last, err = w.conn.digest(ctx, w.seed, w.last)
	return err
}

// confirm notes up to when the snapshot was still true.
func (c *Catalog) confirm(upTo state, now *state) {
	next := *now
	next.confirmed, next.changes, next.asks = upTo.confirmed, upTo.changes, upTo.asks
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Unchanged++
	c.progressed(&next)
}

// publish puts a snapshot in the place of the one before.
func (c *Catalog) publish(r *reading, upTo state, now *state) {
	r.snapshot.Generation = 1
	if now != nil {
		r.snapshot.Generation = now.snapshot.Generation + 1
	}
	next := &state{
		snapshot: r.snapshot, definitions: r.texts, confirmed: r.snapshot.ReadAt, changes: upTo.changes, asks: upTo.asks, unsettled: r.locked > 0,
	}
	opaque := 0
	for _, view := range r.views {
		if view.Definition == nil {
			opaque++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts.Read++
	c.counts.Opaque = opaque
	c.progressed(next)
	c.config.Load().Logger.Debug("catalog read", "generation", next.snapshot.Generation, "relations", len(next.snapshot.Relations),
		"opaque_views", opaque, "duration", time.Since(next.confirmed))
}

// progressed tells those who wait. The lock is held.
func (c *Catalog) progressed(next *state) {
	if c.counts.Err != nil {
		c.counts.Err = nil
		c.config.Load().Logger.Info("catalog can be read again")
	}
	c.current.Store(next)
	close(c.progress)
	c.progress = make(chan struct{})
}

// fail notes why an attempt failed. Only what changes is logged: an outage fails many times.
func (c *Catalog) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts.Err == nil || c.counts.Err.Error() != err.Error() {
		c.config.Load().Logger.Warn("catalog cannot be read", "error", err)
	}
	c.counts.Failed++
	c.counts.Err = err
	close(c.progress)
	c.progress = make(chan struct{})
}

// rest is how long to wait after some work.
func (c *Catalog) rest(worked time.Duration) time.Duration {
	config := c.config.Load()
	return max(config.Poll, min(c.share*worked, config.MaxAge/ageShare))
}

// retry is how long to wait after so many failures in a row, give or take a fourth, so that many databases behind one Vault do not come back
// as one.
func retry(failures int) time.Duration {
	wait := min(firstRetry<<min(failures-1, 16), lastRetry)
	return wait - wait/4 + time.Duration(rand.Int64N(int64(wait)/2+1)) // #nosec G404 -- spreads load, guards nothing
}

// drain empties a channel's one place, and says whether there was something in it.
func drain(from <-chan struct{}) bool {
	select {
	case <-from:
		return true
	default:
		return false
	}
}

// pause waits for some time, or for ctx to end.
func pause(ctx context.Context, wait time.Duration) { signals{rest: wait}.await(ctx) }

// signals are what ends the rest between two looks.
type signals struct {
	rest, askedRest time.Duration
	poke            <-chan struct{} // ends it at once
	asked           <-chan struct{} // ends it after askedRest
}

func (s signals) await(ctx context.Context) {
	timer, allowed := time.NewTimer(s.rest), time.NewTimer(s.askedRest)
	defer timer.Stop()
	defer allowed.Stop()
	var ask <-chan time.Time // allowed, once somebody has asked
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.poke:
			return
		case <-timer.C:
			return
		case <-ask:
			return
		case <-s.asked:
			ask = allowed.C
		}
	}
}
