package gateway

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

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
