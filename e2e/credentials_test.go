package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// goneWithin is how soon after the end of a session its role must be gone.
const goneWithin = 2 * time.Second

// backendRole is the role that a session has in PostgreSQL.
func backendRole(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	return value(t, conn, "SELECT current_user::text")
}

func roleExists(t *testing.T, role string) bool {
	t.Helper()
	return value(t, superuser(t, stack.App), "SELECT count(*)::text FROM pg_roles WHERE rolname = $1", role) != "0"
}

func roleGone(t *testing.T, role string, within time.Duration) {
	t.Helper()
	conn := superuser(t, stack.App)
	eventually(t, within, func() error {
		if value(t, conn, "SELECT count(*)::text FROM pg_roles WHERE rolname = $1", role) != "0" {
			return fmt.Errorf("role %s is still there", role)
		}
		return nil
	})
}

// TestRoleEnds: however a session ends, its role goes.
func TestRoleEnds(t *testing.T) {
	ends := map[string]func(t *testing.T, conn *pgx.Conn){
		"terminate": func(t *testing.T, conn *pgx.Conn) {
			if err := conn.Close(t.Context()); err != nil {
				t.Error(err)
			}
		},
		"connection cut": func(t *testing.T, conn *pgx.Conn) {
			if err := conn.PgConn().Conn().Close(); err != nil {
				t.Error(err)
			}
		},
		"cut in a transaction": func(t *testing.T, conn *pgx.Conn) {
			execute(t, conn, "BEGIN", "SELECT * FROM customers LIMIT 1")
			if err := conn.PgConn().Conn().Close(); err != nil {
				t.Error(err)
			}
		},
		"cut while a query runs": func(t *testing.T, conn *pgx.Conn) {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if _, err := conn.Exec(ctx, "SELECT count(*) FROM orders a, orders b, orders c"); err == nil {
				t.Error("it ended before it could be cut")
			}
		},
		"reset": func(t *testing.T, conn *pgx.Conn) {
			// TLS hides the TCP connection; SO_LINGER 0 makes its end a reset.
			type netConn interface{ NetConn() net.Conn }
			inner, ok := conn.PgConn().Conn().(netConn)
			if !ok {
				t.Fatal("not a TLS connection")
			}
			tcp, ok := inner.NetConn().(*net.TCPConn)
			if !ok {
				t.Fatal("not a TCP connection")
			}
			if err := errors.Join(tcp.SetLinger(0), tcp.Close()); err != nil {
				t.Error(err)
			}
		},
		"backend ended": func(t *testing.T, conn *pgx.Conn) {
			pid := value(t, conn, "SELECT pg_backend_pid()::text")
			execute(t, superuser(t, stack.App), "SELECT pg_terminate_backend("+pid+")")
			if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
				t.Error("the session goes on without its backend")
			}
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			conn := login{account: stack.Analyst}.connect(t)
			role := backendRole(t, conn)
			if !strings.HasPrefix(role, "v-") {
				t.Fatalf("the role is %s, not one of Vault's", role)
			}
			end(t, conn)
			roleGone(t, role, goneWithin)
		})
	}
}

// TestRoleEndsWithObjects: a dba leaves objects behind, and still no role.
func TestRoleEndsWithObjects(t *testing.T) {
	for _, database := range []string{stack.App, stack.Scratch} {
		t.Run(database, func(t *testing.T) {
			conn := login{account: stack.DBA, database: database}.connect(t)
			role := backendRole(t, conn)
			execute(t, conn, "CREATE TABLE left_by_dba (a int)", "INSERT INTO left_by_dba VALUES (1)",
				"CREATE TEMP TABLE left_too (a int)", "GRANT SELECT ON left_by_dba TO PUBLIC")
			if err := conn.Close(t.Context()); err != nil {
				t.Error(err)
			}
			roleGone(t, role, goneWithin)
			admin := superuser(t, database)
			owner := value(t, admin, "SELECT tableowner::text FROM pg_tables WHERE tablename = 'left_by_dba'")
			if want := database + "_owner"; owner != want {
				t.Errorf("the table's owner is %s, want %s", owner, want)
			}
			schema := value(t, admin, "SELECT schemaname::text FROM pg_tables WHERE tablename = 'left_by_dba'")
			execute(t, admin, "DROP TABLE "+schema+".left_by_dba")
		})
	}
}

// TestRolePerSession: nobody shares a role, and all roles are the account's group's.
func TestRolePerSession(t *testing.T) {
	roles := make(map[string]bool)
	for range 5 {
		roles[backendRole(t, login{account: stack.Service}.connect(t))] = true
	}
	if len(roles) != 5 {
		t.Errorf("5 sessions have %d roles", len(roles))
	}
}

// TestCredentialOutlivesTTL: a session goes on as its lease is renewed.
func TestCredentialTTL(t *testing.T) {
	const ttl = 5 * time.Second
	vault := shared.services.Vault
	if err := vault.SetCredentialTTL(t.Context(), ttl); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vault.SetCredentialTTL(context.WithoutCancel(t.Context()), 15*time.Minute); err != nil {
			t.Error(err)
		}
	})
	t.Run("renewed while the session lives", func(t *testing.T) {
		conn := login{account: stack.Analyst}.connect(t)
		role := backendRole(t, conn)
		for end := time.Now().Add(2 * ttl); time.Now().Before(end); {
			// pg_sleep would be denied: this is how a test waits without one.
			if _, err := conn.Exec(t.Context(), "SELECT count(*) FROM orders a, customers b WHERE a.id < 200"); err != nil {
				t.Fatal(err)
			}
		}
		if !roleExists(t, role) {
			t.Error("the role is gone while the session lives")
		}
	})
	t.Run("gone after the gateway was killed", func(t *testing.T) {
		g := ownGateway(t, nil)
		conn := login{gateway: g, account: stack.DBA}.connect(t)
		role := backendRole(t, conn)
		if err := g.Kill(); err != nil {
			t.Fatal(err)
		}
		roleGone(t, role, ttl+5*time.Second)
		// and the gateway starts again after a crash
		if err := g.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		value(t, login{gateway: g, account: stack.Analyst}.connect(t), "SELECT 'ok'")
	})
}

// TestCredentialElsewhere: the session's own role cannot log in past the gateway.
func TestCredentialElsewhere(t *testing.T) {
	conn := login{account: stack.DBA}.connect(t)
	role := backendRole(t, conn)
	// A dba may give the role another password. It is of no use.
	execute(t, conn, "ALTER ROLE CURRENT_USER PASSWORD 'known'")
	_, err := shared.services.Postgres.ConnectAs(t.Context(), role, "known", stack.App, nil)
	if got := sqlstate(t, err); got != "28000" {
		t.Errorf("SQLSTATE %q, want 28000: %v", got, err)
	}
}

// TestCredentialsAhead: logins do not wait for Vault, not even while it hangs, and what lies ready ends with the gateway.
func TestCredentialsAhead(t *testing.T) {
	const ready = 3
	vault := shared.services.Vault
	g, err := shared.services.StartGateway(t.Context(), stack.GatewayOptions{
		Dir: t.TempDir(), Binary: shared.binary, Edit: func(c *stack.GatewayConfig) { c.Vault.Ahead = ready },
	})
	if err != nil {
		t.Fatal(err)
	}
	leases := func(want int) func() error { // of the gateway's sessions, and those that lie ready
		return func() error {
			open, err := credentials.ReadJournal(filepath.Join(filepath.Dir(g.Log), "leases"))
			open = slices.DeleteFunc(open, func(e credentials.Entry) bool { return e.Role != "app-readonly" })
			if err == nil && len(open) != want {
				err = fmt.Errorf("%d leases are open, want %d", len(open), want)
			}
			return err
		}
	}
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			if err := g.Stop(); err != nil {
				t.Error(err)
			}
		}
	}
	defer stop()
	conn := login{gateway: g, account: stack.Service}.connect(t)
	roles := map[string]bool{backendRole(t, conn): true}
	eventually(t, 10*time.Second, leases(1+ready))
	if err := vault.Suspend(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range ready {
		roles[backendRole(t, login{gateway: g, account: stack.Service}.connect(t))] = true
	}
	took := time.Since(began)
	if err := vault.Resume(); err != nil {
		t.Fatal(err)
	}
	if len(roles) != 1+ready || took > 4*time.Second { // Vault's answer is waited for longer
		t.Errorf("%d sessions had %d roles; the logins took %s while Vault hung", 1+ready, len(roles), took)
	}
	stop()
	eventually(t, 10*time.Second, leases(0))
	if err := checkLog(g.Log, "credential not issued ahead", "vault cannot be used", "sessions were cut off"); err != nil {
		t.Error(err)
	}
}

// TestLeasesAreSwept: the roles of a gateway that was killed go when it starts again, those that lay ready too.
func TestLeasesAreSwept(t *testing.T) {
	g, err := shared.services.StartGateway(t.Context(), stack.GatewayOptions{
		Dir: t.TempDir(), Binary: shared.binary, Edit: func(c *stack.GatewayConfig) { c.Vault.Ahead = 2 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	journal := filepath.Join(filepath.Dir(g.Log), "leases")
	role := backendRole(t, login{gateway: g, account: stack.Service}.connect(t))
	var left []credentials.Entry
	eventually(t, 10*time.Second, func() (err error) {
		left, err = credentials.ReadJournal(journal)
		if err == nil && len(left) < 1+2+2 { // and those of the catalogs
			err = fmt.Errorf("the journal knows %d leases", len(left))
		}
		return err
	})
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(left, func(e credentials.Entry) bool { return e.Username == role }) {
		t.Errorf("the journal does not know %s", role)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		roleGone(t, e.Username, goneWithin)
	}
	if err := checkLog(g.Log, "leases of an earlier run are revoked"); err != nil {
		t.Error(err)
	}
}

// TestLeasesCommand: what is open is listed while the gateway runs, and a role that was left behind is found.
func TestLeasesCommand(t *testing.T) {
	role := backendRole(t, login{account: stack.Service}.connect(t))
	list := func(arguments ...string) (string, int) {
		t.Helper()
		command := exec.CommandContext(t.Context(), shared.binary, append([]string{"leases", "--config", shared.gateway.Config}, arguments...)...)
		output, err := command.CombinedOutput()
		var ended *exec.ExitError
		if err != nil && !errors.As(err, &ended) {
			t.Fatal(err)
		}
		return string(output), command.ProcessState.ExitCode()
	}
	if output, status := list("--offline"); status != 0 || !strings.Contains(output, role) {
		t.Errorf("status %d, want 0 and %s in\n%s", status, role, output)
	}
	if output, status := list(); status != 0 || !strings.Contains(output, "database app: ") || !strings.Contains(output, " 0 left behind") {
		t.Errorf("status %d\n%s", status, output)
	}
	const left = "v-left-behind"
	admin := superuser(t, stack.App)
	execute(t, admin, `CREATE ROLE "`+left+`" LOGIN VALID UNTIL '2020-01-01'`)
	defer execute(t, admin, `DROP ROLE "`+left+`"`)
	if output, status := list(); status != 1 || !strings.Contains(output, left) || !strings.Contains(output, "2020-01-01") {
		t.Errorf("status %d, want 1 and %s in\n%s", status, left, output)
	}
}

// TestVaultLost: without Vault nobody new comes in, quickly, and those who are in stay.
func TestVaultLost(t *testing.T) {
	g := ownGateway(t, nil, "vault cannot be used")
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	vault := shared.services.Vault
	if err := vault.Suspend(); err != nil {
		t.Fatal(err)
	}
	resumed := false
	resume := func() {
		if !resumed {
			resumed = true
			if err := vault.Resume(); err != nil {
				t.Error(err)
			}
		}
	}
	defer resume()
	began := time.Now()
	_, err := login{gateway: g, account: stack.Analyst}.open(t)
	if got := sqlstate(t, err); got != "57P03" && got != "08006" {
		t.Errorf("SQLSTATE %q, want 57P03 or 08006: %v", got, err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("refused after %v", took)
	}
	if got := value(t, conn, "SELECT 'still here'"); got != "still here" {
		t.Errorf("got %q", got)
	}
	role := backendRole(t, conn)
	_ = conn.Close(t.Context())
	resume()
	roleGone(t, role, 30*time.Second) // tried again
	eventually(t, 30*time.Second, func() error {
		conn, err := login{gateway: g, account: stack.Analyst}.open(t)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
}

// lostToken is what the gateway logs when its own Vault token has ended.
const lostToken = "vault token has ended"

// TestVaultTokenRevoked: the gateway logs in to Vault again when its token is gone.
func TestVaultTokenRevoked(t *testing.T) {
	g := ownGateway(t, nil, lostToken)
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	value(t, conn, "SELECT 'ok'")
	_ = conn.Close(t.Context())
	revokeLogins(t, shared.services.Vault.Client)
	for _, gateway := range []*stack.Gateway{g, shared.gateway} {
		eventually(t, 20*time.Second, func() error {
			conn, err := login{gateway: gateway, account: stack.Analyst}.open(t)
			if err != nil {
				return err
			}
			return conn.Close(t.Context())
		})
	}
}
