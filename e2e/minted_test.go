package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// provisioningLost is what the gateway logs while its provisioning role is of no use.
const provisioningLost = "the provisioning role cannot be used: no roles are made or dropped"

// minting starts a gateway that has no Vault.
func minting(t *testing.T, edit func(*stack.GatewayConfig), expected ...string) *stack.Gateway {
	t.Helper()
	return ownGateway(t, func(c *stack.GatewayConfig) {
		c.Mint()
		if edit != nil {
			edit(c)
		}
	}, expected...)
}

// TestMinted: without Vault every session has a role of its own, too, which can do what its group can, and goes with the session.
func TestMinted(t *testing.T) {
	g := minting(t, nil)
	admin := superuser(t, stack.App)
	roles := make(map[string]bool)
	for range 3 {
		roles[backendRole(t, login{gateway: g, account: stack.Analyst}.connect(t))] = true
	}
	if len(roles) != 3 {
		t.Errorf("3 sessions have %d roles", len(roles))
	}
	conn := login{gateway: g, account: stack.Engineer}.connect(t)
	role := backendRole(t, conn)
	if !strings.HasPrefix(role, "s-app_readwrite-") {
		t.Errorf("an engineer's role is %s", role)
	}
	const attributes = `SELECT format('%s %s %s %s %s %s %s', rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolconnlimit,
		rolvaliduntil BETWEEN now() + '14 min' AND now() + '15 min') FROM pg_roles WHERE rolname = $1`
	if got := value(t, admin, attributes, role); got != "f f f f f 1 t" {
		t.Errorf("its attributes are %s", got)
	}
	if got := value(t, admin, "SELECT rolpassword FROM pg_authid WHERE rolname = $1", role); !strings.HasPrefix(got, "SCRAM-SHA-256$4096:") {
		t.Error("its password is not stored as a SCRAM verifier")
	}
	if got := value(t, conn, "UPDATE orders SET status = 'open' WHERE id = 1 RETURNING 'changed'"); got != "changed" {
		t.Errorf("got %q", got)
	}
	members := value(t, admin, `SELECT count(*)::text FROM pg_auth_members m WHERE m.roleid = $1::regrole::oid AND pg_has_role('sallyport', m.roleid, 'USAGE')`, `"`+role+`"`)
	if members != "0" {
		t.Error("the provisioning role can do what a running session can")
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	roleGone(t, role, goneWithin)
	audit, err := os.ReadFile(g.Audit)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(audit), `"credential":"minted"`) {
		t.Error("the audit log does not say where the credentials come from")
	}
}

// TestMintedLeavesObjects: what a session makes is the owner's afterwards, in every database; the statements that made the roles hold no
// passwords.
func TestMintedLeavesObjects(t *testing.T) {
	g := minting(t, nil)
	for _, database := range []string{stack.App, stack.Scratch} {
		conn := login{gateway: g, account: stack.DBA, database: database}.connect(t)
		role := backendRole(t, conn)
		schema := map[string]string{stack.App: "app", stack.Scratch: "dba_work"}[database]
		if database == stack.Scratch {
			execute(t, conn, "CREATE SCHEMA dba_work")
		}
		execute(t, conn, "CREATE TABLE "+schema+".left_by_minted (a int)", "INSERT INTO "+schema+".left_by_minted VALUES (1)",
			"CREATE TEMP TABLE left_too (a int)", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
		roleGone(t, role, goneWithin)
		admin := superuser(t, database)
		if owner := value(t, admin, "SELECT tableowner::text FROM pg_tables WHERE tablename = 'left_by_minted'"); owner != database+"_owner" {
			t.Errorf("%s: the table's owner is %s", database, owner)
		}
		if rows := value(t, admin, "SELECT count(*)::text FROM "+schema+".left_by_minted"); rows != "1" {
			t.Errorf("%s: it has %s rows", database, rows)
		}
		execute(t, admin, "DROP TABLE "+schema+".left_by_minted", "DROP SCHEMA IF EXISTS dba_work")
	}
	backendLog, err := os.ReadFile(shared.services.Postgres.Log)
	if err != nil {
		t.Fatal(err)
	}
	made := regexp.MustCompile(`CREATE ROLE "s-[^"]+" LOGIN INHERIT .*\n`).FindAllString(string(backendLog), -1) // by gateways: tests make others
	if len(made) < 2 {
		t.Errorf("PostgreSQL's log has %d statements that made roles", len(made))
	}
	for _, statement := range made {
		if !strings.Contains(statement, "PASSWORD 'SCRAM-SHA-256$") {
			t.Fatal("a role was made with something else than a verifier")
		}
	}
}

// TestMintedRenewal: a role's end moves while its session lives.
func TestMintedRenewal(t *testing.T) {
	t.Parallel()
	g := minting(t, func(c *stack.GatewayConfig) { c.Databases[stack.App].Minted.TTL = "5s" })
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	role, admin := backendRole(t, conn), superuser(t, stack.App)
	const until = "SELECT rolvaliduntil::text FROM pg_roles WHERE rolname = $1"
	for first, moved := value(t, admin, until, role), 0; moved < 3; {
		eventually(t, 5*time.Second, func() error {
			if now := value(t, admin, until, role); now != first {
				first = now
				moved++
				return nil
			}
			return fmt.Errorf("the role ends at %s still", first)
		})
	}
	value(t, conn, "SELECT 'still here'")
}

// TestMintedRolesAreSwept: the roles of a gateway that was killed go when it starts again, by its journal at once, and without one when
// their time is over. Others' roles stay, whatever they are called.
func TestMintedRolesAreSwept(t *testing.T) {
	admin := superuser(t, stack.App)
	const others = `"s-app_readonly-notarandomword22-1700000000"` // by its name one of ours, but nobody's member
	execute(t, admin, "CREATE ROLE "+others+" VALID UNTIL '2020-01-01'", `CREATE ROLE "s-app_readonly-mine" IN ROLE app_readonly VALID UNTIL '2020-01-01'`)
	t.Cleanup(func() { execute(t, admin, "DROP ROLE "+others, `DROP ROLE "s-app_readonly-mine"`) })
	for name, journal := range map[string]string{"journal": "leases.app", "no journal": ""} {
		t.Run(name, func(t *testing.T) {
			within := goneWithin
			g := minting(t, func(c *stack.GatewayConfig) {
				app := c.Databases[stack.App].Minted
				app.Ahead, app.JournalFile = 2, journal
				if journal == "" {
					app.TTL, within = "5s", 20*time.Second
				}
			})
			role := backendRole(t, login{gateway: g, account: stack.Service}.connect(t))
			const ours = `SELECT coalesce(string_agg(rolname, ' '), '') FROM pg_roles WHERE rolname ~ '^s-app_readonly-[a-z2-7]{16}-' AND rolvaliduntil > '2021-01-01'`
			var left []string
			eventually(t, 10*time.Second, func() error {
				if left = strings.Fields(value(t, admin, ours)); len(left) < 3 {
					return fmt.Errorf("%d roles lie ready or are used", len(left))
				}
				return nil
			})
			if err := g.Kill(); err != nil {
				t.Fatal(err)
			}
			if !roleExists(t, role) {
				t.Fatal("the role went with the gateway")
			}
			if err := g.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, role := range left {
				roleGone(t, role, within)
			}
		})
	}
	if got := value(t, admin, `SELECT count(*)::text FROM pg_roles WHERE rolname IN ('s-app_readonly-mine', 's-app_readonly-notarandomword22-1700000000')`); got != "2" {
		t.Error("roles were dropped that no gateway has made")
	}
}

// TestMintedConnectionEnded: nobody notices that the provisioning role's connections were ended.
func TestMintedConnectionEnded(t *testing.T) {
	g := minting(t, nil)
	role := backendRole(t, login{gateway: g, account: stack.Analyst}.connect(t))
	for range 3 {
		endProvisioning(t)
		if other := backendRole(t, login{gateway: g, account: stack.Analyst}.connect(t)); other == role {
			t.Error("two sessions have one role")
		}
	}
}

// endProvisioning ends the provisioning role's connections, all gateways'.
func endProvisioning(t *testing.T) {
	t.Helper()
	execute(t, superuser(t, stack.App), "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'sallyport'")
}

// TestMintedOutage: without the provisioning role nobody new comes in, quickly, those who are in stay, and all is well when it is back.
func TestMintedOutage(t *testing.T) {
	g := minting(t, nil, provisioningLost)
	admin := superuser(t, stack.App)
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	role := backendRole(t, conn)
	execute(t, admin, "ALTER ROLE sallyport NOLOGIN")
	restored := false
	restore := func() {
		if !restored {
			restored = true
			execute(t, admin, "ALTER ROLE sallyport LOGIN")
		}
	}
	t.Cleanup(restore)
	endProvisioning(t)
	for range 5 {
		began := time.Now()
		_, err := login{gateway: g, account: stack.Analyst}.open(t)
		if got := sqlstate(t, err); got != "57P03" {
			t.Fatalf("SQLSTATE %q, want 57P03: %v", got, err)
		}
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || !strings.Contains(refused.Detail, "provisioning role") {
			t.Errorf("the client is not told whose fault it is: %v", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("refused after %v", took)
		}
	}
	if got := value(t, conn, "SELECT 'still here'"); got != "still here" {
		t.Errorf("got %q", got)
	}
	_ = conn.Close(t.Context())
	eventually(t, 10*time.Second, func() error {
		if _, body := ask(t, g, http.MethodGet, "/readyz", ""); !strings.Contains(body, "credentials app") || !strings.Contains(body, "28000") {
			return fmt.Errorf("/readyz says %s", body)
		}
		return nil
	})
	restore()
	roleGone(t, role, 15*time.Second) // tried as soon as the role is of use again, not half a minute later
	eventually(t, 20*time.Second, func() error {
		conn, err := login{gateway: g, account: stack.Analyst}.open(t)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
	gatewayLog, err := os.ReadFile(g.Log)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(gatewayLog), shared.services.Postgres.ProvisioningPassword) || strings.Contains(string(gatewayLog), "SCRAM-SHA-256$") {
		t.Error("the log has a secret in it")
	}
}

// TestMintedPsql: psql goes through a gateway that has no Vault, and what names mean is known there.
func TestMintedPsql(t *testing.T) {
	g := minting(t, nil)
	out, err := program(t, login{gateway: g, account: stack.Analyst}, "", "psql", "-XAtc", "SELECT count(*) FROM order_totals")
	if err != nil || strings.TrimSpace(out) == "0" {
		t.Fatalf("%v: %s", err, out)
	}
	eventually(t, 10*time.Second, func() error {
		if _, body := ask(t, g, http.MethodGet, "/readyz", ""); !strings.Contains(body, `{"name":"catalog app","ok":true`) {
			return fmt.Errorf("/readyz says %s", body)
		}
		return nil
	})
	if got := value(t, superuser(t, stack.App), "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'sallyport catalog' AND usename LIKE 's-app_catalog-%'"); got == "0" {
		t.Error("the catalog's session has no role of its own")
	}
}

// TestMintedExplain: the tools of policies read a catalog without Vault, beside the gateway, and leave no role.
func TestMintedExplain(t *testing.T) {
	g := minting(t, nil)
	admin := superuser(t, stack.App)
	const roles = "SELECT coalesce(string_agg(rolname, ' ' ORDER BY rolname), '') FROM pg_roles WHERE rolname LIKE 's-app\\_catalog-%'"
	catalogIsRead := func() error {
		if _, body := ask(t, g, http.MethodGet, "/readyz", ""); !strings.Contains(body, `{"name":"catalog app","ok":true`) {
			return fmt.Errorf("/readyz says %s", body)
		}
		return nil
	}
	eventually(t, 10*time.Second, catalogIsRead)
	before := value(t, admin, roles)
	out, status := sallyport(t, "policy", "explain", "--config", g.Config, "--as", stack.Analyst, "--method", "oidc", "--database", stack.App,
		"SELECT * FROM order_totals")
	if status != 0 || !strings.Contains(out, "names: looked up in the catalog of database app (PostgreSQL 1") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if after := value(t, admin, roles); before == "" || after != before {
		t.Errorf("the roles were %s and are %s", before, after)
	}
}

// TestStatic: sessions share a database user, and operators are told so.
func TestStatic(t *testing.T) {
	admin := superuser(t, stack.App)
	execute(t, admin, "CREATE ROLE shared_reader LOGIN IN ROLE app_readonly PASSWORD 'of-the-shared-reader'")
	t.Cleanup(func() { execute(t, admin, "DROP ROLE shared_reader") })
	file := filepath.Join(t.TempDir(), "password")
	write(t, file, "of-the-shared-reader\n")
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.Mint()
		app := c.Databases[stack.App]
		app.Credentials, app.Minted = "static", nil
		app.Static = &stack.StaticConfig{Accounts: map[string]stack.AccountConfig{"readonly": {User: "shared_reader", PasswordFile: file}}}
		app.Catalog = &stack.CatalogConfig{Account: "readonly"}
		c.Databases[stack.App] = app
	})
	var sessions []*pgx.Conn
	for range 2 {
		conn := login{gateway: g, account: stack.Analyst}.connect(t)
		if role := backendRole(t, conn); role != "shared_reader" {
			t.Errorf("the role is %s", role)
		}
		sessions = append(sessions, conn)
	}
	for _, conn := range sessions {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if _, body := ask(t, g, http.MethodGet, "/readyz", ""); !strings.Contains(body, `sessions share the database users shared_reader`) {
		t.Errorf("/readyz says %s", body)
	}
	if err := os.Chmod(file, 0o604); err != nil {
		t.Fatal(err)
	}
	_, err := login{gateway: g, account: stack.Analyst}.open(t)
	if got := sqlstate(t, err); got != "57P03" {
		t.Errorf("SQLSTATE %q with a password that everybody may read", got)
	}
	for file, wants := range map[string]string{g.Audit: `"credential":"static"`, g.Log: "sessions share the database users"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), wants) || strings.Contains(string(text), "of-the-shared-reader") {
			t.Errorf("%s does not say %s, or says too much", filepath.Base(file), wants)
		}
	}
}
