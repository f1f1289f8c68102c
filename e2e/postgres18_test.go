package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

// postgres18 starts the PostgreSQL 18 that the npm package next to node-postgres has.
func postgres18(t *testing.T) *stack.Postgres {
	t.Helper()
	library := filepath.Dir(libpq18Library(t))
	native := filepath.Dir(library)
	bin, err := os.MkdirTemp("", "sallyport-pg18-") // other than t.TempDir's, others may go in
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(bin) })
	if err := os.Chmod(bin, 0o755); err != nil { // #nosec G302 -- PostgreSQL runs as another account
		t.Fatal(err)
	}
	// The package makes such links by a script after its installation, and no such scripts are run here.
	libraries, err := filepath.Glob(filepath.Join(library, "libicu*.so.*"))
	if err != nil || len(libraries) == 0 {
		t.Fatalf("no libraries in %s: %v", library, err)
	}
	for _, path := range libraries {
		if err := os.Symlink(path, filepath.Join(bin, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"initdb", "postgres"} {
		script := fmt.Sprintf("#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s/bin/%s \"$@\"\n", bin, native, name)
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil { // #nosec G306 -- PostgreSQL runs as another account
			t.Fatal(err)
		}
	}
	pg, err := shared.services.SparePostgres(t.Context(), t.TempDir(), bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pg.Stop(); err != nil {
			t.Error(err)
		}
	})
	return pg
}

// mintingAt starts a gateway without Vault whose databases are another cluster's, at a port.
func mintingAt(t *testing.T, pg *stack.Postgres, port int, edit func(*stack.DatabaseConfig), expected ...string) *stack.Gateway {
	t.Helper()
	password := filepath.Join(t.TempDir(), "provisioning.password")
	write(t, password, pg.ProvisioningPassword)
	return minting(t, func(c *stack.GatewayConfig) {
		for name, database := range c.Databases {
			database.Port, database.Minted.PasswordFile = port, password
			edit(&database)
			c.Databases[name] = database
		}
	}, expected...)
}

// tap passes connections on, and remembers the first byte of each.
type tap struct {
	port int

	mu    sync.Mutex
	first []byte
}

func newTap(t *testing.T, to int) *tap {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{port: listener.Addr().(*net.TCPAddr).Port}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.pass(conn, to) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait() // the gateway has ended, and its connections with it
	})
	return p
}

func (p *tap) pass(conn net.Conn, to int) {
	defer conn.Close()
	backend, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", to))
	if err != nil {
		return
	}
	defer backend.Close()
	var b [1]byte
	if _, err := io.ReadFull(conn, b[:]); err != nil {
		return
	}
	p.mu.Lock()
	p.first = append(p.first, b[0])
	p.mu.Unlock()
	if _, err := backend.Write(b[:]); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(conn, backend)
		_ = conn.Close()
	}()
	_, _ = io.Copy(backend, conn)
	_ = backend.Close()
	<-done
}

// TestPostgres18: with a PostgreSQL that understands it TLS comes at once, for sessions, the catalog and cancel requests alike; what
// sessions make and leave is as with 15; and the check of the backend knows it.
func TestPostgres18(t *testing.T) {
	pg := postgres18(t)
	wire := newTap(t, pg.Port)
	g := mintingAt(t, pg, wire.port, func(d *stack.DatabaseConfig) {
		d.TLS.Negotiation = "direct"
		if d.Minted.Groups["readonly"] != "" {
			d.Minted.Groups["admin"], d.Minted.Owners = "app_readwrite", nil
		}
	})
	admin, err := pgx.Connect(t.Context(), pg.DSN(stack.App))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context()))
	out, err := program(t, login{gateway: g, account: stack.Analyst}, "", "psql", "-XAtc", "SELECT count(*) FROM order_totals")
	if err != nil || strings.TrimSpace(out) != "2000" {
		t.Errorf("%v: %s", err, out)
	}
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := conn.Exec(ctx, "SELECT count(*) FROM orders a, orders b, orders c"); err == nil {
		t.Error("it ended before it could be cancelled")
	}
	execute(t, admin, strings.Split(atelier, "; ")...)
	dba := login{gateway: g, account: stack.DBA}.connect(t)
	role := backendRole(t, dba)
	execute(t, dba, works...)
	if err := dba.Close(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, 5*time.Second, func() error {
		if value(t, admin, "SELECT count(*)::text FROM pg_roles WHERE rolname = $1", role) != "0" {
			return errors.New("the role is still there")
		}
		return nil
	})
	checkWorks(t, admin, func(group string) *pgx.Conn { return asAt(t, pg, group) })
	wire.mu.Lock()
	defer wire.mu.Unlock()
	for _, b := range wire.first {
		if b != 0x16 {
			t.Errorf("a connection begins with %#x, not with a ClientHello", b)
		}
	}
	if len(wire.first) < 5 {
		t.Errorf("%d connections", len(wire.first))
	}
	dsn := filepath.Join(t.TempDir(), "dsn")
	write(t, dsn, pg.DSN(stack.App))
	found, _ := backendCheck(t, "--config", g.Config, "--dsn-file", dsn, stack.App)
	if unseen := found.Databases[0].Unseen; len(unseen) > 0 || len(found.Databases[0].Findings) == 0 {
		t.Errorf("not seen: %+v", unseen)
	}
}

// TestDirectTLSNeedsIt: a PostgreSQL that does not understand direct TLS is not tried without.
func TestDirectTLSNeedsIt(t *testing.T) {
	pg := shared.services.Postgres
	wire := newTap(t, pg.Port)
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		app := c.Databases[stack.App]
		app.Port, app.TLS.Negotiation = wire.port, "direct"
		c.Databases[stack.App] = app
	})
	_, err := login{gateway: g, account: stack.Analyst}.open(t)
	if got := sqlstate(t, err); got != "57P03" {
		t.Errorf("SQLSTATE %q, want 57P03: %v", got, err)
	}
	wire.mu.Lock()
	defer wire.mu.Unlock()
	for _, b := range wire.first {
		if b != 0x16 {
			t.Errorf("a connection begins with %#x, not with a ClientHello", b)
		}
	}
}
