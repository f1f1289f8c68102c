package gateway

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

func closePortal(name string) *pgproto3.Close { return &pgproto3.Close{ObjectType: 'P', Name: name} }

// TestRelayNames holds what the judge believes of a name against what the backend does with it.
func TestRelayNamesOfTheProtocol(t *testing.T) {
	long := strings.Repeat("x", 63)
	tests := map[string]exchange{
		"statement names are one where PostgreSQL stops to compare them": {
			send: []pgproto3.FrontendMessage{
				parse(long+"A", "select"), closeStatement(long + "B"), parse(long+"C", "update"), syncMessage,
				bind("", long+"A"), execute(""), syncMessage,
			},
			ready: 2, want: "1 3 1 ZI 2 D UPDATE 1 ZI", ran: "update", trail: []string{"bind update = allow → completed"},
		},
		"so are portal names": {
			send: []pgproto3.FrontendMessage{
				parse("a", "select"), parse("b", "update"), bind(long+"A", "a"), closePortal(long + "B"), bind(long+"C", "b"),
				execute(long + "A"), syncMessage,
			},
			ready: 1, want: "1 1 2 3 2 D UPDATE 1 ZI", ran: "update",
			trail: []string{"bind select = allow → bound", "bind update = allow → completed"},
		},
		"a name that a discarded Query would have changed": {
			send: []pgproto3.FrontendMessage{
				parse("a", "noparse"), query("select"), bind("", ""), execute(""), query("prepare s"), bind("", "s"), query("execute s"), syncMessage,
			},
			ready: 1, want: "E42P01 ZI",
			trail: []string{
				"query select = allow → skipped", "bind  = deny → skipped", "execute  = deny → skipped", "query prepare s = allow → skipped",
				"bind  = deny → skipped", "query execute s = deny → skipped",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.check(t) })
	}
}

func TestRelayNamesRunBySQL(t *testing.T) {
	tests := map[string]exchange{
		"SQL cannot run a COPY that was prepared by Parse": {
			send:  []pgproto3.FrontendMessage{parse("s", "copyin"), syncMessage, query("execute s")},
			ready: 2, want: "1 ZI E0A000 ZI", trail: []string{"query execute s = deny → denied 0A000"},
		},
		"SQL cannot run a PREPARE that was prepared by Parse": {
			send:  []pgproto3.FrontendMessage{parse("s", "prepare a"), syncMessage, query("execute s"), bind("", "a"), syncMessage},
			ready: 3, want: "1 ZI E0A000 ZI E26000 ZI",
			trail: []string{"query execute s = deny → denied 0A000", "bind  = deny → denied 26000"},
		},
		"nor by an EXECUTE that was prepared by Parse": {
			send: []pgproto3.FrontendMessage{
				parse("s", "deallocate a"), parse("e", "execute s"), syncMessage, bind("", "e"), execute(""), syncMessage,
			},
			ready: 2, want: "1 E0A000 ZI E26000 ZI",
			trail: []string{"parse execute s = deny → denied 0A000", "bind  = deny → denied 26000", "execute  = deny → skipped"},
		},
		"a text that only Parse has named is recorded when SQL runs it": {
			send: []pgproto3.FrontendMessage{parse("s", "select secretly"), query("execute s"), query("execute s")},
			// The Parse rides with the first Query.
			ready: 2, want: "1 D EXECUTE 1 ZI D EXECUTE 1 ZI", ran: "execute s execute s",
			trail: []string{
				"parse select secretly = allow → completed", "query execute s = allow → completed",
				"parse select secretly = allow → completed", "query execute s = allow → completed",
			},
		},
		"DEALLOCATE ALL leaves the unnamed statement": {
			send: []pgproto3.FrontendMessage{
				parse("", "deallocate all"), parse("s", "select"), bind("", ""), execute(""), bind("", ""), execute(""), syncMessage,
				bind("", ""), bind("", "s"), syncMessage,
			},
			ready: 2, want: "1 1 2 DEALLOCATE 1 2 DEALLOCATE 1 ZI 2 E26000 ZI", ran: "deallocate all deallocate all",
			trail: []string{
				"bind deallocate all = allow → completed", "bind deallocate all = allow → completed", "bind deallocate all = allow → bound",
				"bind  = deny → denied 26000",
			},
		},
		"a statement that a Query prepares behind a DEALLOCATE ALL in the same pipeline": {
			send: []pgproto3.FrontendMessage{
				parse("d", "deallocate all"), bind("", "d"), execute(""), query("prepare s"), bind("", "s"), syncMessage,
			},
			ready: 2, want: "1 2 DEALLOCATE 1 PREPARE 1 ZI 2 ZI", ran: "deallocate all prepare s",
			trail: []string{
				"bind deallocate all = allow → completed", "query prepare s = allow → completed", "bind prepare s = allow → bound",
			},
		},
		"a statement that a Query deallocates behind its Parse": {
			send:  []pgproto3.FrontendMessage{parse("s", "select"), query("deallocate all"), bind("", "s"), syncMessage},
			ready: 2, want: "1 DEALLOCATE 1 ZI E26000 ZI", ran: "deallocate all",
			trail: []string{"query deallocate all = allow → completed", "bind  = deny → denied 26000"},
		},
		"names after DDL in the same Query": {
			send: []pgproto3.FrontendMessage{query("create; select")}, ready: 1,
			want: "E42501 ZI", trail: []string{"query create; select = deny → denied 42501"},
		},
		"COMMIT after DDL names nothing": {
			send:  []pgproto3.FrontendMessage{query("begin"), query("create"), query("commit")},
			ready: 3, want: "BEGIN 1 ZT D CREATE 1 ZT COMMIT 1 ZI", ran: "begin create commit",
			trail: []string{"query begin = allow → completed", "query create = allow → completed", "query commit = allow → completed"},
		},
		"a cursor of SQL, executed by protocol": {
			send:  []pgproto3.FrontendMessage{query("begin; declare c"), execute("c"), syncMessage},
			ready: 2, want: "BEGIN 1 DECLARE 1 ZT DECLARE 1 ZT", ran: "begin declare c declare c",
			trail: []string{"query begin; declare c = allow → completed", "execute begin; declare c = allow → completed"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.check(t) })
	}
}

// TestRelayNamesMoved has names that SQL runs mean something else at each step.
func TestRelayNamesMoved(t *testing.T) {
	tests := map[string]exchange{
		"a name may come to mean something between Parse and Bind": {
			send: []pgproto3.FrontendMessage{
				parse("e", "execute s"), bind("", "e"), syncMessage, parse("s", "select"), bind("", "e"), execute(""), syncMessage,
			},
			ready: 2, want: "1 E26000 ZI 1 2 D EXECUTE 1 ZI", ran: "execute s",
			trail: []string{
				"bind execute s = deny → denied 26000", "parse select = allow → completed", "bind execute s = allow → completed",
			},
		},
		"a name that means something else when the portal runs it": {
			send: []pgproto3.FrontendMessage{
				parse("s", "select"), parse("e", "execute s"), bind("", "e"), closeStatement("s"), parse("s", "select secretly"), execute(""), syncMessage,
			},
			ready: 1, want: "1 1 2 3 1 D EXECUTE 1 ZI", ran: "execute s",
			trail: []string{
				"parse select = allow → completed", "bind execute s = allow → bound",
				"parse select secretly = allow → completed", "execute execute s = allow → completed",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.check(t) })
	}
}

// TestRelaySettingOfADefinition: the SET clause of a function sets nothing, so names mean what they did once the definition is over.
func TestRelaySettingOfADefinition(t *testing.T) {
	b := start(t, nil)
	b.send(query("create f setpath"))
	b.receive(1)
	b.send(query("select"))
	if got := strings.Join(b.receive(1), " "); got != "D SELECT 1 ZI" {
		t.Errorf("got %s", got)
	}
	b.end()
}

// TestRelayMoves shows that a statement which moves names does so by whatever name it is run.
func TestRelayMoves(t *testing.T) {
	tests := map[string][]pgproto3.FrontendMessage{
		"by itself":          {query("setpath")},
		"perhaps":            {query("setsome")},
		"prepared and run":   {query("prepare s setpath"), query("execute s")},
		"declared and run":   {query("declare c setpath"), query("fetch c")},
		"bound and executed": {parse("", "setpath"), bind("", ""), execute(""), syncMessage},
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			b.send(send...)
			ready := 0
			for _, m := range send {
				switch m.(type) {
				case *pgproto3.Query, *pgproto3.Sync:
					ready++
				}
			}
			b.receive(ready)
			b.send(query("select"))
			if got, want := strings.Join(b.receive(1), " "), "E42501 ZI"; got != want {
				t.Errorf("got %s, want %s: the search_path is not what the facts were made for", got, want)
			}
			b.end()
		})
	}
}

// TestRelayBoundsNames shows that no way of naming things grows without end.
func TestRelayBoundsNames(t *testing.T) {
	tests := map[string]func(i int) []pgproto3.FrontendMessage{
		"Parse": func(i int) []pgproto3.FrontendMessage {
			return []pgproto3.FrontendMessage{parse(fmt.Sprintf("s%d", i), "select"), syncMessage}
		},
		"PREPARE": func(i int) []pgproto3.FrontendMessage {
			return []pgproto3.FrontendMessage{query(fmt.Sprintf("prepare s%d", i))}
		},
	}
	for name, messages := range tests {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(r *relay) { r.limits.PreparedStatements = 3 })
			for i := range 4 {
				b.send(messages(i)...)
				if refused := b.receive(1)[0] == "E53400"; refused != (i == 3) {
					t.Errorf("statement %d is refused: %t", i, refused)
				}
			}
			b.end()
		})
	}
}

func TestRelayBoundsPortals(t *testing.T) {
	b := start(t, nil)
	b.send(parse("s", "select"))
	for i := range maxPortals {
		b.send(bind(fmt.Sprintf("p%d", i), "s"))
	}
	b.send(bind("one too many", "s"), syncMessage)
	got := b.receive(1)
	if len(got) != maxPortals+3 || got[maxPortals+1] != "E53400" {
		t.Errorf("got %d answers, the last are %q", len(got), got[len(got)-2:])
	}
	b.end()
}

// check sends the exchange and compares answers, executions and trail, over every transport.
func (x exchange) check(t *testing.T) {
	t.Helper()
	for name, pair := range transports {
		t.Run(name, func(t *testing.T) { x.checkOn(startOn(t, pair, nil)) })
	}
}

// checkWith does it in a session that change has altered.
func (x exchange) checkWith(t *testing.T, change func(r *relay)) {
	t.Helper()
	x.checkOn(start(t, change))
}

func (x exchange) checkOn(b *bench) {
	t := b.t
	t.Helper()
	b.send(x.send...)
	got := b.receive(x.ready)
	if diff := cmp.Diff(x.want, strings.Join(got, " ")); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(x.ran, strings.Join(b.backend.executed(), " ")); diff != "" {
		t.Errorf("executed (-want +got):\n%s", diff)
	}
	if cause := b.end(); cause.reason != ReasonClientGone {
		t.Errorf("ended by %v", cause)
	}
	if diff := cmp.Diff(x.trail, b.log.lines()); diff != "" {
		t.Errorf("trail (-want +got):\n%s", diff)
	}
}

// TestRelayNamesAmidCopy: while the backend copies in nobody learns what a name means, and the backend takes no message that uses one. It is
// the backend that says so; nobody waits for an answer that is not to come.
func TestRelayNamesAmidCopy(t *testing.T) {
	for name, tt := range map[string]struct {
		copies  string
		message pgproto3.FrontendMessage
	}{
		"the unnamed statement":   {"copyin", bind("", "")},
		"the unnamed portal":      {"copyin", execute("")},
		"a name of the same text": {"prepare s select; copyin", bind("", "s")},
		"a name, by SQL":          {"prepare s select; copyin", query("execute s")},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, nil)
			next := func() string {
				m, err := b.client.Receive()
				if err != nil {
					t.Fatal(err)
				}
				return word(m)
			}
			b.send(query(tt.copies))
			for next() != "G" {
			}
			b.send(tt.message, syncMessage)
			if got := next(); got != "FATAL 08P01" {
				t.Errorf("got %q", got)
			}
			b.backend.hangUp()
			if cause := b.cause(); cause.reason != ReasonBackendEnded {
				t.Errorf("ended by %v", cause)
			}
		})
	}
}
