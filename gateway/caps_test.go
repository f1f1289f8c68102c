package gateway

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
)

// capped is a session whose statements deliver three rows.
func capped(r *relay) { r.grant.MaxRows = 3 }

func executeSome(rows uint32) *pgproto3.Execute { return &pgproto3.Execute{MaxRows: rows} }

func TestRelayCaps(t *testing.T) {
	tests := map[string]exchange{
		"as many rows as the cap": {
			send: []pgproto3.FrontendMessage{query("rows 3")}, ready: 1,
			want: "D D D ROWS 1 ZI", ran: "rows 3", trail: []string{"query rows 3 = allow → completed"},
		},
		"one more": {
			send: []pgproto3.FrontendMessage{query("endless 4"), query("select")}, ready: 2,
			want: "D D D E53400 ZI D SELECT 1 ZI", ran: "endless 4 select",
			trail: []string{"query endless 4 = allow → capped 53400", "query select = allow → completed"},
		},
		"many more": {
			send: []pgproto3.FrontendMessage{query("endless 4000")}, ready: 1,
			want: "D D D E53400 ZI", ran: "endless 4000", trail: []string{"query endless 4000 = allow → capped 53400"},
		},
		"an error before the cap": {
			send: []pgproto3.FrontendMessage{query("faulty 3")}, ready: 1,
			want: "D D D E22012 ZI", ran: "faulty 3", trail: []string{"query faulty 3 = allow → error 22012"},
		},
		"an error of another kind after the cap": {
			send: []pgproto3.FrontendMessage{query("faulty 4")}, ready: 1,
			want: "D D D E53400 ZI", ran: "faulty 4", trail: []string{"query faulty 4 = allow → capped 53400"},
		},
		"in a transaction": {
			send: []pgproto3.FrontendMessage{query("begin"), query("endless 4"), query("rollback")}, ready: 3,
			want: "BEGIN 1 ZT D D D E53400 ZE ROLLBACK 1 ZI", ran: "begin endless 4 rollback",
			trail: []string{
				"query begin = allow → completed", "query endless 4 = allow → capped 53400", "query rollback = allow → completed",
			},
		},
		"statements of one Query share a cap": {
			send: []pgproto3.FrontendMessage{query("rows 2; endless 2")}, ready: 1,
			want: "D D ROWS 1 D E53400 ZI", ran: "rows 2 endless 2", trail: []string{"query rows 2; endless 2 = allow → capped 53400"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.checkWith(t, capped) })
	}
}

func TestRelayCapsInPipelines(t *testing.T) {
	tests := map[string]exchange{
		"in a pipeline": {
			send: []pgproto3.FrontendMessage{
				parse("", "rows 3"), bind("", ""), execute(""), parse("", "endless 4"), bind("", ""), execute(""),
				parse("", "select"), bind("", ""), execute(""), syncMessage, query("select"),
			},
			ready: 2, want: "1 2 D D D ROWS 1 1 2 D D D E53400 ZI D SELECT 1 ZI", ran: "rows 3 endless 4 select",
			trail: []string{
				"bind rows 3 = allow → completed", "bind endless 4 = allow → capped 53400", "bind select = allow → skipped",
				"query select = allow → completed",
			},
		},
		"in a pipeline of pipelines": {
			send: []pgproto3.FrontendMessage{
				parse("s", "endless 4"), bind("", "s"), execute(""), syncMessage, bind("", "s"), execute(""), syncMessage,
			},
			ready: 2, want: "1 2 D D D E53400 ZI 2 D D D E53400 ZI", ran: "endless 4 endless 4",
			trail: []string{"bind endless 4 = allow → capped 53400", "bind endless 4 = allow → capped 53400"},
		},
		"a Query behind an error, which the backend discards": {
			send: []pgproto3.FrontendMessage{parse("", "noparse"), query("rows 3"), syncMessage, query("select")}, ready: 2,
			want: "E42P01 ZI D SELECT 1 ZI", ran: "select",
			trail: []string{"query rows 3 = allow → skipped", "query select = allow → completed"},
		},
		"batches of a portal up to the cap": {
			send: []pgproto3.FrontendMessage{
				parse("", "rows 3"), bind("", ""), executeSome(2), executeSome(2), syncMessage,
			},
			ready: 1, want: "1 2 D D s D ROWS 1 ZI",
			trail: []string{"bind rows 3 = allow → suspended", "execute rows 3 = allow → completed"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.checkWith(t, capped) })
	}
}

func TestRelayCapsOfCopiesAndCursors(t *testing.T) {
	tests := map[string]exchange{
		"as much copied out as the cap": {
			send: []pgproto3.FrontendMessage{query("copyout 3")}, ready: 1,
			want: "H d d d c COPYOUT 1 ZI", ran: "copyout 3", trail: []string{"query copyout 3 = allow → completed"},
		},
		"more copied out": {
			send: []pgproto3.FrontendMessage{query("copyendless 4"), query("select")}, ready: 2,
			want: "H d d d E53400 ZI D SELECT 1 ZI", ran: "copyendless 4 select",
			trail: []string{"query copyendless 4 = allow → capped 53400", "query select = allow → completed"},
		},
		"copying in is not delivering": {
			send: []pgproto3.FrontendMessage{
				query("copyin"), &pgproto3.CopyData{Data: []byte("1")}, &pgproto3.CopyData{Data: []byte("2")},
				&pgproto3.CopyData{Data: []byte("3")}, &pgproto3.CopyData{Data: []byte("4")}, &pgproto3.CopyDone{}, query("select"),
			},
			ready: 2, want: "G COPY 1 ZI D SELECT 1 ZI", ran: "copyin select",
			trail: []string{"query copyin = allow → completed", "query select = allow → completed"},
		},
		"a cursor, fetched up to the cap": {
			send: []pgproto3.FrontendMessage{query("begin; declare c; fetch c; fetch c"), query("fetch c")}, ready: 2,
			want: "BEGIN 1 DECLARE 1 D FETCH 1 D FETCH 1 ZT D FETCH 1 ZT", ran: "begin declare c fetch c fetch c fetch c",
			trail: []string{"query begin; declare c; fetch c; fetch c = allow → completed", "query fetch c = allow → completed"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.checkWith(t, capped) })
	}
}

// TestRelayCapsAfterTheFact has statements complete before they can be cancelled: there is no state of the transaction to report.
func TestRelayCapsAfterTheFact(t *testing.T) {
	tests := map[string]struct {
		send  []pgproto3.FrontendMessage
		want  string
		trail []string
	}{
		"a query": {
			[]pgproto3.FrontendMessage{query("rows 4"), query("select")},
			"D D D FATAL 53400",
			[]string{"query rows 4 = allow → capped 53400"},
		},
		"in a pipeline": {
			[]pgproto3.FrontendMessage{parse("", "rows 4"), bind("", ""), execute(""), syncMessage},
			"1 2 D D D FATAL 53400",
			[]string{"bind rows 4 = allow → capped 53400"},
		},
		"batches of a portal": {
			[]pgproto3.FrontendMessage{parse("", "rows 4"), bind("", ""), executeSome(2), executeSome(2), syncMessage},
			"1 2 D D s D FATAL 53400",
			[]string{"bind rows 4 = allow → suspended", "execute rows 4 = allow → capped 53400"},
		},
		"copied out": {
			[]pgproto3.FrontendMessage{query("copyout 4")},
			"H d d d FATAL 53400",
			[]string{"query copyout 4 = allow → capped 53400"},
		},
		"a cursor that SQL fetches from": {
			[]pgproto3.FrontendMessage{query("begin; declare c; fetch c; fetch c"), query("fetch c"), query("fetch c")},
			"BEGIN 1 DECLARE 1 D FETCH 1 D FETCH 1 ZT D FETCH 1 ZT FATAL 53400",
			[]string{
				"query begin; declare c; fetch c; fetch c = allow → completed", "query fetch c = allow → completed",
				"query fetch c = allow → capped 53400",
			},
		},
		"a cursor that SQL and Execute read": {
			[]pgproto3.FrontendMessage{
				query("begin"), parse("s", "rows 4"), bind("p", "s"), &pgproto3.Execute{Portal: "p", MaxRows: 3}, parse("f", "fetch p"),
				bind("", "f"), execute(""), syncMessage,
			},
			"BEGIN 1 ZT 1 2 D D D s 1 2 FATAL 53400",
			[]string{"query begin = allow → completed", "bind rows 4 = allow → suspended", "bind fetch p = allow → capped 53400"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, capped)
			b.send(tt.send...)
			if got := strings.Join(b.rest(), " "); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if cause := b.cause(); cause.reason != ReasonCapped {
				t.Errorf("ended by %v", cause)
			}
			if diff := cmp.Diff(tt.trail, b.log.lines()); diff != "" {
				t.Errorf("trail (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRelayCapSaysWhy(t *testing.T) {
	tests := map[string]struct {
		change        func(r *relay)
		rows          uint64
		message, hint string
	}{
		"rows": {capped, 3, "row limit of 3 reached", "Decision s.1. Ask for fewer rows, for instance by LIMIT."},
		"bytes, of which a row has seven": {
			func(r *relay) { r.grant.MaxBytes = 20 },
			2, "byte limit of 20 reached", "Decision s.1. Ask for fewer rows or columns.",
		},
		"the smaller one, the statement's": {
			func(r *relay) {
				r.grant.MaxRows = 3
				r.policy = &fakePolicy{obligations: map[string]authz.StatementDecision{"ENDLESS": {MaxRows: 1}}}
			},
			1, "row limit of 1 reached", "Decision s.1. Ask for fewer rows, for instance by LIMIT.",
		},
		"the smaller one, the session's": {
			func(r *relay) {
				r.grant.MaxRows = 1
				r.policy = &fakePolicy{obligations: map[string]authz.StatementDecision{"ENDLESS": {MaxRows: 3}}}
			},
			1, "row limit of 1 reached", "Decision s.1. Ask for fewer rows, for instance by LIMIT.",
		},
		"rows per hour": {
			func(r *relay) { r.hour = &hourly{hour: &hour{}, bound: caps{rows: 2}} },
			2, "row limit of 2 per hour reached", "Decision s.1. Try again later.",
		},
		"an observer's": {
			func(r *relay) { r.grant.MaxRows, r.grant.Observe = 3, true },
			3, "row limit of 3 reached", "Decision s.1. Ask for fewer rows, for instance by LIMIT.",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, tt.change)
			b.send(query("endless 5"))
			rows := uint64(0)
			for {
				m, err := b.client.Receive()
				if err != nil {
					t.Fatal(err)
				}
				if _, row := m.(*pgproto3.DataRow); row {
					rows++
					continue
				}
				e, ok := m.(*pgproto3.ErrorResponse)
				if !ok || e.Code != "53400" || e.Message != tt.message || e.Hint != tt.hint || e.Detail == "" {
					t.Errorf("got %+v", m)
				}
				break
			}
			b.receive(1)
			b.end()
			if rows != tt.rows || b.log.outcomes[0].Rows != tt.rows {
				t.Errorf("%d rows were delivered and %d recorded, want %d", rows, b.log.outcomes[0].Rows, tt.rows)
			}
		})
	}
}

// TestRelayCapsPerHour: all sessions of an identity are delivered so much together, and then hear that at once; what ends a transaction
// is not denied.
func TestRelayCapsPerHour(t *testing.T) {
	shared := &hourly{hour: &hour{}, bound: caps{rows: 4}}
	change := func(r *relay) { r.hour = shared }
	one, two := start(t, change), start(t, change)
	two.send(query("begin"), query("rows 3"))
	if got, want := strings.Join(two.receive(2), " "), "BEGIN 1 ZT D D D ROWS 1 ZT"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	one.send(query("endless 2"))
	if got, want := strings.Join(one.receive(1), " "), "D E53400 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	one.send(query("rows 0"), parse("", "rows 0"), bind("", ""), execute(""), syncMessage)
	if got, want := strings.Join(one.receive(2), " "), "E53400 ZI 1 E53400 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, text := range []string{"rows 0", "fail", "commit"} { // denied, then in a failed transaction, then the end of it
		two.send(query(text))
		two.receive(1)
	}
	one.end()
	two.end()
	want := []string{
		"query begin = allow → completed", "query rows 3 = allow → completed", "query rows 0 = deny → denied 53400",
		"query fail = allow → error 22012", "query commit = allow → completed",
	}
	if diff := cmp.Diff(want, two.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// TestRelayCapCancelsNothingElse has a statement end by itself while the cancel that a cap sent is on its way. What the client sent
// behind it must not be run into that.
func TestRelayCapCancelsNothingElse(t *testing.T) {
	inCancel, release := make(chan struct{}), make(chan struct{})
	b := start(t, func(r *relay) {
		capped(r)
		r.cancel = func(context.Context) error { close(inCancel); <-release; return nil }
	})
	b.send(query("faulty 4"), query("select"))
	<-inCancel
	time.Sleep(50 * time.Millisecond) // nothing may arrive meanwhile; there is no event to wait for
	if ran := strings.Join(b.backend.executed(), " "); ran != "faulty 4" {
		t.Errorf("the backend ran %q", ran)
	}
	close(release)
	if got, want := strings.Join(b.receive(2), " "), "D D D E53400 ZI D SELECT 1 ZI"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b.end()
}

// TestRelayCapThatCannotCancel ends the session: the statement would go on for as long as it likes.
func TestRelayCapThatCannotCancel(t *testing.T) {
	b := start(t, func(r *relay) {
		capped(r)
		r.cancel = func(context.Context) error { return errors.New("connection refused") }
	})
	b.send(query("endless 4"))
	if got, want := strings.Join(b.rest(), " "), "D D D FATAL 53400"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if cause := b.cause(); cause.reason != ReasonCapped {
		t.Errorf("ended by %v", cause)
	}
	b.backend.cancel()
}
