package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

func TestAuditExactlyOnce(t *testing.T) {
	const n = 50
	conn := login{account: stack.Analyst, application: "exactly-once"}.connect(t)
	for i := range n {
		if _, err := conn.Exec(t.Context(), fmt.Sprintf("SELECT 'once-%03d'", i), pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.Close(t.Context())
	all := ended(t, shared.gateway, "exactly-once")
	for kind, want := range map[string]int{"session_start": 1, "connect": 1, "session_end": 1} {
		if got := count(all, kind); got != want {
			t.Errorf("%d events %s, want %d", got, kind, want)
		}
	}
	for i := range n {
		text := fmt.Sprintf("once-%03d", i)
		statements := find(all, "statement", text)
		if len(statements) != 1 {
			t.Fatalf("%d statements with %s", len(statements), text)
		}
		if s := statements[0]; s.User != stack.Analyst || s.Decision != "allow" || s.Protocol != "query" || s.BackendRole == "" || s.Lease == "" || s.Revision == "" {
			t.Errorf("%+v", s)
		}
	}
	pair(t, all)
	log := backendLog(t)
	if got := strings.Count(log, "once-025"); got != 1 {
		t.Errorf("PostgreSQL logged a statement %d times", got)
	}
}

// TestAuditExtended: every message that is judged has its statement and its
// outcome, and the one that ran has the rows.
func TestAuditExtended(t *testing.T) {
	conn := login{account: stack.Analyst, application: "extended"}.connect(t)
	for range 3 {
		rows, err := conn.Query(t.Context(), "SELECT id FROM customers WHERE id <= $1", 7)
		if err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	_ = conn.Close(t.Context())
	all := ended(t, shared.gateway, "extended")
	pair(t, all)
	executed := 0
	for _, e := range all {
		if e.Type == "outcome" && e.Status == "completed" && e.Rows == 7 {
			executed++
		}
	}
	if executed != 3 {
		t.Errorf("%d outcomes with 7 rows, want 3", executed)
	}
}

// pair checks that statements and outcomes come in pairs, the statement first.
func pair(t *testing.T, all []event) {
	t.Helper()
	open := make(map[string]bool)
	for _, e := range all {
		switch e.Type {
		case "statement":
			if e.ID == "" || open[e.ID] {
				t.Errorf("id %q twice", e.ID)
			}
			open[e.ID] = true
		case "outcome":
			if !open[e.ID] {
				t.Errorf("outcome %s without a statement", e.ID)
			}
			delete(open, e.ID)
		}
	}
	for id := range open {
		t.Errorf("statement %s without an outcome", id)
	}
}

func TestAuditRefusedLogin(t *testing.T) {
	for name, test := range map[string]struct {
		login
		want string
	}{
		"a wrong token":       {login{account: stack.Analyst, password: "not a token", application: "refused-1"}, "authentication"},
		"a wrong password":    {login{account: stack.Service, password: "wrong", application: "refused-2"}, "authentication"},
		"an unknown user":     {login{account: "nobody", password: "x", application: "refused-3"}, "authentication"},
		"a database not his":  {login{account: stack.Analyst, database: stack.Scratch, application: "refused-4"}, "policy_denied"},
		"a database unknown":  {login{account: stack.Analyst, database: "nothing", application: "refused-5"}, "policy_denied"},
		"another one's token": {login{account: stack.Analyst, password: shared.tokens[stack.Engineer], application: "refused-6"}, "authentication"},
	} {
		t.Run(name, func(t *testing.T) {
			l, want := test.login, test.want
			if _, err := l.open(t); err == nil {
				t.Fatal("connected")
			}
			all := ended(t, shared.gateway, l.application)
			if count(all, "session_start") != 1 || count(all, "login_refused") != 1 || count(all, "session_end") != 1 || count(all, "statement") != 0 {
				t.Fatalf("events: %s", sequence(all))
			}
			for _, e := range all[len(all)-2:] {
				if e.ClaimedUser != l.account || e.SQLState == "" || e.Reason != want || e.Client == "" {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// TestAuditPasswords: a text that sets a password is recorded without it.
func TestAuditPasswords(t *testing.T) {
	conn := login{account: stack.DBA, application: "passwords"}.connect(t)
	for _, statement := range []string{
		`CREATE ROLE somebody PASSWORD 'hunter2-secret'`, `ALTER ROLE somebody PASSWORD 'hunter2-secret'`, `DROP ROLE somebody`,
	} {
		if _, err := conn.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	_ = conn.Close(t.Context())
	all := ended(t, shared.gateway, "passwords")
	for _, e := range all {
		if strings.Contains(e.Text, "hunter2") {
			t.Errorf("the password is there: %s", e.Text)
		}
	}
	if got := len(find(all, "statement", "ROLE somebody")); got != 3 {
		t.Errorf("%d statements, want 3", got)
	}
}

// TestAuditObserve: what a dba does is recorded, also what cannot be analysed.
func TestAuditObserve(t *testing.T) {
	conn := login{account: stack.DBA, application: "observe"}.connect(t)
	execute(t, conn, `DO $$ BEGIN EXECUTE 'SELECT 1'; END $$`)
	_, err := conn.Exec(t.Context(), `THIS IS NO STATEMENT`, pgx.QueryExecModeSimpleProtocol)
	if got := sqlstate(t, err); got != "42601" {
		t.Errorf("SQLSTATE %q, want 42601", got)
	}
	_ = conn.Close(t.Context())
	all := ended(t, shared.gateway, "observe")
	pair(t, all)
	for _, text := range []string{"DO $$", "THIS IS NO STATEMENT"} {
		statements := find(all, "statement", text)
		if len(statements) == 0 || !statements[0].Observe {
			t.Errorf("%s: %+v", text, statements)
		}
	}
	if !strings.Contains(backendLog(t), "THIS IS NO STATEMENT") {
		t.Error("it was not forwarded")
	}
}

// TestAuditConcurrent: sessions at once keep their events apart and whole.
func TestAuditConcurrent(t *testing.T) {
	const sessions, statements = 8, 100
	done := make(chan error, sessions)
	for i := range sessions {
		l := login{account: stack.Service, application: fmt.Sprintf("concurrent-%d", i)}
		go func() {
			conn, err := l.open(t)
			if err != nil {
				done <- err
				return
			}
			for n := range statements {
				if _, err := conn.Exec(t.Context(), fmt.Sprintf("SELECT 'concurrent %d %d'", i, n), pgx.QueryExecModeSimpleProtocol); err != nil {
					done <- err
					return
				}
			}
			done <- conn.Close(t.Context())
		}()
	}
	for range sessions {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("a session hangs")
		}
	}
	for i := range sessions {
		all := ended(t, shared.gateway, fmt.Sprintf("concurrent-%d", i))
		pair(t, all)
		if got := len(find(all, "statement", fmt.Sprintf("concurrent %d ", i))); got != statements {
			t.Errorf("session %d: %d statements, want %d", i, got, statements)
		}
	}
}
