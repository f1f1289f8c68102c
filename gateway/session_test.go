package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
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

func (c *slowDeadline) SetReadDeadline(time.Time) error {
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

// TestPhaseSetsNoDeadlineAfterwards: what a phase that ran out of time does to the connection is done when it is over, by a panic too.
// Otherwise it would undo the deadline of the next, in which the client is told why.
func TestPhaseSetsNoDeadlineAfterwards(t *testing.T) {
	for name, last := range map[string]func(){"it fails": func() {}, "it panics": func() { panic("of a phase") }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer func() { _, _ = near.Close(), far.Close() }()
				conn := &slowDeadline{Conn: near, begun: make(chan struct{})}
				s := phasing(conn)
				err := guard(s.logger, func() error {
					return s.phase(t.Context(), time.Second, func(ctx context.Context) error {
						<-conn.begun // a phase that is over before that has no deadline set at all
						last()
						return fail(ReasonTooManyConnections, ctx.Err())
					})
				})
				if set := conn.set.Load(); set != 1 {
					t.Errorf("%d deadlines were set when the phase was over, want 1", set)
				}
				if want := map[string]Reason{"it fails": ReasonTooManyConnections, "it panics": ReasonInternal}[name]; asSessionError(err).reason != want {
					t.Errorf("got %v, want %v", err, want)
				}
			})
		})
	}
}

// phasing is a session of a connection that has phases and nothing else.
func phasing(conn net.Conn) *session {
	return newSession(nil, &Config{Logger: slog.New(slog.DiscardHandler), Metrics: metrics.New(Labels()...)}, conn)
}

// TestPhaseEndsBetweenMessages: a phase that is ended reads nothing more, and what it is saying it says to the end: TLS could say nothing more
// behind a part of it, and the client would not hear why.
func TestPhaseEndsBetweenMessages(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	s := phasing(near)
	ctx, end := context.WithCancel(t.Context())
	heard := make(chan error, 1)
	err := s.phase(ctx, time.Minute, func(context.Context) error {
		end()
		if _, err := s.conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		go func() {
			_, err := io.ReadFull(far, make([]byte, 5))
			heard <- err
		}()
		_, err := s.conn.Write([]byte("hello"))
		return err
	})
	checkReason(t, err, ReasonClientGone) // which the session's end says better
	if err := <-heard; err != nil {
		t.Errorf("the client heard %v", err)
	}
}
