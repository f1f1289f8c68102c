package stack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// services are started once: two seconds are too many for each test.
func TestServices(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s, err := Start(t.Context(), Config{Root: root, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("started in %v", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		base := s.Postgres.base
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(base); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", base, err)
		}
	})
	certificate, err := s.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Services: s, certificate: certificate}
	for name, test := range map[string]func(*testing.T, *fixture){
		"a credential needs the client certificate":  testCertificate,
		"a wrong client certificate is refused":      testForeignCertificate,
		"privileges of each role":                    testPrivileges,
		"one connection per credential":              testConnectionLimit,
		"revocation ends sessions and drops":         testRevocation,
		"revocation gives objects to the owner":      testReassign,
		"revocation of what only superusers can own": testReassignSuperuser,
		"revocation twice":                           testRevokeTwice,
		"the gateway's login can do no more":         testGatewayPolicy,
		"logins of all people":                       testLogins,
		"rows are what they should be":               testRows,
		"the log shows the roles and no password":    testLog,
	} {
		t.Run(name, func(t *testing.T) { test(t, f) })
	}
}

type fixture struct {
	*Services
	certificate *tls.Certificate
}

type credential struct{ lease, user, password string }

func (f *fixture) issue(t *testing.T, role string) credential {
	t.Helper()
	secret, err := f.Vault.Client.Logical().ReadWithContext(t.Context(), Mount+"/creds/"+role)
	if err != nil {
		t.Fatal(err)
	}
	c := credential{lease: secret.LeaseID}
	c.user, _ = secret.Data["username"].(string)
	c.password, _ = secret.Data["password"].(string)
	return c
}

func (f *fixture) revoke(t *testing.T, c credential) {
	t.Helper()
	err := f.Vault.Client.Sys().RevokeWithOptionsWithContext(t.Context(), &api.RevokeOptions{LeaseID: c.lease, Sync: true})
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) connect(t *testing.T, c credential, database string) *pgx.Conn {
	t.Helper()
	conn, err := f.Postgres.ConnectAs(t.Context(), c.user, c.password, database, f.certificate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func (f *fixture) superuser(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), f.Postgres.DSN(database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func (f *fixture) exists(t *testing.T, role string) bool {
	t.Helper()
	var found bool
	query := "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)"
	if err := f.superuser(t, App).QueryRow(t.Context(), query, role).Scan(&found); err != nil {
		t.Fatal(err)
	}
	return found
}

// state is the SQLSTATE of an error, "" for none.
func state(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		t.Fatalf("not an error of PostgreSQL's: %v", err)
	}
	return pgErr.Code
}

func execute(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func testCertificate(t *testing.T, f *fixture) {
	c := f.issue(t, "app-readonly")
	defer f.revoke(t, c)
	_, err := f.Postgres.ConnectAs(t.Context(), c.user, c.password, App, nil)
	if got := state(t, err); got != "28000" {
		t.Errorf("without a certificate: SQLSTATE %q, want 28000", got)
	}
	f.connect(t, c, App)
}

func testForeignCertificate(t *testing.T, f *fixture) {
	c := f.issue(t, "app-readonly")
	defer f.revoke(t, c)
	// Issued by the authority of the servers: trusted by clients, not by PostgreSQL.
	request := serverRequest("intruder")
	request.Client = true
	certPEM, keyPEM, err := f.authority.Issue(request)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Postgres.ConnectAs(t.Context(), c.user, c.password, App, &pair); err == nil {
		t.Error("connected with a certificate of another authority")
	}
}

func testPrivileges(t *testing.T, f *fixture) {
	const denied = "42501"
	tests := []struct{ role, database, statement, want string }{
		{"app-readonly", App, "SELECT ssn, salary FROM app.customers LIMIT 1", ""},
		{"app-readonly", App, "SELECT * FROM app.order_totals LIMIT 1", ""},
		{"app-readonly", App, "SELECT * FROM app.payments LIMIT 1", ""},
		{"app-readonly", App, "SELECT * FROM app.secrets", denied},
		{"app-readonly", App, "UPDATE app.orders SET status = 'open' WHERE id = 1", denied},
		{"app-readonly", App, "CREATE TABLE app.x (a int)", denied},
		{"app-readonly", App, "CREATE TABLE public.x (a int)", denied},
		{"app-readonly", App, "CREATE TEMP TABLE x (a int)", denied},
		{"app-readonly", App, "SELECT pg_read_file('PG_VERSION')", denied},
		{"app-readwrite", App, "UPDATE app.orders SET status = 'open' WHERE id = 1", ""},
		{"app-readwrite", App, "INSERT INTO app.orders (customer_id, product, quantity, amount) VALUES (1, 'bell', 1, 1)", ""},
		{"app-readwrite", App, "DELETE FROM app.payments WHERE id = 1", ""},
		{"app-readwrite", App, "TRUNCATE app.orders", denied},
		{"app-readwrite", App, "ALTER TABLE app.orders ADD x int", denied},
		{"app-readwrite", App, "CREATE TABLE app.x (a int)", denied},
		{"app-admin", App, "CREATE TABLE app.x (a int)", ""},
		{"app-admin", App, "SELECT pg_read_file('PG_VERSION')", ""},
		{"scratch-readwrite", Scratch, "CREATE TABLE public.x (a int)", denied},
		{"scratch-admin", Scratch, "CREATE TABLE public.x (a int)", ""},
	}
	for _, test := range tests {
		t.Run(test.role+" "+test.statement, func(t *testing.T) {
			c := f.issue(t, test.role)
			defer f.revoke(t, c)
			tx, err := f.connect(t, c, test.database).Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(t.Context()) }()
			_, err = tx.Exec(t.Context(), test.statement)
			if got := state(t, err); got != test.want {
				t.Errorf("SQLSTATE %q, want %q: %v", got, test.want, err)
			}
		})
	}
	t.Run("no way from one database into another", func(t *testing.T) {
		c := f.issue(t, "app-readwrite")
		defer f.revoke(t, c)
		_, err := f.Postgres.ConnectAs(t.Context(), c.user, c.password, Scratch, f.certificate)
		if got := state(t, err); got != denied {
			t.Errorf("SQLSTATE %q, want %q: %v", got, denied, err)
		}
	})
}

func testConnectionLimit(t *testing.T, f *fixture) {
	c := f.issue(t, "app-readonly")
	defer f.revoke(t, c)
	f.connect(t, c, App)
	_, err := f.Postgres.ConnectAs(t.Context(), c.user, c.password, App, f.certificate)
	if got := state(t, err); got != "53300" {
		t.Errorf("second connection: SQLSTATE %q, want 53300: %v", got, err)
	}
}

func testRevocation(t *testing.T, f *fixture) {
	c := f.issue(t, "app-readonly")
	conn := f.connect(t, c, App)
	execute(t, conn, "BEGIN", "SELECT * FROM app.customers LIMIT 1")
	f.revoke(t, c)
	_, err := conn.Exec(t.Context(), "SELECT 1")
	if got := state(t, err); got != "57P01" {
		t.Errorf("session of a revoked credential: SQLSTATE %q, want 57P01: %v", got, err)
	}
	if f.exists(t, c.user) {
		t.Error("the role is still there")
	}
}

func testReassign(t *testing.T, f *fixture) {
	for _, database := range []string{App, Scratch} {
		t.Run(database, func(t *testing.T) {
			c := f.issue(t, database+"-admin")
			execute(t, f.connect(t, c, database),
				"CREATE SCHEMA left_behind", "CREATE TABLE left_behind.t (a int)",
				"CREATE TEMP TABLE gone (a int)", "SELECT lo_from_bytea(4711, 'x')",
				"GRANT SELECT ON left_behind.t TO PUBLIC",
				"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC")
			f.revoke(t, c)
			if f.exists(t, c.user) {
				t.Fatal("the role is still there")
			}
			var owner string
			conn := f.superuser(t, database)
			query := "SELECT tableowner FROM pg_tables WHERE schemaname = 'left_behind'"
			if err := conn.QueryRow(t.Context(), query).Scan(&owner); err != nil {
				t.Fatal(err)
			}
			if want := database + "_owner"; owner != want {
				t.Errorf("the table is owned by %s, want %s", owner, want)
			}
			execute(t, conn, "DROP SCHEMA left_behind CASCADE", "SELECT lo_unlink(4711)")
		})
	}
}

func testReassignSuperuser(t *testing.T, f *fixture) {
	c := f.issue(t, "scratch-admin")
	execute(t, f.connect(t, c, Scratch),
		"CREATE FUNCTION public.noop() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
		"CREATE EVENT TRIGGER noop ON ddl_command_end EXECUTE FUNCTION public.noop()")
	f.revoke(t, c)
	if f.exists(t, c.user) {
		t.Error("the role is still there")
	}
	execute(t, f.superuser(t, Scratch), "DROP EVENT TRIGGER noop", "DROP FUNCTION public.noop()")
}

func testRevokeTwice(t *testing.T, f *fixture) {
	c := f.issue(t, "app-readwrite")
	execute(t, f.superuser(t, App), fmt.Sprintf("DROP ROLE %q", c.user)) // by hand, before Vault could
	f.revoke(t, c)
	f.revoke(t, c)
	if n, err := f.Vault.Leases(t.Context(), "app-readwrite"); err != nil || n != 0 {
		t.Errorf("%d leases are left, error %v", n, err)
	}
}

func testGatewayPolicy(t *testing.T, f *fixture) {
	roleID, secretID, err := f.Vault.AppRole(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := f.Vault.Client.Clone()
	if err != nil {
		t.Fatal(err)
	}
	login, err := gateway.Logical().WriteWithContext(t.Context(), "auth/approle/login",
		map[string]any{"role_id": roleID, "secret_id": secretID})
	if err != nil {
		t.Fatal(err)
	}
	gateway.SetToken(login.Auth.ClientToken)
	issued, err := gateway.Logical().ReadWithContext(t.Context(), Mount+"/creds/app-readonly")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.Sys().RenewWithContext(t.Context(), issued.LeaseID, 60); err != nil {
		t.Errorf("renew: %v", err)
	}
	if err := gateway.Sys().RevokeWithContext(t.Context(), issued.LeaseID); err != nil {
		t.Errorf("revoke: %v", err)
	}
	for _, path := range []string{Mount + "/config/app", Mount + "/roles/app-admin", "sys/policies/acl/gateway", "auth/approle/role/gateway"} {
		if _, err := gateway.Logical().ReadWithContext(t.Context(), path); err == nil {
			t.Errorf("the gateway's token reads %s", path)
		}
	}
	if _, err := gateway.Logical().ListWithContext(t.Context(), "sys/leases/lookup/"+Mount+"/creds/app-readonly"); err == nil {
		t.Error("the gateway's token lists leases")
	}
}

func testLogins(t *testing.T, f *fixture) {
	for _, email := range []string{Analyst, Engineer, DBA} {
		tokens, err := f.Login(t.Context(), email)
		if err != nil || strings.Count(tokens.ID, ".") != 2 {
			t.Errorf("%s: %v", email, err)
		}
	}
	if _, err := f.Login(t.Context(), "nobody@example.com"); err == nil {
		t.Error("nobody@example.com could log in")
	}
}

func testRows(t *testing.T, f *fixture) {
	var got string
	query := `SELECT concat_ws(' ', (SELECT count(*) FROM app.customers), (SELECT count(*) FROM app.orders),
		(SELECT count(*) FROM app.payments), (SELECT count(*) FROM app.secrets), (SELECT sum(salary)::bigint FROM app.customers),
		(SELECT name || ' ' || ssn FROM app.customers WHERE id = 42))`
	if err := f.superuser(t, App).QueryRow(t.Context(), query).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := "2000 8000 6000 3 149979000 Chidi Jansen 142-43-0042"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func testLog(t *testing.T, f *fixture) {
	c := f.issue(t, "app-readonly")
	execute(t, f.connect(t, c, App), "SELECT 'in the log' AS marker")
	f.revoke(t, c)
	data, err := os.ReadFile(f.Postgres.Log)
	if err != nil {
		t.Fatal(err)
	}
	log := string(data)
	found := false
	for line := range strings.Lines(log) {
		found = found || strings.Contains(line, "'in the log'") && strings.Contains(line, "user="+c.user+" db=app")
	}
	if !found {
		t.Error("the statement is not there beside its role")
	}
	for name, secret := range map[string]string{
		"credential's": c.password, "Vault's": f.Postgres.vaultPassword, "superuser's": f.Postgres.password,
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the %s password is there", name)
		}
	}
}
