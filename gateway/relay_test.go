package gateway

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
)

func query(text string) *pgproto3.Query { return &pgproto3.Query{String: text} }
func parse(name, text string) *pgproto3.Parse {
	return &pgproto3.Parse{Name: name, Query: text}
}

func bind(portal, statement string) *pgproto3.Bind {
	return &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: statement}
}
func execute(portal string) *pgproto3.Execute { return &pgproto3.Execute{Portal: portal} }
func closeStatement(name string) *pgproto3.Close {
	return &pgproto3.Close{ObjectType: 'S', Name: name}
}

var syncMessage = &pgproto3.Sync{}

// exchange is one thing a client sends in one write, the answer it must get, what the backend must have run, and the trail.
type exchange struct {
	send  []pgproto3.FrontendMessage
	ready int // ReadyForQuery to wait for
	want  string
	ran   string
	trail []string
}

func TestRelayQueries(t *testing.T) {
	tests := map[string]exchange{
		"a simple query": {
			send: []pgproto3.FrontendMessage{query("select")}, ready: 1,
			want: "D SELECT 1 ZI", ran: "select", trail: []string{"query select = allow → completed"},
		},
		"a query that fails": {
			send: []pgproto3.FrontendMessage{query("fail")}, ready: 1,
			want: "E22012 ZI", ran: "fail", trail: []string{"query fail = allow → error 22012"},
		},
		"a denied query": {
			send: []pgproto3.FrontendMessage{query("forbidden")}, ready: 1,
			want: "E42501 ZI", trail: []string{"query forbidden = deny → denied 42501"},
		},
		"a query of which one statement is denied": {
			send: []pgproto3.FrontendMessage{query("select; forbidden")}, ready: 1,
			want: "E42501 ZI", trail: []string{"query select; forbidden = deny → denied 42501"},
		},
		"a denial aborts the transaction": {
			send:  []pgproto3.FrontendMessage{query("begin"), query("forbidden"), query("select")},
			ready: 3, want: "BEGIN 1 ZT E42501 ZE D SELECT 1 ZE", ran: "begin select",
			trail: []string{"query begin = allow → completed", "query forbidden = deny → denied 42501", "query select = allow → completed"},
		},
		"a text that cannot be parsed": {
			send: []pgproto3.FrontendMessage{query("garbled")}, ready: 1,
			want: "E42601 ZI", trail: []string{"query garbled = deny → denied 42601"},
		},
		"a policy that cannot decide": {
			send: []pgproto3.FrontendMessage{query("broken")}, ready: 1,
			want: "E58000 ZI", trail: []string{"query broken = deny → denied 58000"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.check(t) })
	}
}

func TestRelayPipelines(t *testing.T) {
	tests := map[string]exchange{
		"an extended query": {
			send:  []pgproto3.FrontendMessage{parse("", "select"), bind("", ""), execute(""), syncMessage},
			ready: 1, want: "1 2 D SELECT 1 ZI", ran: "select", trail: []string{"bind select = allow → completed"},
		},
		"a denied Parse": {
			send:  []pgproto3.FrontendMessage{parse("", "forbidden"), bind("", ""), execute(""), syncMessage},
			ready: 1, want: "E42501 ZI",
			trail: []string{
				"parse forbidden = deny → denied 42501", "bind  = deny → skipped", "execute  = deny → skipped",
			},
		},
		"a denial in the middle of a pipeline": {
			send: []pgproto3.FrontendMessage{
				parse("", "select"), bind("", ""), execute(""), parse("", "forbidden"), bind("", ""), execute(""), syncMessage, query("select"),
			},
			ready: 2, want: "1 2 D SELECT 1 E42501 ZI D SELECT 1 ZI", ran: "select select",
			trail: []string{
				"bind select = allow → completed", "parse forbidden = deny → denied 42501", "bind  = deny → skipped",
				"execute select = allow → skipped", "query select = allow → completed",
			},
		},
		"a Query after an error and before Sync is discarded": {
			send:  []pgproto3.FrontendMessage{parse("", "noparse"), query("select"), syncMessage},
			ready: 1, want: "E42P01 ZI", trail: []string{"query select = allow → skipped"},
		},
		"a Query amid a pipeline": {
			send:  []pgproto3.FrontendMessage{parse("s", "select"), bind("", "s"), execute(""), query("select"), syncMessage},
			ready: 2, want: "1 2 D SELECT 1 D SELECT 1 ZI ZI", ran: "select select",
			trail: []string{"bind select = allow → completed", "query select = allow → completed"},
		},
		"a Bind that is never executed": {
			send:  []pgproto3.FrontendMessage{parse("", "select"), bind("", ""), syncMessage},
			ready: 1, want: "1 2 ZI", trail: []string{"bind select = allow → bound"},
		},
		"a portal executed twice": {
			send:  []pgproto3.FrontendMessage{parse("", "select"), bind("", ""), execute(""), execute(""), syncMessage},
			ready: 1, want: "1 2 D SELECT 1 D SELECT 1 ZI", ran: "select select",
			trail: []string{"bind select = allow → completed", "execute select = allow → completed"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.check(t) })
	}
}

func TestRelayNamesInPipelines(t *testing.T) {
	tests := map[string]exchange{
		"an unknown statement": {
			send:  []pgproto3.FrontendMessage{bind("", "nobody"), execute(""), syncMessage},
			ready: 1, want: "E26000 ZI", trail: []string{"bind  = deny → denied 26000", "execute  = deny → skipped"},
		},
		"a name redefined behind a failed Parse keeps its meaning": {
			send: []pgproto3.FrontendMessage{
				parse("s", "select"), syncMessage,
				parse("t", "noparse"), closeStatement("s"), parse("s", "update"), syncMessage,
				bind("", "s"), execute(""), syncMessage,
			},
			ready: 3, want: "1 ZI E42P01 ZI 2 D SELECT 1 ZI", ran: "select", trail: []string{"bind select = allow → completed"},
		},
		"a denied Close and redefinition cannot smuggle a statement": {
			send: []pgproto3.FrontendMessage{
				parse("s", "select"), syncMessage, closeStatement("s"), parse("s", "forbidden"), syncMessage, bind("", "s"), syncMessage,
			},
			ready: 3, want: "1 ZI 3 E42501 ZI E26000 ZI",
			trail: []string{"parse forbidden = deny → denied 42501", "bind  = deny → denied 26000"},
		},
		"SQL PREPARE and a wire Bind share names": {
			send:  []pgproto3.FrontendMessage{query("prepare s"), bind("", "s"), syncMessage},
			ready: 2, want: "PREPARE 1 ZI 2 ZI", ran: "prepare s",
			trail: []string{"query prepare s = allow → completed", "bind prepare s = allow → bound"},
		},
		"SQL PREPARE that fails leaves the name unknown": {
			send:  []pgproto3.FrontendMessage{query("fail; prepare s"), bind("", "s"), syncMessage},
			ready: 2, want: "E22012 ZI E26000 ZI", ran: "fail",
			trail: []string{"query fail; prepare s = allow → error 22012", "bind  = deny → denied 26000"},
		},
		"SQL EXECUTE of an unknown name": {
			send: []pgproto3.FrontendMessage{query("execute s")}, ready: 1,
			want: "E26000 ZI", trail: []string{"query execute s = deny → denied 26000"},
		},
		"SQL EXECUTE of a wire statement": {
			send:  []pgproto3.FrontendMessage{parse("s", "select"), syncMessage, query("execute s")},
			ready: 2, want: "1 ZI D EXECUTE 1 ZI", ran: "execute s",
			trail: []string{"parse select = allow → completed", "query execute s = allow → completed"},
		},
		"a Query drops the unnamed statement": {
			send:  []pgproto3.FrontendMessage{parse("", "select"), syncMessage, query("select"), bind("", ""), syncMessage},
			ready: 3, want: "1 ZI D SELECT 1 ZI E26000 ZI", ran: "select",
			trail: []string{"query select = allow → completed", "bind  = deny → denied 26000"},
		},
		"facts are incomplete after DDL in the same transaction": {
			send:  []pgproto3.FrontendMessage{query("begin"), query("create"), query("select")},
			ready: 3, want: "BEGIN 1 ZT D CREATE 1 ZT E42501 ZE", ran: "begin create",
			trail: []string{
				"query begin = allow → completed", "query create = allow → completed", "query select = deny → denied 42501",
			},
		},
		"facts are complete again after the transaction": {
			send:  []pgproto3.FrontendMessage{parse("", "create"), bind("", ""), execute(""), syncMessage},
			ready: 1, want: "1 2 D CREATE 1 ZI", ran: "create", trail: []string{"bind create = allow → completed"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.check(t) })
	}
}

func TestRelayCopyIn(t *testing.T) {
	tests := map[string]exchange{
		"copy in, simple": {
			send: []pgproto3.FrontendMessage{
				query("copyin"), &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyDone{}, query("select"),
			},
			ready: 2, want: "G COPY 1 ZI D SELECT 1 ZI", ran: "copyin select",
			trail: []string{"query copyin = allow → completed", "query select = allow → completed"},
		},
		"two copies in one query": {
			send: []pgproto3.FrontendMessage{
				query("copyin; copyin"), &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyDone{}, &pgproto3.CopyDone{},
			},
			ready: 1, want: "G COPY 1 G COPY 1 ZI", ran: "copyin copyin", trail: []string{"query copyin; copyin = allow → completed"},
		},
		"copy in that fails amid the data": {
			send: []pgproto3.FrontendMessage{
				query("copyin"), &pgproto3.CopyData{Data: []byte("bad")}, &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyDone{}, query("select"),
			},
			ready: 2, want: "G E22P04 ZI D SELECT 1 ZI", ran: "copyin select",
			trail: []string{"query copyin = allow → error 22P04", "query select = allow → completed"},
		},
		"copy in, extended, with the Sync that libpq sends early": {
			send: []pgproto3.FrontendMessage{
				parse("", "copyin"), bind("", ""), execute(""), syncMessage, &pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyDone{}, syncMessage,
			},
			ready: 1, want: "1 2 G COPY 1 ZI", ran: "copyin", trail: []string{"bind copyin = allow → completed"},
		},
		"copy in, extended, that fails": {
			send: []pgproto3.FrontendMessage{
				parse("", "copyin"), bind("", ""), execute(""), syncMessage, &pgproto3.CopyData{Data: []byte("bad")}, &pgproto3.CopyDone{}, syncMessage,
			},
			ready: 1, want: "1 2 G E22P04 ZI", ran: "copyin", trail: []string{"bind copyin = allow → error 22P04"},
		},
		"stray copy messages": {
			send:  []pgproto3.FrontendMessage{&pgproto3.CopyData{Data: []byte("x")}, &pgproto3.CopyDone{}, query("select")},
			ready: 1, want: "D SELECT 1 ZI", ran: "select", trail: []string{"query select = allow → completed"},
		},
		"a function call": {
			send: []pgproto3.FrontendMessage{&pgproto3.FunctionCall{Function: 2078}}, ready: 1,
			want: "E42501 ZI", trail: []string{"function_call  = deny → denied 42501"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.check(t) })
	}
}

func TestRelayObserve(t *testing.T) {
	b := start(t, func(r *relay) { r.grant.Observe = true })
	b.send(query("forbidden"), query("garbled"), bind("", "nobody"), syncMessage)
	got := strings.Join(b.receive(3), " ")
	if want := "D FORBIDDEN 1 ZI D GARBLED 1 ZI E26000 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
	want := []string{
		"query forbidden = observe → completed", "query garbled = observe → completed", "bind  = observe → error 26000",
	}
	if diff := cmp.Diff(want, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

func TestRelayEndsWhenAnOutcomeCannotBeWritten(t *testing.T) {
	b := start(t, nil)
	b.send(query("copyin"))
	if m, err := b.client.Receive(); err != nil || word(m) != "G" {
		t.Fatalf("got %v, %v", m, err)
	}
	b.log.setBroken(true)
	b.send(&pgproto3.CopyDone{})
	if got := b.rest(); got[len(got)-1] != "FATAL 58030" {
		t.Errorf("got %q, want a FATAL 58030 last", got)
	}
	if cause := b.cause(); cause.reason != ReasonAudit {
		t.Errorf("ended by %v", cause)
	}
}

func TestRelayClientProtocolViolations(t *testing.T) {
	tests := map[string]struct {
		raw  string
		want string
	}{
		"unknown type":              {"y\x00\x00\x00\x04", "FATAL 08P01"},
		"password after the login":  {"p\x00\x00\x00\x05\x00", "FATAL 08P01"},
		"length 0":                  {"Q\x00\x00\x00\x00", "FATAL 08P01"},
		"length 0x7fffffff":         {"Q\x7f\xff\xff\xff", "FATAL 08P01"},
		"Sync with a body":          {"S\x00\x00\x00\x05x", "FATAL 08P01"},
		"Flush with a body":         {"H\x00\x00\x00\x05x", "FATAL 08P01"},
		"query with a NUL inside":   {"Q\x00\x00\x00\x08a\x00b\x00", "E08P01 ZI"},
		"query of invalid UTF-8":    {"Q\x00\x00\x00\x06\xff\x00", "E22021 ZI"},
		"bind of a negative length": {"B\x00\x00\x00\x10\x00\x00\x00\x00\x00\x01\xff\xff\xff\xfb\x00\x00S\x00\x00\x00\x04", "E08P01 ZI"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			if _, err := b.conn.Write([]byte(tt.raw)); err != nil {
				t.Fatal(err)
			}
			var got []string
			if strings.HasPrefix(tt.want, "FATAL") {
				got = b.rest()
			} else {
				got = b.receive(1)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
			if ran := b.backend.executed(); len(ran) != 0 {
				t.Errorf("the backend ran %q", ran)
			}
			b.end()
		})
	}
}

func TestRelayEndedByOthers(t *testing.T) {
	tests := map[string]struct {
		end  func(b *bench)
		want string
	}{
		"killed":       {func(b *bench) { b.relay.end(fail(ReasonKilled, nil)) }, "FATAL 57P01"},
		"expired":      {func(b *bench) { b.relay.end(fail(ReasonIdentityExpired, nil)) }, "FATAL 57P01"},
		"drained":      {func(b *bench) { b.relay.drain() }, "FATAL 57P01"},
		"idle":         {func(b *bench) { b.relay.end(fail(ReasonIdle, nil)) }, "FATAL 57P05"},
		"backend gone": {func(b *bench) { _ = b.relay.backend.Close() }, "FATAL 08006"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			b.send(query("select"))
			b.receive(1)
			tt.end(b)
			if got := strings.Join(b.rest(), " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			b.cause()
		})
	}
}

func TestRelayDrainWaitsForTheTransaction(t *testing.T) {
	b := start(t, nil)
	b.send(query("begin"))
	b.receive(1)
	b.relay.drain()
	b.send(query("select"))
	if got, want := strings.Join(b.receive(1), " "), "D SELECT 1 ZT"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.send(query("commit"))
	if got, want := strings.Join(b.rest(), " "), "COMMIT 1 ZI FATAL 57P01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.cause()
}

func TestRelayEndsWhenPolicyWithdrawsTheGrant(t *testing.T) {
	b := start(t, func(r *relay) { r.policy = &fakePolicy{withdrawn: true} })
	b.send(query("select"))
	if got, want := strings.Join(b.rest(), " "), "FATAL 57P01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if ran := b.backend.executed(); len(ran) != 0 {
		t.Errorf("the backend ran %q", ran)
	}
	b.cause()
}

func TestRelayTripwire(t *testing.T) {
	b := start(t, nil)
	b.backend.say(&pgproto3.ParameterStatus{Name: "TimeZone", Value: "UTC"}, &pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "off"})
	if got, want := strings.Join(b.rest(), " "), "S FATAL 57P01"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if cause := b.cause(); cause.reason != ReasonEnvironmentMoved {
		t.Errorf("ended by %v", cause)
	}
}

func TestRelayRewritesItsOwnProcessIDOnly(t *testing.T) {
	b := start(t, nil)
	for _, pid := range []uint32{2000, 3000} {
		b.backend.say(&pgproto3.NotificationResponse{PID: pid, Channel: "c"})
	}
	for _, want := range []uint32{1000, 3000} {
		m, err := b.client.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := m.(*pgproto3.NotificationResponse); !ok || n.PID != want {
			t.Errorf("got %#v, want the process id %d", m, want)
		}
	}
	b.end()
}

func TestRelayCancelHoldsBackWhatComesAfter(t *testing.T) {
	inCancel, release := make(chan struct{}), make(chan struct{})
	b := start(t, func(r *relay) {
		r.cancel = func(context.Context) error { close(inCancel); <-release; return nil }
	})
	b.send(query("copyin")) // stays busy until the copy ends
	if m, err := b.client.Receive(); err != nil || word(m) != "G" {
		t.Fatalf("got %v, %v", m, err)
	}
	cancelled := make(chan bool, 1)
	go func() {
		forwarded, _ := b.relay.cancelRunning(context.Background(), cancelInDoubt())
		cancelled <- forwarded
	}()
	<-inCancel
	b.send(&pgproto3.CopyDone{})
	select {
	case <-cancelled:
		t.Error("the cancel ended by itself")
	case <-time.After(50 * time.Millisecond): // nothing may arrive meanwhile; there is no event to wait for
	}
	if busy, _ := b.relay.queue.busy(); !busy {
		t.Error("a message was forwarded into the cancel")
	}
	close(release)
	if !<-cancelled {
		t.Error("cancelRunning did not forward")
	}
	if got, want := strings.Join(b.receive(1), " "), "COPY 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if forwarded, _ := b.relay.cancelRunning(context.Background(), cancelInDoubt()); forwarded {
		t.Error("a cancel was forwarded to an idle backend")
	}
	b.end()
}

// sheetOf gives every text the same sheet, as the pool does for texts that differ in literals only.
type sheetOf struct{ sheet *statement.Sheet }

func (s sheetOf) AnalyzeAhead(context.Context, string, func(*statement.Sheet)) (*statement.Sheet, error) {
	return s.sheet, nil
}
func (s sheetOf) Known([]byte, *statement.Memory) *statement.Sheet { return s.sheet }

func TestRelayDecidesOncePerSheetAndPolicy(t *testing.T) {
	policy := &countingPolicy{fakePolicy: fakePolicy{}}
	sheet, err := fakeAnalyzer{}.AnalyzeAhead(t.Context(), "select", nil)
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, func(r *relay) { r.policy, r.analyzer, r.grant.policy = policy, sheetOf{sheet}, policy.Policy() })
	for _, text := range []string{"select 1", "select 2", "select 3"} {
		b.send(query(text))
		b.receive(1)
	}
	if got := policy.asked.Load(); got != 1 {
		t.Errorf("policy was asked %d times about one sheet", got)
	}
	b.end()
}

// TestRelayRecordsWhatPasses: texts that come once share their place in memory, and runs are used again; every event is its own all the same.
func TestRelayRecordsWhatPasses(t *testing.T) {
	b := start(t, nil)
	var want []string
	for i := range 40 {
		text, name := fmt.Sprintf("select %d", i), fmt.Sprintf("p%d", i)
		b.send(query(text))
		b.receive(1)
		b.send(parse("", text), bind("", ""), execute(""), bind("p", ""), &pgproto3.Sync{}, query(text), query("prepare "+name+" "+text), query("forbidden"))
		b.receive(4)
		b.send(query("execute "+name), bind("", name), execute(""), &pgproto3.Sync{})
		b.receive(2)
		want = append(
			want, "query "+text+" = allow → completed", "bind "+text+" = allow → completed", "bind "+text+" = allow → bound",
			"query "+text+" = allow → completed", "query prepare "+name+" "+text+" = allow → completed",
			"query forbidden = deny → denied 42501", "query execute "+name+" = allow → completed",
			"bind prepare "+name+" "+text+" = allow → completed",
		)
	}
	b.end()
	if diff := cmp.Diff(want, b.log.lines()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// countingPolicy counts the questions.
type countingPolicy struct {
	fakePolicy
	asked atomic.Int32
}

func (c *countingPolicy) Statement(ctx context.Context, in *authz.StatementInput) (*authz.StatementDecision, error) {
	c.asked.Add(1)
	return c.fakePolicy.Statement(ctx, in)
}
