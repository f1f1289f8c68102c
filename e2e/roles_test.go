package e2e

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

// atelier is a schema in which sessions of app_readwrite may make things, and a table that is none of their business.
const atelier = `CREATE SCHEMA atelier; CREATE TABLE atelier.private AS SELECT 'hidden' AS value; ALTER TABLE atelier.private OWNER TO app_owner; GRANT USAGE ON SCHEMA atelier TO app_readonly; GRANT USAGE, CREATE ON SCHEMA atelier TO app_readwrite`

// works is what an engineer makes who is about to go: a table, a view of what he may not read, and a function that would do, as whoever
// owns it, what its callers may not.
var works = []string{
	"CREATE TABLE atelier.notes (a int)", "INSERT INTO atelier.notes VALUES (42)", "GRANT SELECT ON atelier.notes TO app_readonly",
	"CREATE VIEW atelier.peep AS SELECT value FROM atelier.private", "GRANT SELECT ON atelier.peep TO app_readonly",
	`CREATE FUNCTION atelier.pay(amount int) RETURNS int SECURITY DEFINER LANGUAGE sql
		AS 'UPDATE app.orders SET amount = amount WHERE id = $1 RETURNING id'`,
	"CREATE FUNCTION atelier.add(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT a + b'",
	"SELECT lo_from_bytea(4712, 'x')", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
}

// TestRoleLeavesNoRights: what an engineer makes is there when the role that made it is gone, and nobody can do by it what the engineers'
// group cannot. The statements that make and revoke roles are those in deploy/, and who runs them is no superuser.
func TestRoleLeavesNoRights(t *testing.T) {
	for name, make := range map[string]func(*testing.T) (conn *pgx.Conn, revoke func()){"vault": leaseOfVault, "minted": sessionOfMinting} {
		t.Run(name, func(t *testing.T) {
			admin := superuser(t, stack.App)
			execute(t, admin, atelier)
			t.Cleanup(func() {
				execute(t, admin, "DROP SCHEMA atelier CASCADE", "SELECT lo_unlink(4712) FROM pg_largeobject_metadata WHERE oid = 4712")
			})
			conn, revoke := make(t)
			role := backendRole(t, conn)
			execute(t, conn, works...)
			revoke()
			roleGone(t, role, goneWithin)
			checkWorks(t, admin, func(group string) *pgx.Conn { return asAt(t, shared.services.Postgres, group) })
			backendLog, err := os.ReadFile(shared.services.Postgres.Log)
			if err != nil {
				t.Fatal(err)
			}
			if name == "vault" && !strings.Contains(string(backendLog), "WARNING:  atelier.pay(integer) is no longer SECURITY DEFINER, for its owner "+role+" is gone") {
				t.Error("PostgreSQL's log does not tell of the function")
			}
		})
	}
}

// traps are operators that fit what the provisioning role asks better than PostgreSQL's own, which convert an operand. Whoever finds
// them by its search_path runs them, with its own rights.
var traps = []string{
	"CREATE SEQUENCE public.sprung",
	"GRANT USAGE ON SEQUENCE public.sprung TO PUBLIC",
	"CREATE FUNCTION public.spring(text, regprocedure) RETURNS text LANGUAGE sql AS $$SELECT nextval('public.sprung'); SELECT pg_catalog.textcat($1, $2::text)$$",
	"CREATE OPERATOR public.|| (LEFTARG = text, RIGHTARG = regprocedure, FUNCTION = public.spring)",
	"CREATE FUNCTION public.spring(numeric, int) RETURNS numeric LANGUAGE sql AS $$SELECT nextval('public.sprung'); SELECT pg_catalog.numeric_mul($1, $2)$$",
	"CREATE OPERATOR public.* (LEFTARG = numeric, RIGHTARG = int, FUNCTION = public.spring)",
	"CREATE FUNCTION public.spring(name, name) RETURNS bool LANGUAGE sql AS $$SELECT nextval('public.sprung'); SELECT pg_catalog.nameregexeq($1, $2::text)$$",
	"CREATE OPERATOR public.~ (LEFTARG = name, RIGHTARG = name, FUNCTION = public.spring)",
}

// TestProvisioningFindsNoOperators: who makes and drops roles runs nothing that others have left in a schema of its search_path.
func TestProvisioningFindsNoOperators(t *testing.T) {
	for name, make := range map[string]func(*testing.T) (conn *pgx.Conn, revoke func()){"vault": leaseOfVault, "minted": sessionOfMinting} {
		t.Run(name, func(t *testing.T) {
			admin := superuser(t, stack.App)
			execute(t, admin, atelier)
			t.Cleanup(func() {
				execute(t, admin, "DROP SCHEMA atelier CASCADE", "DROP FUNCTION public.spring(text, regprocedure), public.spring(numeric, int), public.spring(name, name) CASCADE",
					"DROP SEQUENCE public.sprung", "REVOKE USAGE ON SCHEMA public FROM PUBLIC")
			})
			execute(t, admin, "GRANT USAGE ON SCHEMA public TO PUBLIC") // as it is unless somebody takes it away
			execute(t, admin, traps...)
			conn, revoke := make(t)
			role := backendRole(t, conn)
			execute(t, conn, "CREATE FUNCTION atelier.pay(amount int) RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1'")
			revoke()
			roleGone(t, role, goneWithin)
			if got := value(t, admin, "SELECT is_called::text FROM public.sprung"); got != "false" {
				t.Error("the provisioning role has run an operator of the schema public")
			}
		})
	}
}

// checkWorks looks at what is left of them, also as the groups see it.
func checkWorks(t *testing.T, admin *pgx.Conn, as func(group string) *pgx.Conn) {
	t.Helper()
	const owners = `SELECT string_agg(DISTINCT o::regrole::text, ' ') FROM (
		SELECT relowner FROM pg_class WHERE relnamespace = 'atelier'::regnamespace AND relname <> 'private'
		UNION SELECT proowner FROM pg_proc WHERE pronamespace = 'atelier'::regnamespace
		UNION SELECT lomowner FROM pg_largeobject_metadata WHERE oid = 4712) AS x(o)`
	if got := value(t, admin, owners); got != "app_objects" {
		t.Errorf("it is owned by %s", got)
	}
	if got := value(t, admin, "SELECT string_agg(proname, ' ') FROM pg_proc WHERE pronamespace = 'atelier'::regnamespace AND prosecdef IS NOT TRUE"); !strings.Contains(got, "pay") {
		t.Errorf("only %s run with their callers' rights", got)
	}
	if got := value(t, admin, "SELECT count(*)::text FROM pg_default_acl WHERE defaclrole NOT IN (SELECT oid FROM pg_roles WHERE rolname IN ('app_owner', 'postgres'))"); got != "0" {
		t.Errorf("%s default privileges are left", got)
	}
	analyst := as("app_readonly")
	if got := value(t, analyst, "SELECT a::text FROM atelier.notes"); got != "42" {
		t.Errorf("the table has %s", got)
	}
	for _, denied := range []string{"SELECT * FROM atelier.peep", "SELECT atelier.pay(1)"} {
		if _, err := analyst.Exec(t.Context(), denied); sqlstate(t, err) != "42501" {
			t.Errorf("%s: %v, want 42501", denied, err)
		}
	}
	engineer := as("app_readwrite")
	if got := value(t, engineer, "SELECT atelier.pay(1)::text"); got != "1" {
		t.Errorf("the function gives %s to those who may do what it does", got)
	}
}

// asAt is a superuser that has become a group and nothing else.
func asAt(t *testing.T, pg *stack.Postgres, group string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pg.DSN(stack.App))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	execute(t, conn, "SET SESSION AUTHORIZATION "+group)
	return conn
}

// leaseOfVault is a session with one of Vault's credentials, past the gateway.
func leaseOfVault(t *testing.T) (*pgx.Conn, func()) {
	client := shared.services.Vault.Client
	secret, err := client.Logical().ReadWithContext(t.Context(), stack.Mount+"/creds/app-readwrite")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := shared.services.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	user, password := secret.Data["username"].(string), secret.Data["password"].(string)
	conn, err := shared.services.Postgres.ConnectAs(t.Context(), user, password, stack.App, certificate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn, func() {
		if err := client.Sys().RevokeWithContext(t.Context(), secret.LeaseID); err != nil {
			t.Error(err)
		}
	}
}

// sessionOfMinting is one through a gateway without Vault whose administrators are engineers.
func sessionOfMinting(t *testing.T) (*pgx.Conn, func()) {
	g := minting(t, func(c *stack.GatewayConfig) {
		app := c.Databases[stack.App].Minted
		app.Groups["admin"], app.Owners = "app_readwrite", nil
	})
	conn := login{gateway: g, account: stack.DBA}.connect(t)
	return conn, func() {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
		eventually(t, goneWithin, func() error {
			gatewayLog, err := os.ReadFile(g.Log)
			if err == nil && !strings.Contains(string(gatewayLog), `"a function is no longer SECURITY DEFINER, for its owner is gone"`) {
				err = errors.New("the gateway's log does not tell of the function")
			}
			return err
		})
	}
}
