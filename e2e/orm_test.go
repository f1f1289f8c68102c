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
