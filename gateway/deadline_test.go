package gateway

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/backend"
)

// timedStatements makes a session in which some commands have so much time.
func timedStatements(limit time.Duration, commands ...string) func(r *relay) {
	return func(r *relay) {
		p := &fakePolicy{obligations: map[string]authz.StatementDecision{}}
		for _, command := range commands {
			p.obligations[command] = authz.StatementDecision{StatementTimeout: limit}
		}
		r.policy = p
	}
}

func TestRelayTimesOut(t *testing.T) {
	tests := map[string]exchange{
		"a query": {
			send: []pgproto3.FrontendMessage{query("endless 2"), query("select")}, ready: 2,
			want: "D D E57014 ZI D SELECT 1 ZI", ran: "endless 2 select",
			trail: []string{"query endless 2 = allow → cancelled 57014", "query select = allow → completed"},
		},
		"in a transaction": {
			send: []pgproto3.FrontendMessage{query("begin"), query("endless 0"), query("rollback")}, ready: 3,
			want: "BEGIN 1 ZT E57014 ZE ROLLBACK 1 ZI", ran: "begin endless 0 rollback",
			trail: []string{
				"query begin = allow → completed", "query endless 0 = allow → cancelled 57014", "query rollback = allow → completed",
			},
		},
		"in a pipeline": {
			send: []pgproto3.FrontendMessage{
				parse("", "update"), bind("", ""), execute(""), parse("", "endless 0"), bind("", ""), execute(""),
				parse("", "update"), bind("", ""), execute(""), syncMessage, query("select"),
			},
			ready: 2, want: "1 2 D UPDATE 1 1 2 E57014 ZI D SELECT 1 ZI", ran: "update endless 0 select",
			trail: []string{
				"bind update = allow → completed", "bind endless 0 = allow → cancelled 57014",
				"bind endless 0 = allow → skipped", "execute endless 0 = allow → skipped", // the Parse before them was discarded too
				"query select = allow → completed",
			},
		},
		"an error before": {
			send: []pgproto3.FrontendMessage{query("fail"), query("select")}, ready: 2,
			want: "E22012 ZI D SELECT 1 ZI", ran: "fail select",
			trail: []string{"query fail = allow → error 22012", "query select = allow → completed"},
		},
		"behind an error, which the backend discards": {
			send: []pgproto3.FrontendMessage{parse("", "noparse"), query("endless 0"), syncMessage, query("select")}, ready: 2,
			want: "E42P01 ZI D SELECT 1 ZI", ran: "select",
			trail: []string{"query endless 0 = allow → skipped", "query select = allow → completed"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.checkWith(t, timedStatements(20*time.Millisecond, "ENDLESS", "FAIL")) })
	}
}

func TestRelayInTime(t *testing.T) {
	tests := map[string]exchange{
		"queries": {
			send: []pgproto3.FrontendMessage{query("select"), query("select")}, ready: 2,
			want: "D SELECT 1 ZI D SELECT 1 ZI", ran: "select select",
			trail: []string{"query select = allow → completed", "query select = allow → completed"},
		},
		"a pipeline": {
			send: []pgproto3.FrontendMessage{
				parse("", "select"), bind("", ""), execute(""), execute(""), parse("", "update"), bind("", ""), execute(""), syncMessage,
			},
			ready: 1, want: "1 2 D SELECT 1 D SELECT 1 1 2 D UPDATE 1 ZI", ran: "select select update",
			trail: []string{"bind select = allow → completed", "execute select = allow → completed", "bind update = allow → completed"},
		},
		"a copy, extended, with the Sync that libpq sends early": {
			send: []pgproto3.FrontendMessage{
				parse("", "copyin"), bind("", ""), execute(""), syncMessage, &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyDone{}, syncMessage,
			},
			ready: 1, want: "1 2 G COPY 1 ZI", ran: "copyin", trail: []string{"bind copyin = allow → completed"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.checkWith(t, timedStatements(time.Hour, "SELECT", "COPYIN")) })
	}
}

// TestRelayTimesOutWhilePlanned: planning runs functions, and what is bound is planned.
func TestRelayTimesOutWhilePlanned(t *testing.T) {
	(&exchange{
		send: []pgproto3.FrontendMessage{
			parse("", "update"), bind("", ""), execute(""), parse("", "planless"), bind("", ""), execute(""), syncMessage, query("select"),
		},
		ready: 2, want: "1 2 D UPDATE 1 1 E57014 ZI D SELECT 1 ZI", ran: "update select",
		trail: []string{
			"bind update = allow → completed", "bind planless = allow → cancelled 57014", "query select = allow → completed",
		},
	}).checkWith(t, timedStatements(20*time.Millisecond, "PLANLESS"))
}

// TestRelayPlanningTakesTime: what was spent on the plan is not there to run it.
func TestRelayPlanningTakesTime(t *testing.T) {
	d := &deadline{after: time.Hour}
	r := &relay{queue: newQueue()}
	synctest.Test(t, func(t *testing.T) {
		d.start(r)
		time.Sleep(20 * time.Minute)
		d.pause()
		time.Sleep(20 * time.Minute)
		if d.start(r); d.left != 40*time.Minute {
			t.Errorf("%s are left", d.left)
		}
		if d.stop() {
			t.Error("its time was up")
		}
	})
}

// TestRelayPlannedInTime: it is not cancelled afterwards.
func TestRelayPlannedInTime(t *testing.T) {
	b := start(t, timedStatements(time.Hour, "SLOWPLAN"))
	b.send(parse("", "slowplan"), bind("", ""), execute(""), execute(""), syncMessage)
	close(b.backend.release)
	if got, want := strings.Join(b.receive(1), " "), "1 2 D SLOWPLAN 1 D SLOWPLAN 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
}

func TestRelayTimeoutSaysWhy(t *testing.T) {
	b := start(t, timedStatements(20*time.Millisecond, "ENDLESS"))
	b.send(query("endless 0"))
	m, err := b.client.Receive()
	if err != nil {
		t.Fatal(err)
	}
	want := &pgproto3.ErrorResponse{
		Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "57014", Message: "canceling statement due to statement timeout",
		Detail: "Policy limits this statement to 20ms.", Hint: "Decision s.1.",
	}
	if diff := cmp.Diff(pgproto3.BackendMessage(want), m); diff != "" {
		t.Error(diff)
	}
	b.receive(1)
	b.end()
}

// TestRelayTimeoutIsNotForWhatRunsBefore: the time begins when the statement can run.
func TestRelayTimeoutIsNotForWhatRunsBefore(t *testing.T) {
	b := start(t, timedStatements(20*time.Millisecond, "SELECT"))
	b.send(parse("", "wait"), bind("", ""), execute(""), parse("", "select"), bind("", ""), execute(""), syncMessage)
	time.AfterFunc(100*time.Millisecond, func() { close(b.backend.release) })
	if got, want := strings.Join(b.receive(1), " "), "1 2 WAIT 1 1 2 D SELECT 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
	select {
	case <-b.backend.cancelled:
		t.Error("something was cancelled")
	default:
	}
}

// TestRelayTimeoutCancelsNothingElse has the statement end while its cancel is on the way.
func TestRelayTimeoutCancelsNothingElse(t *testing.T) {
	inCancel, release := make(chan struct{}), make(chan struct{})
	var first sync.Once // a cancel that seems to have hit nothing is repeated
	b := start(t, func(r *relay) {
		timedStatements(time.Millisecond, "WAIT")(r)
		r.cancel = func(context.Context) error { first.Do(func() { close(inCancel) }); <-release; return nil }
	})
	b.send(parse("", "wait"), bind("", ""), execute(""), parse("", "select"), bind("", ""), execute(""), syncMessage)
	<-inCancel
	close(b.backend.release)
	time.Sleep(50 * time.Millisecond) // nothing may arrive meanwhile; there is no event to wait for
	if ran := strings.Join(b.backend.executed(), " "); ran != "wait" {
		t.Errorf("the backend ran %q", ran)
	}
	close(release)
	if got, want := strings.Join(b.receive(1), " "), "1 2 WAIT 1 1 2 D SELECT 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
}

// TestRelayCancelledBeforeItsTime: the client's own cancel stays what it is.
func TestRelayCancelledBeforeItsTime(t *testing.T) {
	b := start(t, timedStatements(time.Hour, "ENDLESS"))
	b.send(query("endless 1"))
	if m, err := b.client.Receive(); err != nil || word(m) != "D" {
		t.Fatalf("got %v, %v", m, err)
	}
	if forwarded, err := b.relay.cancelRunning(t.Context(), cancelInDoubt()); !forwarded || err != nil {
		t.Fatalf("%v, %v", forwarded, err)
	}
	m, err := b.client.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := m.(*pgproto3.ErrorResponse); !ok || e.Message != "canceling statement due to user request" {
		t.Errorf("got %+v", m)
	}
	b.receive(1)
	b.end()
}

// TestRelayTimeoutThatCannotCancel leaves the statement to PostgreSQL's own limits.
func TestRelayTimeoutThatCannotCancel(t *testing.T) {
	tried := make(chan struct{})
	b := start(t, func(r *relay) {
		timedStatements(time.Millisecond, "WAIT")(r)
		r.cancel = func(context.Context) error { close(tried); return errors.New("connection refused") }
	})
	b.send(query("wait"))
	<-tried
	close(b.backend.release)
	if got, want := strings.Join(b.receive(1), " "), "WAIT 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
}

// TestRelayCancelInDoubt: when the backend does not say that it has heard a cancel, that may still hit whatever comes next. So nothing comes,
// whoever wanted the cancel.
func TestRelayCancelInDoubt(t *testing.T) {
	late := &backend.Error{Stage: backend.StageCancel, Err: context.DeadlineExceeded}
	for name, test := range map[string]struct {
		change func(r *relay)
		first  string
		cancel bool // the client's own
		want   string
	}{
		"a deadline's": {timedStatements(time.Millisecond, "WAIT"), "wait", false, "FATAL 08006"},
		"the client's": {nil, "wait", true, "FATAL 08006"},
		"a cap's":      {capped, "endless 4", false, "D D D FATAL 53400"},
	} {
		t.Run(name, func(t *testing.T) {
			inCancel, release := make(chan struct{}), make(chan struct{})
			var first sync.Once
			b := start(t, func(r *relay) {
				if test.change != nil {
					test.change(r)
				}
				r.cancel = func(context.Context) error { first.Do(func() { close(inCancel) }); <-release; return late }
			})
			b.send(query(test.first))
			if test.cancel {
				b.waitFor("the statement to run", func(q *queue) bool { return q.count > 0 })
				go func() { _, _ = b.relay.cancelRunning(context.Background(), cancelInDoubt()) }()
			}
			<-inCancel
			b.send(query("select"))
			close(release)
			if got := strings.Join(b.rest(), " "); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if ran := strings.Join(b.backend.executed(), " "); strings.Contains(ran, "select") {
				t.Errorf("the backend ran %q", ran)
			}
			b.cause()
			close(b.backend.release)
			b.backend.cancel()
		})
	}
}

// TestRelayTimeoutCancelsAgain: PostgreSQL ignores a cancel that comes before the statement has begun, and a function may catch it.
func TestRelayTimeoutCancelsAgain(t *testing.T) {
	var b *bench
	var cancels atomic.Int32
	b = start(t, func(r *relay) {
		timedStatements(time.Millisecond, "ENDLESS")(r)
		r.cancel = func(context.Context) error {
			if cancels.Add(1) > 1 {
				b.backend.cancel()
			}
			return nil
		}
	})
	defer b.backend.cancel() // or it goes on for ever
	b.send(query("endless 1"), query("select"))
	if got, want := strings.Join(b.receive(2), " "), "D E57014 ZI D SELECT 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
	if n := cancels.Load(); n != 2 {
		t.Errorf("cancelled %d times", n)
	}
}

// TestRelayEndsWithADeadline: nothing of it is left.
func TestRelayEndsWithADeadline(t *testing.T) {
	b := start(t, timedStatements(time.Hour, "ENDLESS"))
	b.send(query("endless 1"))
	if m, err := b.client.Receive(); err != nil || word(m) != "D" {
		t.Fatalf("got %v, %v", m, err)
	}
	b.relay.end(fail(ReasonKilled, nil))
	if got, want := strings.Join(b.rest(), " "), "FATAL 57P01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.cause()
	b.backend.cancel()
}

// TestRelayFailsWhileItIsCancelled: the statement fails by itself when its time is up and its cancel has to wait for another.
func TestRelayFailsWhileItIsCancelled(t *testing.T) {
	b := start(t, timedStatements(time.Millisecond, "COPYBROKEN"))
	b.relay.cancelMu.Lock()
	b.send(parse("", "copybroken"), bind("", ""), execute(""), syncMessage)
	b.waitFor("the Sync is held", func(q *queue) bool { return q.heldSyncs > 0 })
	time.Sleep(50 * time.Millisecond) // its time is up; there is no event to wait for
	close(b.backend.release)
	time.AfterFunc(100*time.Millisecond, b.relay.cancelMu.Unlock) // the error has come by then
	if got, want := strings.Join(b.receive(1), " "), "1 2 G EP0001 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
}
