package gateway

import (
	"context"
	"sync/atomic"
	"time"
)

// maxUnproven bounds the backend sessions whose client has proved nothing yet. Each takes one of PostgreSQL's max_connections, 100 by
// default, for whoever asks.
const maxUnproven = 20

// unproven are the logins whose client has proved nothing yet while a backend waits for that. Those that policy refused are among them,
// and are served at the same pace: a stopwatch must not tell what is not said.
type unproven struct {
	places chan struct{}
	pace   atomic.Int64 // nanoseconds that a backend took lately, until the client was asked or its password was answered
}

func newUnproven() *unproven { return &unproven{places: make(chan struct{}, maxUnproven)} }

// enter waits for one of the places.
func (u *unproven) enter(ctx context.Context) (leave func(), err error) {
	select {
	case u.places <- struct{}{}:
		return func() { <-u.places }, nil
	case <-ctx.Done():
		return nil, fail(ReasonTooManyConnections, ctx.Err())
	}
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
