package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// TestAccessTaken: a policy edit takes a group's access away. Its sessions end at their next statement, observed ones too; others go on.
func TestAccessTaken(t *testing.T) {
	g := ownGateway(t, nil)
	path := filepath.Join(g.Policies, "data.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Analysts and dbas come by their groups, the engineer by name.
	text := strings.Replace(string(data), "groups: {}", "groups: {dbas: admin, analysts: readonly}", 1)
	for _, line := range []string{"    dba@example.com: {role: admin}\n", "    analyst@example.com: {role: readonly}\n"} {
		text = strings.Replace(text, line, "", 1)
	}
	before := revision(t, g)
	write(t, path, text)
	changed(t, g, before)

	dba := login{gateway: g, account: stack.DBA, application: "taken-dba"}.connect(t)
	analyst := login{gateway: g, account: stack.Analyst, application: "taken"}.connect(t)
	engineer := login{gateway: g, account: stack.Engineer, application: "kept"}.connect(t)
	execute(t, dba, "SELECT 1")
	execute(t, analyst, "SELECT * FROM orders LIMIT 1")
	busy := make(chan error, 1)
	waits := login{gateway: g, account: stack.DBA, application: "taken-busy"}.connect(t)
	go func() { _, err := waits.Exec(t.Context(), "SELECT pg_sleep(5)"); busy <- err }()
	onCall(t, g).listedBy(t, "taken-busy", "active")

	before = revision(t, g)
	write(t, path, strings.Replace(text, "groups: {dbas: admin, analysts: readonly}", "groups: {}", 1))
	changed(t, g, before)
	for name, conn := range map[string]*pgx.Conn{"taken-dba": dba, "taken": analyst} {
		_, err := conn.Exec(t.Context(), "SELECT 1")
		var said *pgconn.PgError
		if !errors.As(err, &said) || said.Severity != "FATAL" || said.Code != "57P01" || said.Detail == "" || !strings.HasPrefix(said.Message, "terminating connection because policy no longer permits it") {
			t.Fatalf("%s: %v", name, err)
		}
		all := ended(t, g, name)
		change := all[len(all)-2]
		if change.Type != "grant_change" || change.Allow || strings.Join(change.Reasons, "\n") != said.Detail || change.Revision != revision(t, g) || change.User == "" {
			t.Errorf("%s: audit has %+v", name, change)
		}
		if end := all[len(all)-1]; end.Reason != "grant_withdrawn" || end.SQLState != "57P01" || end.Revocation == "none" {
			t.Errorf("%s: audit has %+v", name, end)
		}
	}
	value(t, engineer, "SELECT 'unharmed'")
	if err := <-busy; err != nil {
		t.Errorf("the statement that ran when policy changed: %v", err)
	}
	if _, err := waits.Exec(t.Context(), "SELECT 1"); sqlstate(t, err) != "57P01" {
		t.Errorf("the statement after it: %v", err)
	}
	if _, err := (login{gateway: g, account: stack.Analyst}).open(t); sqlstate(t, err) != "42501" {
		t.Errorf("a new login: %v", err)
	}
}

// TestLimitsChange: other limits hold in running sessions from their next statement on, shorter times too.
func TestLimitsChange(t *testing.T) {
	g := ownGateway(t, nil)
	path := filepath.Join(g.Policies, "data.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const readonly = "    readonly:\n      read_only: true\n"
	conn := login{gateway: g, account: stack.Analyst, application: "limits"}.connect(t)
	execute(t, conn, "SELECT * FROM orders LIMIT 5")
	limits := "      max_rows: 2\n      idle_timeout_seconds: 600\n"
	before := revision(t, g)
	write(t, path, strings.Replace(string(data), readonly, readonly+limits, 1))
	changed(t, g, before)
	if _, err := conn.Exec(t.Context(), "SELECT * FROM orders a, orders b"); sqlstate(t, err) != "53400" {
		t.Errorf("more rows than are allowed now: %v", err)
	}
	before = revision(t, g)
	write(t, path, strings.Replace(string(data), readonly, readonly+limits+"      statement_timeout_ms: 200\n", 1))
	changed(t, g, before)
	if _, err := conn.Exec(t.Context(), "SELECT count(*) FROM orders a, orders b, orders c"); sqlstate(t, err) != "57014" {
		t.Errorf("a statement that takes longer than is allowed now: %v", err)
	}
	if _, body := ask(t, g, http.MethodGet, "/sessions", g.AdminToken); !strings.Contains(body, `"obligations":["read_only","idle_timeout_seconds=600","statement_timeout_ms=200","max_rows=2"]`) {
		t.Errorf("/sessions: %s", body)
	}
	before = revision(t, g)
	write(t, path, string(data))
	changed(t, g, before)
	execute(t, conn, "SELECT * FROM orders LIMIT 5")
	before = revision(t, g)
	write(t, path, strings.Replace(string(data), "analyst@example.com: {role: readonly}", "analyst@example.com: {role: readwrite}", 1))
	changed(t, g, before)
	_, err = conn.Exec(t.Context(), "SELECT 1")
	if sqlstate(t, err) != "57P01" || !strings.Contains(err.Error(), "policy now grants something else") {
		t.Errorf("with another role: %v", err)
	}
	var grants []string
	for _, e := range ended(t, g, "limits") {
		if e.Type == "grant_change" {
			grants = append(grants, fmt.Sprint(e.Allow, e.Ended))
		}
	}
	if got := strings.Join(grants, ", "); got != "true false, true false, true false, true true" {
		t.Errorf("audit has grants %s", got)
	}
}

// revision is that of the policy in force.
func revision(t *testing.T, g *stack.Gateway) string {
	t.Helper()
	_, body := ask(t, g, http.MethodGet, "/readyz", "")
	_, rest, found := strings.Cut(body, `"message":"revision `)
	if !found {
		t.Fatalf("/readyz: %s", body)
	}
	revision, _, _ := strings.Cut(rest, `"`)
	return revision
}

// changed waits until another policy is in force.
func changed(t *testing.T, g *stack.Gateway, before string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		if revision(t, g) == before {
			return errors.New("the old policy is in force")
		}
		return nil
	})
}
