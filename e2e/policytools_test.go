package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

// sallyport runs a command of the binary under test, and returns what it
// prints and its status.
func sallyport(t *testing.T, args ...string) (string, int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), shared.binary, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

// withholdOrders is a copy of a gateway's policy that withholds the orders.
func withholdOrders(t *testing.T, g *stack.Gateway, dir string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(g.Policies)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "data.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(data), "secrets: []", "secrets: []\n                orders: []", 1)
	if changed == string(data) {
		t.Fatal("the policy's data is not what this test knows")
	}
	write(t, path, changed)
}

// TestReplay: the policy that has decided decides again as it did, about all
// that the protocol and SQL can do to a session; another one does not.
func TestReplay(t *testing.T) {
	g := ownGateway(t, nil)
	analyst := login{gateway: g, account: stack.Analyst, application: "replay"}.connect(t)
	for _, text := range []string{
		"SELECT * FROM orders LIMIT 1", "BEGIN", "SELECT count(*) FROM app.customers", "ROLLBACK", "SET statement_timeout = '5s'",
	} {
		execute(t, analyst, text)
	}
	for _, text := range []string{"SELECT * FROM secrets", "DELETE FROM orders", "SELEC 1"} {
		if _, err := analyst.Exec(t.Context(), text); err == nil {
			t.Errorf("%s was not denied", text)
		}
	}
	engineer := login{gateway: g, account: stack.Engineer, application: "replay"}.connect(t)
	execute(t, engineer, "UPDATE orders SET amount = amount WHERE id = 1")
	dba := login{gateway: g, account: stack.DBA, application: "replay"}.connect(t)
	execute(t, dba, "DO $$ BEGIN PERFORM 1; END $$")
	for _, conn := range []*pgx.Conn{analyst, engineer, dba} {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	allEnded(t, g, "replay", 3)

	out, status := sallyport(t, "policy", "replay", "--config", g.Config, "--audit", g.Audit)
	if status != 0 || !strings.Contains(out, "connections: 3 same, 0 newly allowed, 0 newly denied, 0 on other terms\n") ||
		!strings.Contains(out, " same, 0 newly allowed, 0 newly denied\n") || strings.Contains(out, "statements: 0 same") {
		t.Errorf("status %d, and the policy decides otherwise than it did:\n%s", status, out)
	}
	if !strings.Contains(out, "1 cannot be replayed: the gateway denied it by itself\n") {
		t.Errorf("what is no SQL is missing:\n%s", out)
	}
	next := filepath.Join(t.TempDir(), "next")
	withholdOrders(t, g, next)
	out, status = sallyport(t, "policy", "replay", "--policy", next, "--config", g.Config, "--audit", g.Audit)
	if status != 0 || !strings.Contains(out, ", 0 newly allowed, 1 newly denied\n") || !strings.Contains(out, "now: deny: table app.orders is not granted to "+stack.Analyst) {
		t.Errorf("status %d, and another policy:\n%s", status, out)
	}
}

// TestExplainByCatalog: what a view shows decides, as in a gateway, and the answer says by what names were looked up. The session for that
// leaves no role behind.
func TestExplainByCatalog(t *testing.T) {
	everywhere(t, "SET ROLE app_owner; CREATE VIEW app.explained AS SELECT value FROM app.secrets")
	t.Cleanup(func() { everywhere(t, "DROP VIEW app.explained") })
	before := catalogSessions(t, stack.App)
	explain := func(args ...string) (string, int) {
		t.Helper()
		args = append([]string{"policy", "explain", "--config", shared.gateway.Config, "--as", stack.Analyst, "--method", "oidc", "--database", stack.App}, args...)
		return sallyport(t, append(args, "SELECT value FROM explained")...)
	}
	out, status := explain()
	if status != 1 || !strings.Contains(out, "names: looked up in the catalog of database app (PostgreSQL 1") ||
		!strings.Contains(out, "relation: app.secrets select (value), by way of app.explained\n") ||
		!strings.Contains(out, "table app.secrets, by way of app.explained, is not granted to "+stack.Analyst) {
		t.Errorf("status %d:\n%s", status, out)
	}
	if out, status := explain("--json"); status != 1 || !strings.Contains(out, `"resolved": true`) || !strings.Contains(out, `"read_at": "20`) {
		t.Errorf("status %d:\n%s", status, out)
	}
	if out, status := explain("--catalog=false"); status != 0 || !strings.Contains(out, "names: as written, no catalog was asked\n") {
		t.Errorf("without the catalog: status %d:\n%s", status, out)
	}
	if after := catalogSessions(t, stack.App, before...); len(after) > 0 {
		t.Errorf("sessions are left: %+v", after)
	}
	var roles int
	if err := superuser(t, stack.App).QueryRow(t.Context(), `SELECT count(*) FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid
		JOIN pg_roles g ON g.oid = m.roleid WHERE g.rolname = 'app_catalog' AND r.rolname <> 'sallyport' AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.usename = r.rolname)`).Scan(&roles); err != nil {
		t.Fatal(err)
	}
	if roles > 0 {
		t.Errorf("%d roles are left", roles)
	}
}

// TestReplayByCatalog: what names mean now decides, and a difference that comes of another meaning says so.
func TestReplayByCatalog(t *testing.T) {
	const public, secret = "CREATE OR REPLACE VIEW app.replayed AS SELECT product AS value FROM app.orders", "CREATE OR REPLACE VIEW app.replayed AS SELECT value FROM app.secrets"
	everywhere(t, "SET ROLE app_owner; "+public)
	t.Cleanup(func() { everywhere(t, "DROP VIEW app.replayed") })
	g := ownGateway(t, nil)
	analyst := login{gateway: g, account: stack.Analyst, application: "meant"}.connect(t)
	execute(t, analyst, "SELECT value FROM replayed LIMIT 1")
	if err := analyst.Close(t.Context()); err != nil {
		t.Error(err)
	}
	allEnded(t, g, "meant", 1)
	replay := func(args ...string) string {
		t.Helper()
		out, status := sallyport(t, append([]string{"policy", "replay", "--config", g.Config, "--audit", g.Audit}, args...)...)
		if status != 0 {
			t.Fatalf("status %d:\n%s", status, out)
		}
		return out
	}
	if out := replay(); !strings.Contains(out, " same, 0 newly allowed, 0 newly denied\n") || !strings.Contains(out, "judged by what their names mean now; 0 of them meant something else then\n") {
		t.Errorf("nothing has changed:\n%s", out)
	}
	everywhere(t, "SET ROLE app_owner; "+secret)
	out := replay()
	if !strings.Contains(out, ", 0 newly allowed, 1 newly denied\n") || !strings.Contains(out, "  names: as they are meant now, which is not what they meant then\n") {
		t.Errorf("the view shows secrets now:\n%s", out)
	}
	if out := replay("--catalog=false"); !strings.Contains(out, ", 0 newly denied\n") || !strings.Contains(out, "judged by what their names mean, and are now by the names alone\n") {
		t.Errorf("by the names alone:\n%s", out)
	}
}

// TestShadow: a second policy is compared while it changes, and clients
// hear nothing of it.
func TestShadow(t *testing.T) {
	shadow := filepath.Join(t.TempDir(), "shadow")
	withholdOrders(t, shared.gateway, shadow)
	g := ownGateway(t, func(c *stack.GatewayConfig) { c.Policy.Shadow = shadow })
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	execute(t, conn, "SELECT * FROM orders LIMIT 1")
	differ := func(n int) {
		t.Helper()
		want := fmt.Sprintf(`sallyport_policy_shadow_differences_total{decision="newly_denied",kind="statement"} %d`+"\n", n)
		eventually(t, 20*time.Second, func() error {
			if _, body := ask(t, g, http.MethodGet, "/metrics", ""); !strings.Contains(body, want) {
				return errors.New("/metrics has no " + want)
			}
			return nil
		})
	}
	differ(1)
	log, err := os.ReadFile(g.Log)
	if err != nil || !strings.Contains(string(log), `"reasons":["table app.orders is not granted to `+stack.Analyst) {
		t.Errorf("the log does not say why: %v", err)
	}
	path := filepath.Join(shadow, "data.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(data), "orders: []", "customers: []", 1))
	eventually(t, 20*time.Second, func() error {
		execute(t, conn, "SELECT * FROM customers LIMIT 1")
		if _, body := ask(t, g, http.MethodGet, "/metrics", ""); !strings.Contains(body, `kind="statement"} 2`+"\n") {
			return errors.New("the changed shadow is not asked")
		}
		return nil
	})
	execute(t, conn, "SELECT * FROM orders LIMIT 1")
	differ(2)
}

// TestEnforcementObserve: what only policy denies runs, and is recorded as
// what it is; what is denied whatever the policy says does not.
func TestEnforcementObserve(t *testing.T) {
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		for name, database := range c.Databases {
			database.Enforcement = "observe"
			c.Databases[name] = database
		}
	})
	conn := login{gateway: g, account: stack.Analyst, application: "observed"}.connect(t)
	execute(t, conn, "SELECT pg_sleep(0)")
	execute(t, conn, "SET application_name = 'x'")
	for text, want := range map[string]string{"SELEC 1": "42601", "EXECUTE nothing": "26000"} {
		_, err := conn.Exec(t.Context(), text)
		if got := sqlstate(t, err); got != want {
			t.Errorf("%s: SQLSTATE %s, want %s", text, got, want)
		}
	}
	if _, body := ask(t, g, http.MethodGet, "/sessions", g.AdminToken); !strings.Contains(body, `"observe":false,"enforcement":"observe"`) {
		t.Errorf("/sessions: %s", body)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	found := false
	for _, e := range ended(t, g, "observed") {
		if e.Type == "statement" && strings.Contains(e.Text, "pg_sleep") {
			found = e.Decision == "observe" && len(e.Reasons) > 0 && !e.Observe
		}
	}
	if !found {
		t.Error("the audit log does not say that the call was denied and let through")
	}
	// Nobody gets in who may not.
	if _, err := (login{gateway: g, account: stack.Analyst, database: "postgres"}).open(t); err == nil {
		t.Error("a connection that policy denies was let through")
	}
}
