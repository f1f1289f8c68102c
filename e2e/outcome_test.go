package e2e

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/e2e/stack"
)

// exchange sends what a client says, and reads the answers up to the last ReadyForQuery, of which there are so many.
func exchange(t *testing.T, conn *pgx.Conn, ready int, messages ...pgproto3.FrontendMessage) {
	t.Helper()
	frontend := conn.PgConn().Frontend()
	for _, m := range messages {
		frontend.Send(m)
	}
	if err := frontend.Flush(); err != nil {
		t.Fatal(err)
	}
	for ready > 0 {
		message, err := frontend.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := message.(*pgproto3.ReadyForQuery); ok {
			ready--
		}
	}
}

// outcomeTest is what a client sends, how many ReadyForQuery it waits for, and what the log then says: status, command, SQLSTATE, rows,
// bytes.
type outcomeTest struct {
	messages []pgproto3.FrontendMessage
	ready    int
	want     []string
}

func outcomeTests() map[string]outcomeTest {
	copied := func(data ...string) (messages []pgproto3.FrontendMessage) {
		for _, d := range data {
			messages = append(messages, &pgproto3.CopyData{Data: []byte(d)})
		}
		return messages
	}
	query := func(text string) pgproto3.FrontendMessage { return &pgproto3.Query{String: text} }
	extended := func(name, text string, limit uint32) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{
			&pgproto3.Parse{Name: name, Query: text}, &pgproto3.Bind{DestinationPortal: name, PreparedStatement: name}, &pgproto3.Execute{Portal: name, MaxRows: limit},
		}
	}
	join := func(lists ...[]pgproto3.FrontendMessage) (all []pgproto3.FrontendMessage) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	one := func(messages ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage { return messages }
	sync := &pgproto3.Sync{}
	return map[string]outcomeTest{
		"rows":       {one(query("SELECT generate_series(1, 3)")), 1, []string{"completed SELECT 3  3 21"}},
		"no rows":    {one(query("SELECT 1 WHERE false")), 1, []string{"completed SELECT 0  0 0"}},
		"nothing":    {one(query("")), 1, []string{"completed   0 0"}},
		"two":        {one(query("SELECT 1; SELECT generate_series(1, 2)")), 1, []string{"completed SELECT 1; SELECT 2  3 21"}},
		"written":    {one(query("INSERT INTO outcomes SELECT generate_series(1, 5)")), 1, []string{"completed INSERT 0 5  0 0"}},
		"an error":   {one(query("SELECT 1/0")), 1, []string{"error  22012 0 0"}},
		"late error": {one(query("SELECT 1/(2-g) FROM generate_series(1, 2) g")), 1, []string{"error  22012 1 7"}},
		"copied out": {one(query("COPY (SELECT generate_series(1, 3)) TO STDOUT")), 1, []string{"completed COPY 3  3 6"}},
		"copied in": {
			join(one(query("COPY outcomes FROM STDIN")), copied("1\n2\n", "3", "4\n5\n"), one(&pgproto3.CopyDone{})), 1,
			[]string{"completed COPY 4  4 9"}, // three messages, of which none is a row
		},
		"copied in twice": {
			join(one(query("COPY outcomes FROM STDIN; COPY outcomes FROM STDIN")), copied("1\n"), one(&pgproto3.CopyDone{}), copied("2\n3\n"), one(&pgproto3.CopyDone{})), 1,
			[]string{"completed COPY 1; COPY 2  3 6"},
		},
		"copied in, in a pipeline": {
			join(extended("", "COPY outcomes FROM STDIN", 0), one(sync), copied("1\n2\n"), one(&pgproto3.CopyDone{}, sync)), 1,
			[]string{"completed COPY 2  2 4"},
		},
		"a copy that fails": {
			join(one(query("COPY outcomes FROM STDIN")), copied("no number\n"), one(&pgproto3.CopyFail{Message: "over"})), 1, []string{"error  22P02 0 10"},
		},
		"a cursor in batches": {
			join(extended("c", "SELECT generate_series(1, 5)", 2), one(&pgproto3.Execute{Portal: "c", MaxRows: 2}, &pgproto3.Execute{Portal: "c", MaxRows: 2}, sync)), 1,
			[]string{"suspended   2 14", "suspended   2 14", "completed SELECT 1  1 7"},
		},
		"bound only": {
			one(&pgproto3.Parse{Query: "SELECT 1"}, &pgproto3.Bind{}, sync), 1, []string{"bound   0 0"},
		},
		"skipped behind an error": {
			join(extended("", "SELECT 1/0", 0), extended("", "SELECT 1", 0), one(sync), one(query("SELECT 2"))), 2,
			[]string{"error  22012 0 0", "skipped   0 0", "completed SELECT 1  1 7"},
		},
	}
}

// TestOutcomes: what the log says of how a statement ended is what PostgreSQL did.
func TestOutcomes(t *testing.T) {
	for name, test := range outcomeTests() {
		t.Run(name, func(t *testing.T) {
			application := "outcome " + name
			conn := login{account: stack.DBA, application: application}.connect(t)
			execute(t, conn, "CREATE TEMP TABLE outcomes (n int)")
			exchange(t, conn, test.ready, test.messages...)
			_ = conn.Close(t.Context())
			all := ended(t, shared.gateway, application)
			pair(t, all)
			var got []string
			for _, e := range all {
				if e.Type == "outcome" && e.Command != "CREATE TABLE" {
					got = append(got, fmt.Sprintf("%s %s %s %d %d", e.Status, e.Command, e.SQLState, e.Rows, e.Bytes))
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDurations: what a statement took is the sum of what each side took.
func TestDurations(t *testing.T) {
	conn := login{account: stack.DBA}.connect(t)
	execute(t, conn, "SELECT pg_sleep(0.2)")
	_ = conn.Close(t.Context())
	all := ended(t, shared.gateway, t.Name())
	statement := find(all, "statement", "pg_sleep")
	if len(statement) == 0 || statement[0].BackendHost == "" || statement[0].Normalized == "" {
		t.Fatalf("%+v", statement)
	}
	for _, e := range all {
		if e.Type != "outcome" || e.ID != statement[len(statement)-1].ID {
			continue
		}
		if sum := e.Judge + e.Wait + e.Backend; sum < e.Duration-2 || sum > e.Duration || e.Backend < 200_000 || e.Judge <= 0 || e.Wait <= 0 || e.Judge+e.Wait > e.Duration-200_000 {
			t.Errorf("%+v", e)
		}
		return
	}
	t.Error("there is no outcome")
}
