package gateway

import (
	"context"
	"net"
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

// lastScene is what is going on when a session is ended, and what comes of it.
type lastScene struct {
	send    []pgproto3.FrontendMessage
	started string // the last text that the backend has begun when the session is ended
	want    string // what the client reads
	ran     string
	trail   []string
}

// check ends the session with cancel as the way to cancel; nil: the fake backend's own.
func (e *lastScene) check(t *testing.T, cancel func(b *bench) error) {
	t.Helper()
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			var b *bench
			b = startOn(t, pair, func(r *relay) {
				if cancel != nil {
					r.cancel = func(context.Context) error { return cancel(b) }
				}
			})
			b.send(e.send...)
			b.waitUntilRuns(e.started)
			b.relay.end(fail(ReasonKilled, nil))
			got := b.until("FATAL 57P01")
			trail := b.log.lines() // as it is when the client hears of the end
			got = append(got, b.rest()...)
			if diff := cmp.Diff(e.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("the client (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(e.trail, trail); diff != "" {
				t.Errorf("trail (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(e.ran, strings.Join(b.backend.executed(), " ")); diff != "" {
				t.Errorf("the backend ran (-want +got):\n%s", diff)
			}
			if cause := b.cause(); cause.reason != ReasonKilled {
				t.Errorf("ended by %v", cause)
			}
		})
	}
}

// waitUntilRuns waits until the backend has begun with a text.
func (b *bench) waitUntilRuns(text string) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if ran := b.backend.executed(); len(ran) > 0 && ran[len(ran)-1] == text {
			return
		}
	}
	b.t.Fatalf("%q was never begun: %q", text, b.backend.executed())
}

// until reads what comes up to a message.
func (b *bench) until(last string) (got []string) {
	b.t.Helper()
	for {
		m, err := b.client.Receive()
		if err != nil {
			b.t.Fatalf("after %q: %v", got, err)
		}
		if got = append(got, word(m)); word(m) == last {
			return got
		}
	}
}

// TestSettleCancels: the client hears of the end when the backend has said what became of what ran, and nothing of the cancel's error.
func TestSettleCancels(t *testing.T) {
	pipeline := []pgproto3.FrontendMessage{
		parse("", "update"), bind("", ""), execute(""), parse("", "endless 1"), bind("", ""), execute(""),
		parse("", "insert"), bind("", ""), execute(""), syncMessage,
	}
	tests := map[string]lastScene{
		"a query that would go on to write": {
			send: []pgproto3.FrontendMessage{query("endless 1; insert")}, started: "endless 1",
			want: "D FATAL 57P01", ran: "endless 1", trail: []string{"query endless 1; insert = allow → cancelled 57014"},
		},
		"in a transaction": {
			send: []pgproto3.FrontendMessage{query("begin"), query("endless 0")}, started: "endless 0",
			want: "BEGIN 1 ZT FATAL 57P01", ran: "begin endless 0",
			trail: []string{"query begin = allow → completed", "query endless 0 = allow → cancelled 57014"},
		},
		"a pipeline": {
			send: pipeline, started: "endless 1", want: "1 2 D UPDATE 1 1 2 D FATAL 57P01", ran: "update endless 1",
			trail: []string{
				"bind update = allow → completed", "bind endless 1 = allow → cancelled 57014", "bind insert = allow → skipped",
			},
		},
		"one statement after the other": {
			send: []pgproto3.FrontendMessage{query("endless 0"), query("endless 0")}, started: "endless 0",
			want: "FATAL 57P01", ran: "endless 0 endless 0",
			trail: []string{"query endless 0 = allow → cancelled 57014", "query endless 0 = allow → cancelled 57014"},
		},
		"a short statement behind it, which is complete": {
			send: []pgproto3.FrontendMessage{query("endless 0"), query("insert")}, started: "endless 0",
			want: "E57014 ZI D INSERT 1 ZI FATAL 57P01", ran: "endless 0 insert",
			trail: []string{"query endless 0 = allow → cancelled 57014", "query insert = allow → completed"},
		},
		"a copy to the client": {
			send: []pgproto3.FrontendMessage{query("copyendless 2")}, started: "copyendless 2",
			want: "H d d FATAL 57P01", ran: "copyendless 2", trail: []string{"query copyendless 2 = allow → cancelled 57014"},
		},
		"a copy from the client": {
			send: []pgproto3.FrontendMessage{query("copyin; insert")}, started: "copyin",
			want: "G FATAL 57P01", ran: "copyin", trail: []string{"query copyin; insert = allow → cancelled 57014"},
		},
		"a copy from the client in a pipeline": {
			send: []pgproto3.FrontendMessage{parse("", "copyin"), bind("", ""), execute(""), &pgproto3.CopyData{Data: []byte("x")}}, started: "copyin",
			want: "1 2 G FATAL 57P01", ran: "copyin", trail: []string{"bind copyin = allow → cancelled 57014"},
		},
		"answers that the backend keeps for itself": {
			send: []pgproto3.FrontendMessage{parse("", "insert"), bind("", ""), execute("")}, started: "insert",
			want: "1 2 D INSERT 1 FATAL 57P01", ran: "insert", trail: []string{"bind insert = allow → completed"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.check(t, nil) })
	}
}

// TestSettleTellsWhatWasComplete: a statement that is complete before the cancel comes has happened, and the client hears that.
func TestSettleTellsWhatWasComplete(t *testing.T) {
	(&lastScene{
		send: []pgproto3.FrontendMessage{query("wait")}, started: "wait",
		want: "WAIT 1 ZI FATAL 57P01", ran: "wait", trail: []string{"query wait = allow → completed"},
	}).check(t, func(b *bench) error { close(b.backend.release); return nil })
}

// TestSettleCancelsAgain: PostgreSQL ignores a cancel that comes before the statement has begun.
func TestSettleCancelsAgain(t *testing.T) {
	var cancels atomic.Int32
	(&lastScene{
		send: []pgproto3.FrontendMessage{query("endless 0")}, started: "endless 0",
		want: "FATAL 57P01", ran: "endless 0", trail: []string{"query endless 0 = allow → cancelled 57014"},
	}).check(t, func(b *bench) error {
		if cancels.Add(1)%2 == 0 {
			b.backend.cancel()
		}
		return nil
	})
	if got, want := int(cancels.Load()), 2*len(transports); got != want {
		t.Errorf("cancelled %d times, want %d", got, want)
	}
}

// TestSettleOneFatal: a backend that ends itself while it is heard out is not a second end.
func TestSettleOneFatal(t *testing.T) {
	var b *bench
	b = start(t, func(r *relay) { r.cancel = func(context.Context) error { close(b.backend.release); return nil } })
	b.send(query("shut"))
	b.waitUntilRuns("shut")
	b.relay.end(fail(ReasonIdentityExpired, nil))
	m, err := b.client.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := m.(*pgproto3.ErrorResponse); !ok || e.Message != ReasonIdentityExpired.describe().message {
		t.Errorf("got %+v", m)
	}
	if got := strings.Join(b.rest(), " "); got != "" {
		t.Errorf("then %s", got)
	}
	b.cause()
	if diff := cmp.Diff([]string{"query shut = allow → error 57P01"}, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// TestSettleOfABackendThatSaysNothing is bounded, and the client hears that nobody knows.
func TestSettleOfABackendThatSaysNothing(t *testing.T) {
	b := start(t, nil)
	b.send(query("wait"))
	b.waitUntilRuns("wait")
	began := time.Now()
	b.relay.end(fail(ReasonKilled, nil))
	m, err := b.client.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := m.(*pgproto3.ErrorResponse); !ok || e.Code != "57P01" || e.Detail != "The database has not said what became of the last statement." {
		t.Errorf("got %+v", m)
	}
	if took := time.Since(began); took < settleTime || took > settleBound {
		t.Errorf("told after %v", took)
	}
	b.cause()
	close(b.backend.release)
	if diff := cmp.Diff([]string{"query wait = allow → unknown"}, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// TestSettleOfABackendThatIsGone: a cancel might reach whoever has its process id now.
func TestSettleOfABackendThatIsGone(t *testing.T) {
	var cancels atomic.Int32
	b := start(t, func(r *relay) { r.cancel = func(context.Context) error { cancels.Add(1); return nil } })
	b.send(query("wait"))
	b.waitUntilRuns("wait")
	b.backend.hangUp()
	if got := strings.Join(b.rest(), " "); got != "FATAL 08006" {
		t.Errorf("got %s", got)
	}
	b.cause()
	close(b.backend.release)
	if cancels.Load() != 0 {
		t.Error("it was cancelled")
	}
}

// endingAt ends the session while it decides about a command.
type endingAt struct {
	fakePolicy
	relay   *relay
	command string
}

func (p *endingAt) Statement(ctx context.Context, in *authz.StatementInput) (*authz.StatementDecision, error) {
	if in.Statement.Statements[0].Command == p.command {
		p.relay.end(fail(ReasonKilled, nil))
	}
	return p.fakePolicy.Statement(ctx, in)
}

// TestSettleForwardsNothingMore: what was judged and not written yet when the end is decided is not run, nor what is half bound.
func TestSettleForwardsNothingMore(t *testing.T) {
	tests := map[string]struct {
		send  []pgproto3.FrontendMessage
		trail []string
	}{
		"queries": {
			[]pgproto3.FrontendMessage{query("insert"), query("update"), query("last")},
			[]string{"query insert = allow → skipped", "query update = allow → skipped", "query last = allow → skipped"},
		},
		"a pipeline": {
			[]pgproto3.FrontendMessage{parse("", "insert"), bind("", ""), execute(""), query("last"), syncMessage},
			[]string{"bind insert = allow → skipped", "query last = allow → skipped"},
		},
		"a denial": {
			[]pgproto3.FrontendMessage{query("insert"), parse("", "forbidden"), query("last")},
			[]string{"query insert = allow → completed", "parse forbidden = deny → denied 42501", "query last = allow → skipped"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(r *relay) {
				p := &endingAt{relay: r, command: "LAST"}
				r.policy, r.grant.policy = p, p.Policy()
			})
			b.send(tt.send...)
			b.rest()
			b.cause()
			if diff := cmp.Diff(tt.trail, b.log.lines()); diff != "" {
				t.Errorf("trail (-want +got):\n%s", diff)
			}
			if ran := strings.Join(b.backend.executed(), " "); name != "a denial" && ran != "" {
				t.Errorf("the backend ran %q", ran)
			}
		})
	}
}

// TestSettleWhileAStatementWaits: one that must run alone and is on record already has an outcome too, when it never runs.
func TestSettleWhileAStatementWaits(t *testing.T) {
	tests := map[string]struct {
		send []pgproto3.FrontendMessage
		want string
	}{
		"a query": {[]pgproto3.FrontendMessage{query("endless 0"), query("late")}, "query late = allow → skipped"},
		"a pipeline": {
			[]pgproto3.FrontendMessage{query("endless 0"), parse("", "late"), bind("", ""), execute(""), syncMessage},
			"bind late = allow → skipped",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, timedStatements(time.Hour, "LATE"))
			b.send(tt.send...)
			b.waitUntilRuns("endless 0")
			for deadline := time.Now().Add(10 * time.Second); len(b.log.lines()) < 2; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("it is not on record")
				}
			}
			b.relay.end(fail(ReasonKilled, nil))
			b.rest()
			b.cause()
			if diff := cmp.Diff([]string{"query endless 0 = allow → cancelled 57014", tt.want}, b.log.lines()); diff != "" {
				t.Errorf("trail (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSettleOfAClientThatDoesNotRead: what runs is cancelled, and the backend, which waits for it too, is heard.
func TestSettleOfAClientThatDoesNotRead(t *testing.T) {
	var client *stuckWriter
	b := start(t, func(r *relay) { client = newStuckWriter(r.client); r.client = client })
	b.send(query("endless 3"))
	<-client.entered
	began := time.Now()
	b.relay.end(fail(ReasonKilled, nil))
	b.cause()
	if took := time.Since(began); took > settleBound {
		t.Errorf("ended after %v", took)
	}
	if diff := cmp.Diff([]string{"query endless 3 = allow → cancelled 57014"}, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// deafClient is a client that has gone without a word, which is found out once released is closed.
type deafClient struct {
	net.Conn
	released <-chan struct{}
}

func (c deafClient) Write([]byte) (int, error) {
	<-c.released
	return 0, net.ErrClosed
}

// TestSettleOfADenialThatNobodyHears: the backend discards what comes behind it all the same, and owes nothing.
func TestSettleOfADenialThatNobodyHears(t *testing.T) {
	judged := make(chan struct{})
	b := start(t, func(r *relay) { r.client = deafClient{r.client, judged} })
	began := time.Now()
	b.send(parse("", "forbidden"), parse("", "insert"), bind("", ""), execute(""), &pgproto3.Flush{})
	until(t, "both are on record", func() bool { return len(b.log.lines()) == 2 })
	close(judged)
	if cause := b.cause(); cause.reason != ReasonClientGone {
		t.Errorf("ended by %v", cause)
	}
	if took := time.Since(began); took > settleTime {
		t.Errorf("ended after %v", took)
	}
	if diff := cmp.Diff([]string{"parse forbidden = deny → denied 42501", "bind insert = allow → skipped"}, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// TestSettleOfAClientThatIsGone: what it ran is cancelled, and the backend asked what became of it.
func TestSettleOfAClientThatIsGone(t *testing.T) {
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			b := startOn(t, pair, nil)
			b.send(query("endless 0; insert"))
			b.waitUntilRuns("endless 0")
			if cause := b.end(); cause.reason != ReasonClientGone {
				t.Errorf("ended by %v", cause)
			}
			if diff := cmp.Diff([]string{"query endless 0; insert = allow → cancelled 57014"}, b.log.lines()); diff != "" {
				t.Errorf("trail (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSettleDeliversLittleMore: a flood of rows does not hold up the end, and what was complete without them is said.
func TestSettleDeliversLittleMore(t *testing.T) {
	var release sync.Once
	var b *bench
	b = start(t, func(r *relay) {
		r.cancel = func(context.Context) error { release.Do(func() { close(b.backend.release) }); return nil }
	})
	b.send(query("wait; rows 30000"))
	b.waitUntilRuns("wait")
	b.relay.end(fail(ReasonKilled, nil))
	bytes, completions := 0, 0
	for {
		m, err := b.client.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := m.(*pgproto3.ErrorResponse); ok {
			if e.Code != "57P01" || e.Detail != "A statement was complete before it could be cancelled; not all of its rows were delivered." {
				t.Errorf("got %+v", e)
			}
			break
		}
		switch m := m.(type) {
		case *pgproto3.DataRow:
			encoded, _ := m.Encode(nil)
			bytes += len(encoded) - 5
		case *pgproto3.CommandComplete:
			completions++
		default:
			t.Errorf("got %+v", m)
		}
	}
	if bytes > lastBytes || completions != 1 { // that of "wait"
		t.Errorf("%d bytes and %d completions were delivered", bytes, completions)
	}
	b.cause()
	if diff := cmp.Diff([]string{"query wait; rows 30000 = allow → completed"}, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// TestSettleAfterACap: what comes behind the statement that reached a limit is cancelled before the client hears of the end.
func TestSettleAfterACap(t *testing.T) {
	b := start(t, capped)
	b.send(query("rows 4; endless 0; insert"))
	if got, want := strings.Join(b.rest(), " "), "D D D FATAL 53400"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.cause()
	if diff := cmp.Diff("rows 4 endless 0", strings.Join(b.backend.executed(), " ")); diff != "" {
		t.Errorf("the backend ran (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"query rows 4; endless 0; insert = allow → capped 53400"}, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// halfCopy begins a copy and sends the first half of a message of data, of which the backend has seen something.
func halfCopy(t *testing.T, pair transport) (b *bench, rest []byte) {
	t.Helper()
	b = startOn(t, pair, nil)
	b.send(query("copyin"))
	if m, err := b.client.Receive(); err != nil || word(m) != "G" {
		t.Fatalf("got %v, %v", m, err)
	}
	message := wire.AppendMessage(nil, wire.CopyData, []byte("one line\n"))
	if _, err := b.conn.Write(message[:8]); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); b.relay.copiedBytes.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the data never came")
		}
	}
	return b, message[8:]
}

// TestSettleHalfAMessageOfData: the client's next bytes make it whole, and the backend can be told that the copy fails.
func TestSettleHalfAMessageOfData(t *testing.T) {
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) {
			b, rest := halfCopy(t, pair)
			b.relay.end(fail(ReasonKilled, nil))
			if _, err := b.conn.Write(append(rest, wire.AppendMessage(nil, wire.CopyDone)...)); err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Join(b.rest(), " "), "FATAL 57P01"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			b.cause()
			if diff := cmp.Diff([]string{"query copyin = allow → cancelled 57014"}, b.log.lines()); diff != "" {
				t.Errorf("trail (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSettleHalfAMessageForEver: the backend hears that no more of it comes.
func TestSettleHalfAMessageForEver(t *testing.T) {
	b, _ := halfCopy(t, securePair)
	b.relay.end(fail(ReasonKilled, nil))
	began := time.Now()
	if got, want := strings.Join(b.rest(), " "), "FATAL 57P01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if took := time.Since(began); took > settleTime { // it is not waited for in vain
		t.Errorf("ended after %v", took)
	}
	b.cause()
	if diff := cmp.Diff([]string{"query copyin = allow → error 08006"}, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}
