package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// catalogBound is how soon at the latest the gateway knows what somebody
// defined past it.
const catalogBound = 10 * time.Second

// catalogSession is one of the gateway's own sessions in PostgreSQL.
type catalogSession struct {
	pid       int
	role      string
	safe      bool // TLS, and no superuser
	groups    string
	connected int // sessions of the role
}

// catalogSessions are those in the database that began after the ones before.
func catalogSessions(t *testing.T, database string, before ...catalogSession) []catalogSession {
	t.Helper()
	known := []int{0}
	for _, session := range before {
		known = append(known, session.pid)
	}
	rows, err := superuser(t, database).Query(t.Context(), `
		SELECT a.pid, a.usename, s.ssl AND NOT r.rolsuper,
			(SELECT string_agg(g.rolname, ' ') FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid),
			(SELECT count(*) FROM pg_stat_activity o WHERE o.usename = a.usename)
		FROM pg_stat_activity a JOIN pg_stat_ssl s USING (pid) JOIN pg_roles r ON r.oid = a.usesysid
		WHERE a.application_name = 'sallyport catalog' AND a.datname = current_database() AND NOT a.pid = ANY ($1)`, known)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var sessions []catalogSession
	for rows.Next() {
		var s catalogSession
		if err := rows.Scan(&s.pid, &s.role, &s.safe, &s.groups, &s.connected); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return sessions
}

// TestCatalogSession: the gateway has one session in each database, with a
// role that can only connect. It is replaced when it is lost, and gone when
// the gateway is.
func TestCatalogSession(t *testing.T) {
	others := catalogSessions(t, stack.App)
	g := ownGateway(t, nil)
	one := func(before ...catalogSession) catalogSession {
		t.Helper()
		var found []catalogSession
		eventually(t, 20*time.Second, func() error {
			if found = catalogSessions(t, stack.App, append(others, before...)...); len(found) != 1 {
				return fmt.Errorf("there are %d sessions", len(found))
			}
			return nil
		})
		return found[0]
	}
	first := one()
	if !first.safe || first.groups != "app_catalog" || first.connected != 1 || !strings.HasPrefix(first.role, "v-") {
		t.Errorf("%+v", first)
	}
	eventually(t, 20*time.Second, func() error {
		_, body := ask(t, g, http.MethodGet, "/metrics", "")
		for _, database := range []string{stack.App, stack.Scratch} {
			if !strings.Contains(body, `sallyport_catalog_refreshes_total{database="`+database+`",result="unchanged"} `) ||
				strings.Contains(body, `sallyport_catalog_generation{database="`+database+`"} 0`) {
				return errors.New("nothing was read in " + database)
			}
		}
		return nil
	})
	execute(t, superuser(t, stack.App), fmt.Sprintf("SELECT pg_terminate_backend(%d)", first.pid))
	second := one(first)
	if second.role == first.role {
		t.Error("a role is used twice")
	}
	roleGone(t, first.role, 10*time.Second)
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	roleGone(t, second.role, 10*time.Second)
}

// TestCatalogIsAsked: what a view reads decides, from the moment it does.
func TestCatalogIsAsked(t *testing.T) {
	const (
		secret = "CREATE OR REPLACE VIEW app.window AS SELECT value FROM app.secrets"
		public = "CREATE OR REPLACE VIEW app.window AS SELECT product AS value FROM app.orders"
	)
	admin, dba := superuser(t, stack.App), login{account: stack.DBA}.connect(t)
	t.Cleanup(func() { execute(t, admin, "DROP VIEW IF EXISTS app.window") })
	execute(t, dba, public, "GRANT SELECT ON app.window TO app_readonly")
	analyst := login{account: stack.Analyst}.connect(t)
	reads := func() error {
		_, err := analyst.Exec(t.Context(), "SELECT value FROM app.window LIMIT 1")
		return err
	}
	withheld := func(err error) error {
		var denied *pgconn.PgError
		if !errors.As(err, &denied) || denied.Code != "42501" || !strings.Contains(denied.Detail, "secrets") {
			return fmt.Errorf("got %w, want a denial because of secrets", err)
		}
		return nil
	}
	// Through the gateway: at once, in the next statement of another session.
	for range 5 {
		execute(t, dba, secret)
		if err := withheld(reads()); err != nil {
			t.Fatal(err)
		}
		execute(t, dba, public)
		if err := reads(); err != nil {
			t.Fatal(err)
		}
	}
	// Past it.
	execute(t, admin, secret)
	eventually(t, catalogBound, func() error { return withheld(reads()) })
	execute(t, admin, public)
	eventually(t, catalogBound, reads)
}

// TestCatalogUnknown: while nobody knows what names mean, what has names is
// denied. The gateway stays ready for its other databases.
func TestCatalogUnknown(t *testing.T) {
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		app := c.Databases[stack.App]
		app.Catalog = &stack.CatalogConfig{VaultRole: "app-nothing"}
		c.Databases[stack.App] = app
	}, "catalog is not known; statements are denied")
	eventually(t, 20*time.Second, func() error {
		status, body := ask(t, g, http.MethodGet, "/readyz", "")
		if status != http.StatusOK {
			t.Fatalf("/readyz is %d: %s", status, body)
		}
		if !strings.Contains(body, `"catalog app"`) || !strings.Contains(body, "vault refused") {
			return errors.New(body)
		}
		return nil
	})
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	_, err := conn.Exec(t.Context(), "SELECT id FROM orders LIMIT 1")
	if code := sqlstate(t, err); code != "58000" {
		t.Errorf("got %v, want 58000", err)
	}
	if got := value(t, conn, "SELECT 'nothing named'"); got != "nothing named" {
		t.Errorf("got %q", got)
	}
	other := login{gateway: g, account: stack.Engineer, database: stack.Scratch}.connect(t)
	if _, err := other.Exec(context.WithoutCancel(t.Context()), "SELECT FROM pg_catalog.pg_class LIMIT 1"); err != nil {
		t.Error(err)
	}
}
