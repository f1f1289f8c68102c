package gateway

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/credentials"
	"github.com/sallyport/sallyport/gateway/metrics"
)

// slowDeadline is a connection that takes its time to set a deadline.
type slowDeadline struct {
	net.Conn
	begun chan struct{} // closed when the first is being set
	set   atomic.Int32  // how often one was set
}

func (c *slowDeadline) SetDeadline(time.Time) error {
	close(c.begun)
	time.Sleep(time.Second) // of the bubble: who does not wait is gone by then
	c.set.Add(1)
	return nil
}

// panicking is a source of credentials that panics once.
type panicking struct {
	issuer
	done atomic.Bool
}

func (p *panicking) Take(ctx context.Context, role string) (credentials.Lease, error) {
	if p.done.CompareAndSwap(false, true) {
		panic("of a phase")
	}
	return p.issuer.Take(ctx, role)
}

// TestPanicBeforeTheRelay: it ends its own session, whose client is told and whose end is recorded, and no other.
func TestPanicBeforeTheRelay(t *testing.T) {
	r := startRevocable(t, func(c *Config) {
		app := c.Databases["app"]
		app.Credentials = &panicking{issuer: app.Credentials}
		c.Databases["app"] = app
	})
	if got := r.hears(r.knock(r.token)); !strings.HasPrefix(got, "FATAL XX000 ") || strings.Contains(got, "of a phase") {
		t.Errorf("the client hears %s", got)
	}
	other := r.knock(r.token)
	if got := r.hears(other); got != "Z" {
		t.Errorf("the next client hears %s", got)
	}
	until(t, "the other session is all that runs", func() bool { return len(r.server.Sessions()) == 1 })
	until(t, "the end is on record", func() bool { return r.audited(`"session_end"`, `"reason":"internal"`) })
}

// TestPhaseSetsNoDeadlineAfterwards: what a phase that ran out of time does to the connection is done when it is over. Otherwise it would
// undo the deadline of the next, in which the client is told why.
func TestPhaseSetsNoDeadlineAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer func() { _, _ = near.Close(), far.Close() }()
		conn := &slowDeadline{Conn: near, begun: make(chan struct{})}
		s := newSession(nil, &Config{Logger: slog.New(slog.DiscardHandler), Metrics: metrics.New(Labels()...)}, conn)
		err := s.phase(t.Context(), time.Second, func(ctx context.Context) error {
			<-conn.begun // a phase that is over before that has no deadline set at all
			return fail(ReasonTooManyConnections, ctx.Err())
		})
		if set := conn.set.Load(); set != 1 {
			t.Errorf("%d deadlines were set when the phase was over, want 1", set)
		}
		checkReason(t, err, ReasonTooManyConnections)
	})
}
