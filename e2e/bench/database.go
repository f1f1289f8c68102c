package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

// scale is pgbench's: 100,000 accounts, which fit into the smallest of caches.
const scale = 1

// fill makes pgbench's tables. They lie in the schema that the default policy
// grants, and by its default privileges the readers of that schema read them.
func (b *bench) fill(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, b.client.path, "--initialize", "--quiet", "--scale="+strconv.Itoa(scale), b.services.Postgres.DSN(stack.App))
	cmd.Env = append(os.Environ(), "PGOPTIONS=-c search_path=app")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make pgbench's tables: %w\n%s", err, out)
	}
	// The cluster logs every statement, for tests to look at. Here that would
	// only be a load on all targets alike.
	return b.execute(ctx, "ALTER DATABASE "+stack.App+" SET log_statement = 'none'")
}

// createRole makes a role that may do in PostgreSQL what those can that Vault
// mints for the gateway's readers, and returns its password.
func (b *bench) createRole(ctx context.Context, name string) (password string, err error) {
	password = rand.Text()
	role := pgx.Identifier{name}.Sanitize()
	return password, b.execute(ctx,
		"SET log_statement = 'none'", // a password follows
		"CREATE ROLE "+role+" LOGIN PASSWORD '"+password+"' IN ROLE app_readonly",
		"ALTER ROLE "+role+" SET search_path = app",
	)
}

// execute runs statements as superuser, in one session.
func (b *bench) execute(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, b.services.Postgres.DSN(stack.App))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// query returns one value, as superuser.
func (b *bench) query(ctx context.Context, text string, arguments ...any) (value string, err error) {
	conn, err := pgx.Connect(ctx, b.services.Postgres.DSN(stack.App))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	err = conn.QueryRow(ctx, text, arguments...).Scan(&value)
	return value, err
}

// program is one of PostgreSQL's.
func (b *bench) program(name string) string { return filepath.Join(b.services.Postgres.Bin, name) }
