package gateway

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/wire"
)

// TestRelayCopyFailsByItself has the Sync that libpq sends before its data answered: the copy failed before it read anything. The
// judge must sleep again afterwards, not spin on the deadline that woke it.
func TestRelayCopyFailsByItself(t *testing.T) {
	b := start(t, nil)
	b.send(parse("", "copybroken"), bind("", ""), execute(""), syncMessage)
	for _, want := range []string{"1", "2", "G"} {
		if m, err := b.client.Receive(); err != nil || word(m) != want {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	b.waitFor("the Sync is held", func(q *queue) bool { return q.heldSyncs == 1 })
	close(b.backend.release)
	if got, want := strings.Join(b.receive(1), " "), "EP0001 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.send(query("select"))
	if got, want := strings.Join(b.receive(1), " "), "D SELECT 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
	want := []string{"bind copybroken = allow → error P0001", "query select = allow → completed"}
	if diff := cmp.Diff(want, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// TestRelayCopyFailsBeforeWhatFollows: a client may send its Sync, and more behind it, before it hears that its copy has failed. PostgreSQL
// answers all of it, whatever the gateway knew when it came.
func TestRelayCopyFailsBeforeWhatFollows(t *testing.T) {
	for name, tt := range map[string]struct {
		more []pgproto3.FrontendMessage
		want string
	}{
		"a pipeline": {[]pgproto3.FrontendMessage{syncMessage, parse("", "select"), bind("", ""), execute(""), syncMessage}, "EP0001 ZI 1 2 D SELECT 1 ZI"},
		"a Query":    {[]pgproto3.FrontendMessage{syncMessage, query("select")}, "EP0001 ZI D SELECT 1 ZI"},
		"Syncs":      {[]pgproto3.FrontendMessage{syncMessage, syncMessage}, "EP0001 ZI ZI"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			b.send(parse("", "copybroken"), bind("", ""), execute(""))
			for _, want := range []string{"1", "2", "G"} {
				if m, err := b.client.Receive(); err != nil || word(m) != want {
					t.Fatalf("got %v, %v", m, err)
				}
			}
			b.send(tt.more...)
			b.waitFor("all of it is seen", func(q *queue) bool { return q.heldSyncs+q.count-1 == len(tt.more) })
			close(b.backend.release)
			if got := strings.Join(b.receive(2), " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			b.end()
		})
	}
}

// TestRelayAnswersBeforeGoodbye shows that a Terminate does not overtake what was asked before it.
func TestRelayAnswersBeforeGoodbye(t *testing.T) {
	b := start(t, nil)
	b.send(query("insert"), parse("", "update"), bind("", ""), execute(""), syncMessage, &pgproto3.Terminate{})
	if got, want := strings.Join(b.rest(), " "), "D INSERT 1 ZI 1 2 D UPDATE 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if cause := b.cause(); cause.reason != ReasonTerminate {
		t.Errorf("ended by %v", cause)
	}
	want := []string{"query insert = allow → completed", "bind update = allow → completed"}
	if diff := cmp.Diff(want, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// TestRelayGoodbyeDoesNotWaitForEver shows the bound of that: the client has left, and the backend goes on.
func TestRelayGoodbyeDoesNotWaitForEver(t *testing.T) {
	b := start(t, nil)
	b.send(query("wait"), &pgproto3.Terminate{})
	began := time.Now()
	cause := b.cause()
	close(b.backend.release)
	if cause.reason != ReasonTerminate {
		t.Errorf("ended by %v", cause)
	}
	if took := time.Since(began); took > farewellTime+settleBound {
		t.Errorf("the session ended after %v", took)
	}
	if diff := cmp.Diff([]string{"query wait = allow → unknown"}, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// TestRelayOutcomeOfWhatRuns shows that what was running when the session ended is not called bound.
func TestRelayOutcomeOfWhatRuns(t *testing.T) {
	b := start(t, nil)
	b.send(parse("", "wait"), bind("", ""), execute(""), &pgproto3.Flush{})
	for _, want := range []string{"1", "2"} {
		if m, err := b.client.Receive(); err != nil || word(m) != want {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	b.relay.end(fail(ReasonKilled, nil))
	if got, want := strings.Join(b.rest(), " "), "FATAL 57P01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.cause()
	close(b.backend.release)
	if diff := cmp.Diff([]string{"bind wait = allow → unknown"}, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// endingPolicy ends the session while it decides.
type endingPolicy struct {
	fakePolicy
	relay *relay
}

func (p *endingPolicy) Statement(ctx context.Context, in *authz.StatementInput) (*authz.StatementDecision, error) {
	p.relay.end(fail(ReasonKilled, nil))
	return p.fakePolicy.Statement(ctx, in)
}

// TestRelayOutcomeOfWhatIsNotForwarded shows that a statement which was recorded and then not forwarded has an outcome.
func TestRelayOutcomeOfWhatIsNotForwarded(t *testing.T) {
	b := start(t, func(r *relay) {
		p := &endingPolicy{relay: r}
		r.policy, r.grant.policy = p, p.Policy()
	})
	b.send(query("select"))
	b.rest()
	b.cause()
	if diff := cmp.Diff([]string{"query select = allow → skipped"}, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
	if ran := b.backend.executed(); len(ran) != 0 {
		t.Errorf("the backend ran %q", ran)
	}
}

// brokenWriter is a connection on which nothing can be sent any more once it broke; the first attempt is announced.
type brokenWriter struct {
	net.Conn
	broken atomic.Bool
	tried  chan struct{}
}

func (c *brokenWriter) Write(b []byte) (int, error) {
	if c.broken.Load() {
		close(c.tried)
		return 0, errors.New("broken pipe")
	}
	return c.Conn.Write(b)
}

// TestRelayHearsTheBackendOut shows that the client learns why the backend ended the session, though the judge met a closed socket first.
func TestRelayHearsTheBackendOut(t *testing.T) {
	conn := &brokenWriter{tried: make(chan struct{})}
	b := start(t, func(r *relay) { conn.Conn = r.backend; r.backend = conn })
	b.send(query("select"))
	b.receive(1)
	conn.broken.Store(true)
	b.send(query("select"))
	<-conn.tried
	b.backend.say(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "terminating connection due to administrator command"})
	b.backend.hangUp()
	if got, want := strings.Join(b.rest(), " "), "FATAL 57P01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if cause := b.cause(); cause.reason != ReasonBackendEnded {
		t.Errorf("ended by %v", cause)
	}
}

// TestRelayErrorAmidPipeline has a statement's time run out while only a Flush is read: an error answers nothing, and the backend
// discards up to the Sync.
func TestRelayErrorAmidPipeline(t *testing.T) {
	b := start(t, nil)
	b.send(parse("", "select"), bind("", ""), &pgproto3.Flush{})
	for _, want := range []string{"1", "2"} {
		if m, err := b.client.Receive(); err != nil || word(m) != want {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	b.backend.timeOut()
	if m, err := b.client.Receive(); err != nil || word(m) != "E57014" {
		t.Fatalf("got %v, %v", m, err)
	}
	b.send(execute(""), query("select"), syncMessage, query("select"))
	if got, want := strings.Join(b.receive(2), " "), "ZI D SELECT 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
	want := []string{"bind select = allow → skipped", "query select = allow → skipped", "query select = allow → completed"}
	if diff := cmp.Diff(want, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// TestRelayDrainTakesNothingMore shows that a session which ends because it is idle does not run what comes at that moment.
func TestRelayDrainTakesNothingMore(t *testing.T) {
	q := newQueue()
	mustPush(t, q, wire.Query)
	if q.endIfIdle(false) {
		t.Error("ended while the backend owes an answer")
	}
	q.ready(wire.InTransaction)
	if q.endIfIdle(false) {
		t.Error("ended within a transaction")
	}
	if !q.endIfIdle(true) {
		t.Error("not ended although all is answered")
	}
	if _, _, err := q.push(entry{kind: wire.Query}); !errors.Is(err, errEnded) {
		t.Errorf("push gives %v, want errEnded", err)
	}
}

// TestRelayObserveNeedsTheGrant shows that a withdrawn grant ends a session by whatever it sends next.
func TestRelayObserveNeedsTheGrant(t *testing.T) {
	tests := map[string]pgproto3.FrontendMessage{
		"function call": &pgproto3.FunctionCall{Function: 2078},
		"unknown name":  bind("", "nobody"),
		"query":         query("select"),
	}
	for name, message := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(r *relay) { r.grant.Observe, r.policy = true, &fakePolicy{withdrawn: true} })
			b.send(message)
			if got, want := strings.Join(b.rest(), " "), "FATAL 57P01"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			b.cause()
			if len(b.log.lines()) != 0 {
				t.Errorf("recorded %q", b.log.lines())
			}
		})
	}
}

// stuckWriter is a connection whose other end does not read: a Write takes until its deadline.
type stuckWriter struct {
	net.Conn
	mu       sync.Mutex
	moved    sync.Cond // the deadline
	deadline time.Time
	entered  chan struct{}
	once     sync.Once
}

func newStuckWriter(conn net.Conn) *stuckWriter {
	c := &stuckWriter{Conn: conn, entered: make(chan struct{})}
	c.moved.L = &c.mu
	return c
}

func (c *stuckWriter) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	c.moved.Broadcast()
	return nil
}

func (c *stuckWriter) Write([]byte) (int, error) {
	c.once.Do(func() { close(c.entered) })
	c.mu.Lock()
	defer c.mu.Unlock()
	for time.Now().Before(c.deadline) {
		alarm := time.AfterFunc(time.Until(c.deadline), c.moved.Broadcast)
		c.moved.Wait()
		alarm.Stop()
	}
	return 0, os.ErrDeadlineExceeded
}

// TestRelayKillOfAClientThatDoesNotRead shows that it ends long before the time that such a client has to read.
func TestRelayKillOfAClientThatDoesNotRead(t *testing.T) {
	var client *stuckWriter
	b := start(t, func(r *relay) { client = newStuckWriter(r.client); r.client = client })
	b.send(query("select"))
	<-client.entered
	began := time.Now()
	b.relay.end(fail(ReasonKilled, nil))
	if cause := b.cause(); cause.reason != ReasonKilled {
		t.Errorf("ended by %v", cause)
	}
	if took := time.Since(began); took > 3*farewellTime {
		t.Errorf("ended after %v", took)
	}
}

// TestRelayForgetsBoundPortals shows that portals which are bound again and again in one pipeline are not kept.
func TestRelayForgetsBoundPortals(t *testing.T) {
	b := start(t, nil)
	b.send(parse("s", "select"))
	for range 300 {
		b.send(bind("", "s"), bind("p", "s"), closePortal("p"))
	}
	b.send(execute(""), syncMessage)
	b.receive(1)
	b.end()
	lines := b.log.lines()
	if len(lines) != 600 {
		t.Fatalf("%d events, want 600", len(lines))
	}
	last := len(lines) - 2 // the last Bind of the unnamed portal
	for i, line := range lines {
		want := "bind select = allow → bound"
		if i == last {
			want = "bind select = allow → completed"
		}
		if line != want {
			t.Errorf("event %d is %q, want %q", i, line, want)
		}
	}
}

// waitFor looks at the queue until something is true of it.
func (b *bench) waitFor(what string, is func(q *queue) bool) {
	b.t.Helper()
	q := b.relay.queue
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		q.mu.Lock()
		done := is(q)
		q.mu.Unlock()
		if done {
			return
		}
	}
	b.t.Fatal(what + ": it never was")
}

// TestRelayDataNobodyAskedFor: rows belong to a statement, whose limits they count against.
func TestRelayDataNobodyAskedFor(t *testing.T) {
	row, data := &pgproto3.DataRow{Values: [][]byte{[]byte("1")}}, &pgproto3.CopyData{Data: []byte("1")}
	tests := map[string]pgproto3.BackendMessage{
		"a row": row, "copied data": data, "a copy": &pgproto3.CopyOutResponse{}, "a function's result": &pgproto3.FunctionCallResponse{},
		"a description": &pgproto3.ParameterDescription{},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			b.backend.say(tt)
			if got := strings.Join(b.rest(), " "); got != "FATAL 08P01" {
				t.Errorf("got %s", got)
			}
			if cause := b.cause(); cause.reason != ReasonBackendOutOfStep {
				t.Errorf("ended by %v", cause)
			}
		})
	}
}

// TestRelayEndsWithTheVaultToken: the roles of all its leases are being dropped.
func TestRelayEndsWithTheVaultToken(t *testing.T) {
	token, lose := context.WithCancel(t.Context())
	b := start(t, func(r *relay) { r.lost = func(f func()) (stop func() bool) { return context.AfterFunc(token, f) } })
	b.send(query("select"))
	b.receive(1)
	lose()
	if got, want := strings.Join(b.rest(), " "), "FATAL 57P01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if cause := b.cause(); cause.reason != ReasonLeaseExpired {
		t.Errorf("ended by %v", cause)
	}
}

// TestRelayEndsWhenTheClientDoesNotRead: what it was sent and does not take is in everybody's way, in the backend's first.
func TestRelayEndsWhenTheClientDoesNotRead(t *testing.T) {
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			b := startOn(t, pair, func(r *relay) { r.timeouts.Write = 1500 * time.Millisecond })
			b.send(query("rows 1000000")) // more than the kernel keeps for anybody
			if cause := b.cause(); cause.reason != ReasonNotReading {
				t.Errorf("ended by %v", cause)
			}
		})
	}
}
