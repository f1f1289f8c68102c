package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

// Object-relational mappers under the default policy, all in the same way: a dba migrates scratch, an engineer works there and in app, those
// who read do that in app. Their programs assert what they see, denials too.

func TestDjango(t *testing.T) { testPythonMapper(t, "django") }

func TestSQLAlchemy(t *testing.T) { testPythonMapper(t, "sqlalchemy") }

func testPythonMapper(t *testing.T, name string) {
	t.Helper()
	emptyScratch(t)
	probe := filepath.Join(shared.root, "e2e", "clients", name, "probe.py")
	for _, run := range []struct{ step, account string }{
		{"migrate", stack.DBA}, {"work", stack.Engineer}, {"read", stack.Analyst}, {"read", stack.Service}, {"rollback", stack.DBA},
	} {
		mapper(t, login{account: run.account}, "ok", "/usr/bin/python3", "-B", probe, run.step)
	}
}

// TestDrizzle lets drizzle-kit write migrations out of two states of a schema.
func TestDrizzle(t *testing.T) {
	emptyScratch(t)
	node, dir := filepath.Join(shared.root, "e2e", "clients", "node"), t.TempDir()
	kit := func(account, want, schema string, args ...string) {
		t.Helper()
		command := []string{"DRIZZLE_SCHEMA=" + filepath.Join(node, "drizzle", schema), "node", filepath.Join(node, "node_modules/drizzle-kit/bin.cjs")}
		config := []string{"--config", filepath.Join(node, "drizzle/drizzle.config.mjs")}
		command = append(append(command, args...), config...)
		mapper(t, login{account: account, database: stack.Scratch}, want, "env", append([]string{"-C", dir}, command...)...)
	}
	kit(stack.DBA, "", "schema-1.mjs", "generate", "--name", "first")
	kit(stack.DBA, "", "schema-1.mjs", "generate", "--custom", "--name", "somebody")
	write(t, filepath.Join(dir, "migrations/0001_somebody.sql"), "INSERT INTO guests (name) VALUES ('Basil')")
	kit(stack.DBA, "applied successfully!", "schema-1.mjs", "migrate")
	kit(stack.DBA, "", "schema.mjs", "generate", "--name", "second")
	kit(stack.DBA, "", "schema.mjs", "generate", "--custom", "--name", "addresses")
	write(t, filepath.Join(dir, "migrations/0003_addresses.sql"), "UPDATE guests SET email = lower(name) || '@example.net'")
	kit(stack.DBA, "applied successfully!", "schema.mjs", "migrate")

	probe := filepath.Join(node, "drizzle/probe.mjs")
	mapper(t, login{account: stack.Engineer}, "ok", "node", probe, "work")
	for _, account := range []string{stack.Analyst, stack.Service} {
		mapper(t, login{account: account}, "ok", "node", probe, "read")
	}
	dir = t.TempDir()
	kit(stack.Engineer, "relations file is ready ➜ migrations/relations.ts 🚀", "schema.mjs", "pull")
}

// TestPrisma has Prisma in its form without binaries: queries are compiled and migrations applied in WebAssembly.
func TestPrisma(t *testing.T) {
	emptyScratch(t)
	node, client := filepath.Join(shared.root, "e2e", "clients", "node"), filepath.Join(t.TempDir(), "client")
	config := filepath.Join(node, "prisma/prisma.config.mjs")
	prisma := func(l login, want string, args ...string) {
		t.Helper()
		l.database = stack.Scratch
		command := []string{
			"PRISMA_CLIENT=" + client, "DATABASE_URL=postgresql://the.adapter/knows", "CHECKPOINT_DISABLE=1", "PRISMA_HIDE_UPDATE_MESSAGE=1",
			// Binaries that are said to be there are not fetched; nothing runs them.
			"PRISMA_QUERY_ENGINE_LIBRARY=" + config, "PRISMA_SCHEMA_ENGINE_BINARY=" + config,
			"node", filepath.Join(node, "node_modules/prisma/build/index.js"),
		}
		mapper(t, l, want, "env", append(append(command, args...), "--config", config)...)
	}
	// Its tables are in a schema of their own, which an engineer is granted; a dba may have it in the search_path.
	execute(t, login{account: stack.DBA, database: stack.Scratch}.connect(t), "CREATE SCHEMA app AUTHORIZATION scratch_owner")
	dba := login{account: stack.DBA, options: map[string]string{"options": "-c search_path=app"}}
	prisma(dba, "All migrations have been successfully applied.", "migrate", "deploy")
	prisma(login{account: stack.Engineer}, "model Customer {", "db", "pull", "--print")
	prisma(login{account: stack.Engineer}, "Generated Prisma Client", "generate")
	probe := []string{"PRISMA_CLIENT=" + client, "node", filepath.Join(node, "prisma/probe.mjs")}
	mapper(t, login{account: stack.Engineer}, "ok", "env", append(probe, "work")...)
	for _, account := range []string{stack.Analyst, stack.Service} {
		mapper(t, login{account: account}, "ok", "env", append(probe, "read")...)
	}
}

// mapper runs one of a mapper's programs, which has to succeed and print what is wanted; "ok" is all that the last line says.
func mapper(t *testing.T, l login, want, name string, args ...string) {
	t.Helper()
	out, err := program(t, l, "", name, args...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || !strings.Contains(out, want) || (want == "ok" && lines[len(lines)-1] != "ok") {
		t.Fatalf("%s as %s: %v: %s", strings.Join(args, " "), l.account, err, out)
	}
	if want == "ok" {
		t.Logf("%s: %s", l.account, lines[0])
	}
}

// emptyScratch takes everything out of scratch, now and when the test has ended.
func emptyScratch(t *testing.T) {
	t.Helper()
	const leftovers = `SELECT format('DROP SCHEMA %I CASCADE', nspname) FROM pg_namespace
		WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')
		UNION ALL SELECT format('DROP TABLE %s CASCADE', oid::regclass) FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
		UNION ALL SELECT format('DROP TYPE %s CASCADE', oid::regtype) FROM pg_type
		WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'`
	empty := func() {
		conn := superuser(t, stack.Scratch)
		rows, _ := conn.Query(context.WithoutCancel(t.Context()), leftovers)
		drops, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		execute(t, conn, drops...)
	}
	empty()
	t.Cleanup(empty)
}
