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

const (
	// maxConnections is a proxy's: every idle session is one.
	maxConnections = 1100
	// spareConnections are PostgreSQL's besides: the proxies that were compared
	// before keep theirs, and somebody watches.
	spareConnections = 400
	// scale is pgbench's. TPC-B changes a row for each branch: with fewer
	// branches than clients it measures how they wait for each other.
	scale = 16
)

// wide are tables with rows of one size, and how many of them there are.
var wide = []struct {
	table       string
	bytes, rows int
}{
	{"rows_1kb", 1 << 10, 10_000}, {"rows_64kb", 64 << 10, 200}, {"rows_1mb", 1 << 20, 20},
}

// fill makes pgbench's tables and our own. They lie in the schema that the
// default policy grants, and by its default privileges those who may read or
// write that schema may do so with them.
func (b *bench) fill(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, b.client.path, "--initialize", "--init-steps=dtGp", "--quiet", "--scale="+strconv.Itoa(scale), b.services.Postgres.DSN(stack.App))
	cmd.Env = append(os.Environ(), "PGOPTIONS=-c search_path=app")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make pgbench's tables: %w\n%s", err, out)
	}
	// The cluster logs every statement, for tests to look at. Here that would
	// only be a load on all targets alike.
	statements := []string{
		"ALTER DATABASE " + stack.App + " SET log_statement = 'none'",
		"SET search_path = app",
		// A result is as long as it is to be by being joined with some of these.
		"CREATE TABLE times (n int PRIMARY KEY)", "INSERT INTO times SELECT generate_series(1, 1000)",
		// Nothing of it is written twice, and its rows are not kept.
		"CREATE UNLOGGED TABLE sink (payload text)",
	}
	for _, w := range wide {
		statements = append(statements,
			"CREATE TABLE "+w.table+" (id int PRIMARY KEY, payload text)",
			"ALTER TABLE "+w.table+" ALTER payload SET STORAGE EXTERNAL", // not compressed
			fmt.Sprintf("INSERT INTO %s SELECT n, repeat(md5(n::text), %d) FROM generate_series(1, %d) n", w.table, w.bytes/32, w.rows),
		)
	}
	return b.execute(ctx, append(statements, "VACUUM ANALYZE")...)
}

// createRole makes a role in a group and returns its password.
func (b *bench) createRole(ctx context.Context, name, group string) (password string, err error) {
	password = rand.Text()
	role := pgx.Identifier{name}.Sanitize()
	return password, b.execute(ctx,
		"SET log_statement = 'none'", // a password follows
		"CREATE ROLE "+role+" LOGIN PASSWORD '"+password+"' IN ROLE "+group,
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
