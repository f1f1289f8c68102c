package gateway

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/authz"
)

// warned is a session in which some commands come with a warning.
func warned(r *relay) {
	warning := authz.StatementDecision{Warnings: []string{"careful"}}
	r.policy = &fakePolicy{obligations: map[string]authz.StatementDecision{"SELECT": warning, "FAIL": warning, "COPYIN": warning}}
}

func TestRelayWarns(t *testing.T) {
	tests := map[string]exchange{
		"a query": {
			send: []pgproto3.FrontendMessage{query("update"), query("select")}, ready: 2,
			want: "D UPDATE 1 ZI N D SELECT 1 ZI", ran: "update select",
			trail: []string{"query update = allow → completed", "query select = allow → completed"},
		},
		"a query that fails": {
			send: []pgproto3.FrontendMessage{query("fail")}, ready: 1,
			want: "N E22012 ZI", ran: "fail", trail: []string{"query fail = allow → error 22012"},
		},
		"in a pipeline, right before its own answers": {
			send: []pgproto3.FrontendMessage{
				parse("", "update"), bind("", ""), execute(""), parse("", "select"), bind("", ""), execute(""), execute(""),
				parse("", "update"), bind("", ""), execute(""), syncMessage,
			},
			ready: 1, want: "1 2 D UPDATE 1 1 N 2 D SELECT 1 N D SELECT 1 1 2 D UPDATE 1 ZI", ran: "update select select update",
			trail: []string{
				"bind update = allow → completed", "bind select = allow → completed", "execute select = allow → completed",
				"bind update = allow → completed",
			},
		},
		"not of what the backend discards": {
			send: []pgproto3.FrontendMessage{parse("", "noparse"), parse("", "select"), bind("", ""), execute(""), syncMessage}, ready: 1,
			want: "E42P01 ZI", trail: []string{"bind select = allow → skipped"},
		},
		"what SQL runs by its name": {
			send: []pgproto3.FrontendMessage{parse("s", "select"), syncMessage, query("execute s")}, ready: 2,
			want: "1 ZI N D EXECUTE 1 ZI", ran: "execute s",
			trail: []string{"parse select = allow → completed", "query execute s = allow → completed"},
		},
		"a copy": {
			send: []pgproto3.FrontendMessage{query("copyin"), &pgproto3.CopyDone{}}, ready: 1,
			want: "N G COPY 1 ZI", ran: "copyin", trail: []string{"query copyin = allow → completed"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.checkWith(t, warned) })
	}
}

func TestRelayWarningIsWhole(t *testing.T) {
	b := start(t, warned)
	b.send(query("select"))
	m, err := b.client.Receive()
	if err != nil {
		t.Fatal(err)
	}
	want := &pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "01000", Message: "careful"}
	if diff := cmp.Diff(pgproto3.BackendMessage(want), m); diff != "" {
		t.Error(diff)
	}
	b.receive(1)
	b.end()
	if got := strings.Join(b.log.statements[0].Obligations, " "); got != "warn=careful" {
		t.Errorf("the trail says %q", got)
	}
}

// TestRelayWarningComesBetweenMessages has the answer of the statement before arrive in pieces.
func TestRelayWarningComesBetweenMessages(t *testing.T) {
	b := start(t, warned)
	b.send(query("wait; update"), query("select"))
	b.waitFor("both are asked", func(q *queue) bool { return q.pushed == 2 })
	close(b.backend.release)
	if got, want := strings.Join(b.receive(2), " "), "WAIT 1 D UPDATE 1 ZI N D SELECT 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
}

// TestRelayDelaysWhatComesTooSoon: two statements may come at once, the others one in twenty milliseconds. What ends a transaction is
// not counted.
func TestRelayDelaysWhatComesTooSoon(t *testing.T) {
	b := start(t, func(r *relay) { r.pace = rate.NewLimiter(50, 2) })
	began := time.Now()
	b.send(query("select"), query("select"), parse("", "select"), bind("", ""), execute(""), syncMessage, query("select"))
	b.receive(4)
	if took := time.Since(began); took < 35*time.Millisecond {
		t.Errorf("four statements took %v", took)
	}
	b.end()
	for _, line := range b.log.lines() {
		if !strings.HasSuffix(line, "select = allow → completed") {
			t.Error(line)
		}
	}
	var waited time.Duration
	for _, o := range b.log.outcomes {
		waited += o.WaitDuration
		if o.WaitDuration > o.Duration || o.JudgeDuration+o.WaitDuration > o.Duration {
			t.Errorf("judged for %v, waited for %v, of %v", o.JudgeDuration, o.WaitDuration, o.Duration)
		}
	}
	if waited < 35*time.Millisecond {
		t.Errorf("the log says that they were made to wait %v", waited)
	}
}

// TestRelayDeniesWhatWouldWaitTooLong: other sessions of the identity have booked the next seconds.
func TestRelayDeniesWhatWouldWaitTooLong(t *testing.T) {
	pace := rate.NewLimiter(1, 1)
	b := start(t, func(r *relay) { r.pace = pace })
	b.send(query("begin"))
	b.receive(1)
	pace.ReserveN(time.Now(), 1)
	pace.ReserveN(time.Now(), 1)
	b.send(query("select"), parse("", "select"), bind("", ""), execute(""), syncMessage, query("rollback"))
	if got, want := strings.Join(b.receive(3), " "), "E53400 ZE 1 E53400 ZE ROLLBACK 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.send(query("forbidden"))
	if got, want := strings.Join(b.receive(1), " "), "E42501 ZI"; got != want {
		t.Errorf("what is denied anyway: got %s, want %s", got, want)
	}
	b.end()
	if ran := strings.Join(b.backend.executed(), " "); ran != "begin rollback" {
		t.Errorf("the backend ran %q", ran)
	}
}

// TestRelayFailedTransactionIsNotDelayed: all it can hear is that it has failed, and the way out.
func TestRelayFailedTransactionIsNotDelayed(t *testing.T) {
	pace := rate.NewLimiter(1, 2)
	b := start(t, func(r *relay) { r.pace = pace })
	for _, text := range []string{"begin", "fail"} {
		b.send(query(text))
		b.receive(1)
	}
	pace.ReserveN(time.Now(), 2)
	for _, text := range []string{"select", "commit"} {
		b.send(query(text))
		if got := b.receive(1); strings.HasPrefix(got[0], "E53400") {
			t.Errorf("%s: got %q", text, got)
		}
	}
	b.end()
}

func TestQueuePauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		began := time.Now()
		if err := q.pause(time.Second); err != nil || time.Since(began) != time.Second {
			t.Errorf("paused for %v, %v", time.Since(began), err)
		}
		time.AfterFunc(time.Second, q.end)
		began = time.Now()
		if err := q.pause(time.Minute); err == nil || time.Since(began) != time.Second {
			t.Errorf("the end of the relay came after a second; paused for %v, %v", time.Since(began), err)
		}
	})
}

func TestIdentityKeepsItsPace(t *testing.T) {
	now := time.Now()
	var all identities
	who, err := all.join("ana", now)
	if err != nil {
		t.Fatal(err)
	}
	pace := all.pace(who, 10)
	if all.pace(who, 10) != pace || all.pace(who, 20) == pace {
		t.Error("sessions with the same limit share it, and no others")
	}
	pace.ReserveN(now, 10)
	all.leave("ana", now)
	if all.known["ana"] != who {
		t.Error("who leaves and comes back begins afresh")
	}
	all.sweep(now.Add(time.Second))
	if all.known["ana"] != nil {
		t.Error("kept for nothing")
	}
}

func TestSessionsOfAnIdentity(t *testing.T) {
	server := &Server{sessions: map[*session]struct{}{}}
	enter := func(user string, most uint64) (*session, bool) {
		s := &session{user: user}
		server.sessions[s] = struct{}{}
		return s, server.grant(s, most)
	}
	first, ok := enter("ana", 0)
	if !ok {
		t.Error("without a limit there is one")
	}
	if _, ok := enter("ana", 2); !ok {
		t.Error("the second of two is refused")
	}
	if _, ok := enter("ana", 2); ok {
		t.Error("a third is let in")
	}
	if _, ok := enter("bob", 1); !ok {
		t.Error("others count")
	}
	server.ungrant(first)
	if _, ok := enter("ana", 2); !ok {
		t.Error("the place of one that left is not free")
	}
}

// TestUnlimitedStatementsCostNothing: who has no limits pays for none.
func TestUnlimitedStatementsCostNothing(t *testing.T) {
	j := &judge{relay: &relay{queue: newQueue()}}
	p, v := &prepared{known: &opinion{}}, verdict{allow: true}
	if got := testing.AllocsPerRun(100, func() {
		if _, err := j.meter(p, v); err != nil || j.allowance(v) != nil || j.awaitBounded() != nil || j.awaitTimed() != nil {
			t.Fatal("limited")
		}
	}); got != 0 {
		t.Errorf("%v allocations a statement", got)
	}
}

// switchedPolicy is one policy, and later another.
type switchedPolicy struct{ current atomic.Pointer[fakePolicy] }

func (p *switchedPolicy) become(f *fakePolicy) { p.current.Store(f) }
func (p *switchedPolicy) now() *fakePolicy     { return p.current.Load() }

func (p *switchedPolicy) Policy() *authz.Policy { return p.now().Policy() }

func (p *switchedPolicy) Connect(ctx context.Context, in *authz.ConnectInput) (*authz.ConnectDecision, error) {
	return p.now().Connect(ctx, in)
}

func (p *switchedPolicy) Statement(ctx context.Context, in *authz.StatementInput) (*authz.StatementDecision, error) {
	return p.now().Statement(ctx, in)
}

// TestTermsOfTheExecute: what runs keeps to what policy says when it runs, and its event says so too. The Bind's would not.
func TestTermsOfTheExecute(t *testing.T) {
	p := &switchedPolicy{}
	p.become(&fakePolicy{obligations: map[string]authz.StatementDecision{"ENDLESS": {MaxRows: 3}}})
	b := start(t, func(r *relay) { r.policy = p; r.grant.policy = p.now().Policy() })
	b.send(parse("", "endless 4"), bind("", ""), &pgproto3.Flush{})
	for _, want := range []string{"1", "2"} {
		m, err := b.client.Receive()
		if err != nil || word(m) != want {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	p.become(&fakePolicy{obligations: map[string]authz.StatementDecision{"ENDLESS": {MaxRows: 1, Warnings: []string{"slowly"}}}})
	b.send(execute(""), syncMessage)
	if got := strings.Join(b.receive(1), " "); got != "N D E53400 ZI" {
		t.Errorf("got %s", got)
	}
	b.end()
	want := []string{"bind endless 4 = allow → bound", "execute endless 4 = allow → capped 53400"}
	if diff := cmp.Diff(want, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}
