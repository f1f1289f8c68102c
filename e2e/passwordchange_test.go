package e2e

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// comeAndGo has clients log in and leave until stop is called, which returns how many did. None may be refused.
func comeAndGo(t *testing.T, g *stack.Gateway) (stop func() int) {
	t.Helper()
	var done atomic.Bool
	var count atomic.Int64
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for !done.Load() {
				conn, err := login{gateway: g, account: stack.Analyst}.open(t)
				if err != nil {
					t.Errorf("while the password changed: %v", err)
					return
				}
				count.Add(1)
				_ = conn.Close(context.WithoutCancel(t.Context()))
			}
		})
	}
	return func() int {
		done.Store(true)
		clients.Wait()
		return int(count.Load())
	}
}

// TestRotateRoot: Vault changes the password of its own role, again and again, while sessions come and go.
func TestRotateRoot(t *testing.T) {
	vault := secureVault(t)
	admin := superuser(t, stack.App)
	execute(t, admin, "CREATE ROLE vault_rotated LOGIN SUPERUSER PASSWORD 'the-first-of-many'")
	t.Cleanup(func() { execute(t, admin, "DROP ROLE vault_rotated") })
	logical(t, vault, "database/config/app", map[string]any{"username": "vault_rotated", "password": "the-first-of-many"})
	g := ownGateway(t, asking(t, vault, vault.Address))
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	role := backendRole(t, conn)
	stop := comeAndGo(t, g)
	const password = "SELECT rolpassword FROM pg_authid WHERE rolname = 'vault_rotated'"
	for range 3 {
		before := value(t, admin, password)
		logical(t, vault, "database/rotate-root/app", nil)
		if value(t, admin, password) == before {
			t.Error("the password is what it was")
		}
		time.Sleep(time.Second) // of sessions
	}
	if n := stop(); n < 10 {
		t.Errorf("%d sessions came", n)
	}
	if got := value(t, conn, "SELECT 'still here'"); got != "still here" {
		t.Errorf("got %q", got)
	}
	_ = conn.Close(t.Context())
	roleGone(t, role, goneWithin)
}

// replace puts a file in another's place at once, as whoever changes passwords should.
func replace(t *testing.T, path, content string) {
	t.Helper()
	write(t, path+".new", content)
	must(t, os.Rename(path+".new", path))
}

// restoredPassword gives the provisioning role its password back when the test is over: after the gateway that it starts from here on
// has ended, which needs the one that is in its file.
func restoredPassword(t *testing.T) (admin *pgx.Conn) {
	t.Helper()
	admin = superuser(t, stack.App)
	t.Cleanup(func() {
		execute(t, admin, "ALTER ROLE sallyport PASSWORD '"+shared.services.Postgres.ProvisioningPassword+"'")
	})
	return admin
}

// TestMintedPasswordChanges: the provisioning role gets another password, first in PostgreSQL and then in the file, while sessions come
// and go. A gateway that has the old one and has lost its connections takes the new one as soon as it is there.
func TestMintedPasswordChanges(t *testing.T) {
	admin := restoredPassword(t)
	g := minting(t, nil, provisioningLost)
	file := filepath.Join(filepath.Dir(g.Config), "provisioning.password")
	stop := comeAndGo(t, g)
	execute(t, admin, "ALTER ROLE sallyport PASSWORD 'the-second'")
	replace(t, file, "the-second\n")
	endProvisioning(t)
	if role := backendRole(t, login{gateway: g, account: stack.Analyst}.connect(t)); role == "" {
		t.Error("no role was made")
	}
	if n := stop(); n == 0 {
		t.Error("nobody came")
	}
	execute(t, admin, "ALTER ROLE sallyport PASSWORD 'the-third'")
	endProvisioning(t)
	_, err := login{gateway: g, account: stack.Analyst}.open(t)
	if got := sqlstate(t, err); got != "57P03" {
		t.Errorf("SQLSTATE %q with an old password: %v", got, err)
	}
	replace(t, file, "the-third\n")
}

// TestMintedStopsWithAnOldPassword: a gateway that ends while its provisioning role is of no use does not wait for long. What it could not
// drop, the next one does.
func TestMintedStopsWithAnOldPassword(t *testing.T) {
	admin := restoredPassword(t)
	g := minting(t, nil, provisioningLost, "lease not revoked", "lease could not be revoked", "credentials were not revoked")
	role := backendRole(t, login{gateway: g, account: stack.Engineer, database: stack.Scratch}.connect(t))
	execute(t, admin, "ALTER ROLE sallyport PASSWORD 'the-second'")
	endProvisioning(t)
	began := time.Now()
	must(t, g.Stop())
	if took := time.Since(began); took > 25*time.Second { // ten for the revocations; the drain of sessions, which may take thirty, is over at once
		t.Errorf("it ended after %s", took)
	}
	if !roleExists(t, role) {
		t.Fatal("the role went without the password")
	}
	dir := filepath.Dir(g.Config)
	left, err := credentials.ReadJournal(filepath.Join(dir, "leases."+stack.Scratch))
	if err != nil || !slices.ContainsFunc(left, func(e credentials.Entry) bool { return e.Username == role }) {
		t.Errorf("the journal has %d leases, the session's not among them: %v", len(left), err)
	}
	replace(t, filepath.Join(dir, "provisioning.password"), "the-second\n")
	must(t, g.Start(t.Context()))
	roleGone(t, role, goneWithin)
}

// TestStaticPasswordChanges: a shared user gets another password, in PostgreSQL and a moment later in the file. Nobody who comes between
// is refused, and nobody who is in notices.
func TestStaticPasswordChanges(t *testing.T) {
	ownRole(t, "changing_reader", "IN ROLE app_readonly PASSWORD 'number-0'")
	file := filepath.Join(t.TempDir(), "password")
	write(t, file, "number-0\n")
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.Mint()
		app := c.Databases[stack.App]
		app.Credentials, app.Minted = "static", nil
		app.Static = &stack.StaticConfig{Accounts: map[string]stack.AccountConfig{"readonly": {User: "changing_reader", PasswordFile: file}}}
		app.Catalog = &stack.CatalogConfig{Account: "readonly"}
		c.Databases[stack.App] = app
	})
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	admin := superuser(t, stack.App)
	stop := comeAndGo(t, g)
	for _, password := range []string{"number-1", "number-2", "number-3"} {
		execute(t, admin, "ALTER ROLE changing_reader PASSWORD '"+password+"'")
		replace(t, file, password)
		time.Sleep(300 * time.Millisecond) // of sessions
	}
	if n := stop(); n < 3 {
		t.Errorf("%d sessions came", n)
	}
	if got := value(t, conn, "SELECT 'still here'"); got != "still here" {
		t.Errorf("got %q", got)
	}
}
