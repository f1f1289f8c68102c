package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/e2e/stack"
)

// psql runs commands from standard input and stops at the first error.
func psql(t *testing.T, l login, script string) (string, error) {
	t.Helper()
	return program(t, l, script, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-P", "pager=off")
}

// direct runs the same straight against PostgreSQL, as a superuser.
func direct(t *testing.T, script string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-P", "pager=off", shared.services.Postgres.DSN(stack.App))
	cmd.Env = append(os.Environ(), "PGOPTIONS=-c search_path=app,pg_temp")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestPsqlSame: an analyst sees what a superuser sees, to the letter.
func TestPsqlSame(t *testing.T) {
	for _, script := range []string{
		`\d`, `\dt+`, `\d customers`, `\d+ orders`, `\d+ payments`, `\d payments_2025`, `\d+ order_totals`, `\dv`, `\di+`, `\ds`, `\dn`,
		`\d secrets`, // its shape is no secret
		`\dT`, `\dC`, `\do pg_catalog.||`, `\df pg_catalog.lower`, `\dp customers`, `\dD`, `\det`, `\dx`, `\encoding`, `\sv order_totals`,
		`SELECT * FROM customers ORDER BY id LIMIT 3;`,
		"SELECT 1 AS a \\gdesc\n", "SELECT 1 AS a \\gx\n", "SELECT 1 AS x \\gset\n\\echo :x\n",
		"\\set FETCH_COUNT 100\nSELECT id FROM customers ORDER BY id LIMIT 250;",
		"BEGIN;\nSELECT count(*) FROM orders;\nSAVEPOINT a;\nROLLBACK TO a;\nCOMMIT;",
		"SELECT 1; SELECT 2\\; SELECT 3;",
		"\\copy (SELECT id, name FROM customers WHERE id < 5 ORDER BY id) TO STDOUT\n",
		"\\copy orders (id, product) TO STDOUT WITH (FORMAT csv, HEADER)\n",
	} {
		t.Run(script, func(t *testing.T) {
			want, err := direct(t, script+"\n")
			if err != nil {
				t.Fatalf("the superuser: %v: %s", err, want)
			}
			got, err := psql(t, login{account: stack.Analyst}, script+"\n")
			if err != nil || got != want {
				t.Errorf("%v\ngot:\n%s\nwant:\n%s", err, got, want)
			}
		})
	}
}

// TestPsqlErrors: errors look as PostgreSQL's do, the caret too.
func TestPsqlErrors(t *testing.T) {
	for _, script := range []string{
		"SELECT * FORM customers;",
		"SELECT 1 +;",
		"SELECT 'unterminated;\n;",
		"SELECT *\nFROM customers\nWHERE id == = 1;",
		"SELECT nothing FROM customers;",
		"SELECT * FROM no_such_table;",
		"SELECT 1/0;",
	} {
		t.Run(script, func(t *testing.T) {
			want, _ := direct(t, script)
			got, err := psql(t, login{account: stack.Analyst}, script)
			if err == nil || got != want {
				t.Errorf("%v\ngot:\n%s\nwant:\n%s", err, got, want)
			}
		})
	}
}

func TestPsqlCopy(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rows")
	in := login{account: stack.Analyst}
	if out, err := psql(t, in, "\\copy orders TO '"+file+"'\n"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(string(data), "\n"), 8000; got < want {
		t.Errorf("copied %d rows, want %d at least", got, want)
	}
	write(t, file, "1\tbell\t1\t3.50\n2\tdavit\t2\t4.50\n")
	script := "\\copy orders (customer_id, product, quantity, amount) FROM '" + file + "'\n"
	if out, err := psql(t, in, script); err == nil || !strings.Contains(out, "ERROR") {
		t.Errorf("an analyst may copy into a table: %v: %s", err, out)
	}
	in.account = stack.Engineer
	if out, err := psql(t, in, script); err != nil || !strings.Contains(out, "COPY 2") {
		t.Errorf("%v: %s", err, out)
	}
	execute(t, superuser(t, stack.App), "DELETE FROM app.orders WHERE id > 8000")
}
