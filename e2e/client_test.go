package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// clientTimeout bounds one client program: the machine may be busy.
const clientTimeout = 2 * time.Minute

// password is what an account logs in to a gateway with.
func (w *world) password(g *stack.Gateway, account string) string {
	switch account {
	case stack.Service:
		return g.ServicePassword
	case stack.Legacy:
		return g.LegacyPassword
	}
	return w.tokens[account]
}

// login is everything about one connection that tests vary.
type login struct {
	gateway     *stack.Gateway // nil: the shared one
	account     string
	password    string // "": the account's
	database    string // "": app
	application string // "": the test's name
	options     map[string]string
}

func (l login) settings(t *testing.T) map[string]string {
	t.Helper()
	if l.gateway == nil {
		l.gateway = shared.gateway
	}
	if l.password == "" {
		l.password = shared.password(l.gateway, l.account)
	}
	if l.database == "" {
		l.database = stack.App
	}
	if l.application == "" {
		l.application = t.Name()
	}
	out := map[string]string{
		"host": "localhost", "port": strconv.Itoa(l.gateway.Port), "dbname": l.database,
		"user": l.account, "password": l.password, "application_name": l.application,
		"sslmode": "verify-full", "sslrootcert": l.gateway.CAFile, "connect_timeout": "20",
	}
	maps.Copy(out, l.options)
	return out
}

// dsn is a keyword/value connection string.
func (l login) dsn(t *testing.T) string {
	t.Helper()
	escape := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	var words []string
	for key, value := range l.settings(t) {
		words = append(words, fmt.Sprintf("%s='%s'", key, escape.Replace(value)))
	}
	return strings.Join(words, " ")
}

// environment is the same for libpq and what follows its variables.
func (l login) environment(t *testing.T) []string {
	t.Helper()
	names := map[string]string{
		"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD",
		"application_name": "PGAPPNAME", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "connect_timeout": "PGCONNECT_TIMEOUT",
		"channel_binding": "PGCHANNELBINDING", "options": "PGOPTIONS", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
	}
	var out []string
	for key, value := range l.settings(t) {
		if name, ok := names[key]; ok {
			out = append(out, name+"="+value)
		}
	}
	return out
}

// open connects by pgx.
func (l login) open(t *testing.T) (*pgx.Conn, error) {
	t.Helper()
	config, err := pgx.ParseConfig(l.dsn(t))
	if err != nil {
		t.Fatal(err)
	}
	return pgx.ConnectConfig(t.Context(), config)
}

// connect connects by pgx and closes at the end of the test.
func (l login) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := l.open(t)
	if err != nil {
		t.Fatalf("connect as %s: %v", l.account, err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// superuser connects straight to PostgreSQL.
func superuser(t *testing.T, database string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.WithoutCancel(t.Context()), shared.services.Postgres.DSN(database)) // also in a cleanup
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// value runs a query that yields one value, as text.
func value(t *testing.T, conn *pgx.Conn, query string, args ...any) string {
	t.Helper()
	var out string
	if err := conn.QueryRow(t.Context(), query, args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

// execute runs statements that must succeed.
func execute(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := conn.Exec(context.WithoutCancel(t.Context()), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// sqlstate is that of an error, "" for none.
func sqlstate(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		t.Fatalf("not an ErrorResponse: %v", err)
	}
	return pgErr.Code
}

// program runs a client program against the gateway and returns what it printed.
func program(t *testing.T, l login, stdin string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), l.environment(t)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// eventually repeats check until it succeeds, and fails the test after within.
func eventually(t *testing.T, within time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %v", within, err)
		}
	}
}

// ownGateway starts a gateway that the test may break.
//
// The log may have errors with the expected messages, and no others.
func ownGateway(t *testing.T, edit func(*stack.GatewayConfig), expected ...string) *stack.Gateway {
	t.Helper()
	g, err := shared.services.StartGateway(t.Context(), stack.GatewayOptions{Dir: t.TempDir(), Binary: shared.binary, Edit: edit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
		if err := checkLog(g.Log, expected...); err != nil {
			t.Error(err)
		}
	})
	return g
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
