package e2e

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// obliged starts a gateway whose policy says more about the roles: lines of
// YAML by role.
//
// replace are further pairs of old and new text.
func obliged(t *testing.T, terms map[string]string, replace ...string) *stack.Gateway {
	t.Helper()
	g := ownGateway(t, nil)
	path := filepath.Join(g.Policies, "data.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for role, lines := range terms {
		head := "    " + role + ":\n"
		if strings.Count(text, head) != 1 {
			t.Fatalf("role %s is not once in the policy's data", role)
		}
		text = strings.Replace(text, head, head+"      "+strings.ReplaceAll(lines, "\n", "\n      ")+"\n", 1)
	}
	text = strings.NewReplacer(replace...).Replace(text)
	revision := func() string {
		_, metrics := ask(t, g, http.MethodGet, "/metrics", "")
		return regexp.MustCompile(`sallyport_policy_revision_info\{.*`).FindString(metrics)
	}
	before := revision()
	write(t, path, text)
	if err := g.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		if revision() == before {
			_, body := ask(t, g, http.MethodGet, "/readyz", "")
			return errors.New(body)
		}
		return nil
	})
	return g
}

// forever is more than can be sent before a cancel comes.
const forever = "SELECT generate_series(1, 100000000)"

// delivered runs a query and counts its rows.
func delivered(t *testing.T, conn *pgx.Conn, query string, args ...any) (rows int, err error) {
	t.Helper()
	result, err := conn.Query(t.Context(), query, args...)
	if err != nil {
		return 0, err
	}
	defer result.Close()
	for result.Next() {
		rows++
	}
	return rows, result.Err()
}

// limited is an analyst's session whose statements deliver a hundred rows.
type limited struct{ *pgx.Conn }

// usable delivers as many rows as the cap.
func (l limited) usable(t *testing.T) {
	t.Helper()
	if rows, err := delivered(t, l.Conn, "SELECT generate_series(1, 100)"); rows != 100 || err != nil {
		t.Fatalf("as many rows as the cap: got %d, %v", rows, err)
	}
}

// stopped is what becomes of a statement that would deliver more.
func stopped(t *testing.T, rows int, err error) {
	t.Helper()
	if got := sqlstate(t, err); rows != 100 || got != "53400" {
		t.Errorf("%d rows, SQLSTATE %q, want 100 and 53400: %v", rows, got, err)
	}
}

// TestCaps: beyond a cap nothing is delivered, and the session goes on.
func TestCaps(t *testing.T) {
	g := obliged(t, map[string]string{"readonly": "max_rows: 100\nmax_bytes: 100000"})
	l := limited{login{gateway: g, account: stack.Analyst, application: "caps"}.connect(t)}
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec, pgx.QueryExecModeCacheStatement} {
		t.Run(mode.String(), func(t *testing.T) {
			rows, err := delivered(t, l.Conn, forever, mode)
			stopped(t, rows, err)
			l.usable(t)
		})
	}
	t.Run("bytes", func(t *testing.T) {
		rows, err := delivered(t, l.Conn, "SELECT repeat('x', 40000) FROM generate_series(1, 1000000)")
		if got := sqlstate(t, err); rows != 2 || got != "53400" {
			t.Errorf("%d rows, SQLSTATE %q", rows, got)
		}
		l.usable(t)
	})
	t.Run("in a transaction", func(t *testing.T) {
		execute(t, l.Conn, "BEGIN")
		rows, err := delivered(t, l.Conn, forever)
		stopped(t, rows, err)
		if _, err := l.Exec(t.Context(), "SELECT 1"); sqlstate(t, err) != "25P02" {
			t.Errorf("the transaction is not aborted: %v", err)
		}
		execute(t, l.Conn, "ROLLBACK")
		l.usable(t)
	})
	t.Run("in a batch", l.batch)
	t.Run("copied out", func(t *testing.T) {
		var out bytes.Buffer
		_, err := l.PgConn().CopyTo(t.Context(), &out, "COPY ("+forever+") TO STDOUT")
		stopped(t, strings.Count(out.String(), "\n"), err)
		l.usable(t)
	})
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	outcomes := 0
	for _, e := range ended(t, g, "caps") {
		if e.Type == "outcome" && e.Status == "capped" {
			outcomes++
			if e.SQLState != "53400" || e.Rows > 100 {
				t.Errorf("%+v", e)
			}
		}
	}
	if outcomes != 7 {
		t.Errorf("%d outcomes say capped, want 7", outcomes)
	}
}

func (l limited) batch(t *testing.T) {
	batch := &pgx.Batch{}
	for _, text := range []string{"SELECT 1", forever, "SELECT 2"} {
		batch.Queue(text)
	}
	results := l.SendBatch(t.Context(), batch)
	if _, err := results.Exec(); err != nil {
		t.Errorf("before it: %v", err)
	}
	result, err := results.Query()
	rows := 0
	if err == nil {
		for result.Next() {
			rows++
		}
		err = result.Err()
	}
	stopped(t, rows, err)
	if err := results.Close(); sqlstate(t, err) != "53400" {
		t.Errorf("got %v", err)
	}
	l.usable(t)
}

// TestCapOfCursor: all fetches share it. PostgreSQL runs a FETCH to its end
// before it sends the first row, so there is nothing left to cancel.
func TestCapOfCursor(t *testing.T) {
	g := obliged(t, map[string]string{"readonly": "max_rows: 100"})
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	execute(t, conn, "BEGIN", "DECLARE c CURSOR FOR "+forever, "FETCH 60 FROM c")
	if rows, err := delivered(t, conn, "FETCH 40 FROM c"); rows != 40 || err != nil {
		t.Fatalf("%d rows, %v", rows, err)
	}
	if rows, err := delivered(t, conn, "FETCH 60 FROM c"); rows != 0 || sqlstate(t, err) != "53400" {
		t.Errorf("beyond the cap: %d rows, %v", rows, err)
	}
	if !conn.IsClosed() {
		t.Error("the session goes on")
	}
}

// TestCapSaysWhy: in psql, for somebody who does not know of it.
func TestCapSaysWhy(t *testing.T) {
	g := obliged(t, map[string]string{"readonly": "max_rows: 100"})
	out, err := psql(t, login{gateway: g, account: stack.Analyst}, forever+";\n")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"ERROR:  row limit of 100 reached", "DETAIL:  Policy limits", "HINT:  Decision "} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	// Complete before a cancel can come: the session ends.
	out, err = psql(t, login{gateway: g, account: stack.Analyst}, "SELECT generate_series(1, 101);\n")
	if err == nil || !strings.Contains(out, "row limit of 100 reached") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCapsPerHour: all sessions of an identity share the hour.
func TestCapsPerHour(t *testing.T) {
	g := obliged(t, map[string]string{"readwrite": "max_rows_per_hour: 150"})
	one, two := login{gateway: g, account: stack.Engineer}.connect(t), login{gateway: g, account: stack.Engineer}.connect(t)
	execute(t, two, "BEGIN")
	if rows, err := delivered(t, one, "SELECT generate_series(1, 100)"); rows != 100 || err != nil {
		t.Fatalf("%d rows, %v", rows, err)
	}
	if rows, err := delivered(t, two, forever); rows != 50 || sqlstate(t, err) != "53400" {
		t.Errorf("%d rows, %v", rows, err)
	}
	execute(t, two, "ROLLBACK")
	if _, err := one.Exec(t.Context(), "SELECT 1"); sqlstate(t, err) != "53400" {
		t.Errorf("nothing is left, but: %v", err)
	}
	execute(t, login{gateway: g, account: stack.Analyst}.connect(t), "SELECT 1")
}

// TestReadOnly: what writes is denied whatever is granted and whatever the
// client sets.
func TestReadOnly(t *testing.T) {
	g := obliged(t, map[string]string{"readwrite": "read_only: true"})
	conn := login{gateway: g, account: stack.Engineer}.connect(t)
	execute(t, conn, "SELECT count(*) FROM orders", "SET default_transaction_read_only = off")
	for _, text := range []string{
		"INSERT INTO orders (customer_id, product, quantity, amount) VALUES (1, 'bell', 1, 1)",
		"WITH gone AS (DELETE FROM orders WHERE id = 1 RETURNING id) SELECT * FROM gone",
		"SELECT * FROM orders WHERE id = 1 FOR UPDATE",
		"EXPLAIN ANALYZE UPDATE orders SET quantity = 2 WHERE id = 1",
		"PREPARE p AS DELETE FROM orders WHERE id = 1",
		"COPY orders (customer_id, product, quantity, amount) FROM STDIN",
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
			if _, err := conn.Exec(t.Context(), text, mode); sqlstate(t, err) != "25006" {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	execute(t, conn, "SELECT count(*) FROM orders")
}

// TestWarnings: a statement is allowed, and the client told something.
func TestWarnings(t *testing.T) {
	g := obliged(t, nil, `            app:`, `            app:
              terms: {customers: {warn: personal data, max_rows: 5}}`)
	out, err := psql(t, login{gateway: g, account: stack.Analyst}, "SELECT id FROM customers WHERE id = 1;\nSELECT count(*) FROM orders;\n")
	if err != nil || strings.Count(out, "WARNING:  personal data") != 1 || strings.Index(out, "WARNING") > strings.Index(out, "id") {
		t.Errorf("%v\n%s", err, out)
	}
	config, err := pgx.ParseConfig(login{gateway: g, account: stack.Analyst}.dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	warnings := 0
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.Severity == "WARNING" && n.Code == "01000" && n.Message == "personal data" {
			warnings++
		}
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	batch := &pgx.Batch{}
	for _, text := range []string{"SELECT count(*) FROM orders", "SELECT name FROM customers LIMIT 1", "SELECT count(*) FROM orders"} {
		batch.Queue(text)
	}
	if err := conn.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Error(err)
	}
	if warnings != 1 {
		t.Errorf("%d warnings, want 1", warnings)
	}
}

// TestStatedReason: a role can demand one. It is for the policy and the log;
// PostgreSQL hears nothing of it.
func TestStatedReason(t *testing.T) {
	g := obliged(t, map[string]string{"admin": "require_reason: true"})
	silent := login{gateway: g, account: stack.DBA}
	out, err := psql(t, silent, "SELECT 1;\n")
	if err == nil || !strings.Contains(out, "FATAL:  connection is not permitted by policy") || !strings.Contains(out, "PGOPTIONS='-c sallyport.reason=INC-42'") {
		t.Errorf("%v\n%s", err, out)
	}
	stated := login{
		gateway: g, account: stack.DBA, application: "stated",
		options: map[string]string{"options": `-c sallyport.reason=INC-42\ disk\ full`},
	}
	conn := stated.connect(t)
	if got := value(t, conn, "SELECT coalesce(current_setting('sallyport.reason', true), 'unset')"); got != "unset" {
		t.Errorf("PostgreSQL knows the reason: %s", got)
	}
	if _, body := ask(t, g, http.MethodGet, "/sessions", g.AdminToken); !strings.Contains(body, `"stated_reason":"INC-42 disk full"`) {
		t.Errorf("/sessions: %s", body)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, e := range ended(t, g, "stated") {
		if (e.Type == "session_start" || e.Type == "connect") && e.StatedReason != "INC-42 disk full" {
			t.Errorf("%+v", e)
		}
	}
}

// TestRequestedRole: an account has the roles it is given, and asks for any
// but its own.
func TestRequestedRole(t *testing.T) {
	g := obliged(t, nil, "analyst@example.com: {role: readonly}", "analyst@example.com: {role: readonly, roles: [readwrite]}")
	asking := func(role string) login {
		return login{gateway: g, account: stack.Analyst, application: "as " + role, options: map[string]string{"options": "-c sallyport.role=" + role}}
	}
	const write = "UPDATE orders SET quantity = quantity WHERE id = 1"
	if _, err := (login{gateway: g, account: stack.Analyst}).connect(t).Exec(t.Context(), write); sqlstate(t, err) != "42501" {
		t.Errorf("without asking: %v", err)
	}
	execute(t, asking("readwrite").connect(t), write)
	if _, err := asking("admin").open(t); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("a role that it does not have: %v", err)
	}
}

// TestMaxSessions: of one identity; others do not count, and a place that
// becomes free is free.
func TestMaxSessions(t *testing.T) {
	g := obliged(t, map[string]string{"readonly": "max_sessions: 2"})
	first := login{gateway: g, account: stack.Analyst}.connect(t)
	login{gateway: g, account: stack.Analyst}.connect(t)
	login{gateway: g, account: stack.Service}.connect(t)
	_, err := login{gateway: g, account: stack.Analyst}.open(t)
	if err == nil || !strings.Contains(err.Error(), "too many sessions of "+stack.Analyst+" (SQLSTATE 53300)") {
		t.Errorf("got %v, want 53300", err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		conn, err := login{gateway: g, account: stack.Analyst}.open(t)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
}

// TestMaxStatementsPerSecond: one session is slowed and never denied.
func TestMaxStatementsPerSecond(t *testing.T) {
	g := obliged(t, map[string]string{"readonly": "max_statements_per_second: 20"})
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	began := time.Now()
	for range 30 {
		execute(t, conn, "SELECT 1")
	}
	batch := &pgx.Batch{}
	for range 10 {
		batch.Queue("SELECT 1")
	}
	if err := conn.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < 950*time.Millisecond {
		t.Errorf("40 statements took %v, of which 20 may come at once", took)
	}
}

// TestStatementTimeout: of one statement, whatever the client sets.
func TestStatementTimeout(t *testing.T) {
	g := obliged(t, nil, `            app:`, `            app:
              terms: {customers: {statement_timeout_ms: 200}}`)
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	execute(t, conn, "SET statement_timeout = 0")
	const slow = "SELECT count(*) FROM customers a, customers b, customers c, customers d, customers e"
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
		_, err := conn.Exec(t.Context(), slow, mode)
		if got := sqlstate(t, err); got != "57014" || !strings.Contains(err.Error(), "canceling statement due to statement timeout") {
			t.Errorf("%v: %v", mode, err)
		}
		execute(t, conn, "SELECT count(*) FROM customers", "SELECT count(*) FROM orders")
	}
	batch := &pgx.Batch{}
	for _, text := range []string{"SELECT count(*) FROM orders", "SELECT count(*) FROM customers", "SELECT count(*) FROM orders"} {
		batch.Queue(text)
	}
	if err := conn.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Error(err)
	}
}
