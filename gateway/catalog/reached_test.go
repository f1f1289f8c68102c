package catalog

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/authz/statement"
)

// reachedScript has functions that say so when they run, where no text names them. PostgreSQL does not record all of these.
const reachedScript = `
CREATE TABLE customers (id int, name text, tags text[]);
INSERT INTO customers VALUES (1, 'a', '{x}');
CREATE VIEW seen AS SELECT id FROM customers;
CREATE FUNCTION row_text(customers) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'row_text ran'; RETURN 'x'; END $$;
CREATE CAST (customers AS text) WITH FUNCTION row_text(customers);
CREATE FUNCTION row_bool(customers) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'row_bool ran'; RETURN true; END $$;
CREATE CAST (customers AS bool) WITH FUNCTION row_bool(customers) AS ASSIGNMENT;
CREATE FUNCTION row_int(customers) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'row_int ran'; RETURN 1; END $$;
CREATE CAST (customers AS int) WITH FUNCTION row_int(customers) AS IMPLICIT;
CREATE FUNCTION view_text(seen) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'view_text ran'; RETURN 'x'; END $$;
CREATE CAST (seen AS text) WITH FUNCTION view_text(seen);
CREATE FUNCTION to_bool(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'to_bool ran'; RETURN true; END $$;
CREATE CAST (text AS bool) WITH FUNCTION to_bool(text) AS ASSIGNMENT;
CREATE FUNCTION lacks(anyarray, anyarray) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'lacks ran'; RETURN true; END $$;
CREATE OPERATOR !@> (LEFTARG = anyarray, RIGHTARG = anyarray, FUNCTION = lacks, NEGATOR = OPERATOR(pg_catalog.@>));
CREATE TYPE grade AS ENUM ('1', '2');
CREATE FUNCTION points(grade) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'points ran'; RETURN $1::text::int; END $$;
CREATE CAST (grade AS int) WITH FUNCTION points(grade) AS IMPLICIT;
CREATE TABLE scales (id int PRIMARY KEY, name text);
CREATE TABLE graded (g grade REFERENCES scales ON DELETE CASCADE);
CREATE TABLE marks (id int PRIMARY KEY, name text);
CREATE TABLE marked (g grade REFERENCES marks);
INSERT INTO scales VALUES (1), (2);
INSERT INTO marks VALUES (1), (2);
INSERT INTO graded VALUES ('1');
INSERT INTO marked VALUES ('1');
`

// reached are texts with the functions that PostgreSQL runs with them.
var reached = []struct{ text, functions string }{
	{"SELECT c::text FROM customers c", "row_text"},
	{"SELECT customers::text FROM customers", "row_text"},
	{"SELECT (c.*)::text FROM customers c", "row_text"},
	{"SELECT (SELECT c)::text FROM customers c", "row_text"},
	{"SELECT x::text FROM (SELECT c AS x FROM customers c) q", "row_text"},
	{"SELECT ARRAY[c]::text[] FROM customers c", "row_text"},
	{"SELECT array_agg(c)::text[] FROM customers c", "row_text"},
	{"SELECT ('(1,a,{})'::customers)::text", "row_text"},
	{"SELECT s::text FROM seen s", "view_text"},
	{"SELECT 1 FROM customers c WHERE c", "row_bool"},
	{"SELECT abs(c) FROM customers c", "row_int"},
	{"SELECT c + 1 FROM customers c", "row_int"},
	{"SELECT (ARRAY[1,2])[c] FROM customers c", "row_int"},
	{"UPDATE customers c SET id = c RETURNING c::text", "row_int row_text"},
	{"DECLARE c CURSOR FOR SELECT 1 WHERE 'abc'::text", "to_bool"},
	{"EXPLAIN DECLARE c CURSOR FOR SELECT 1 WHERE 'abc'::text", "to_bool"},
	{"PREPARE p (bool) AS SELECT $1; EXECUTE p ('abc'::text)", "to_bool"},
	{"SELECT id FROM customers WHERE NOT (tags @> '{x}')", "lacks"},
	{"INSERT INTO marked VALUES ('2')", "points"},
	{"DELETE FROM scales WHERE id = 1", "points"},
	{"DELETE FROM marks WHERE id = 2", "points"},
	{"UPDATE marks SET id = 3 WHERE id = 2", "points"},
}

// TestReached: what PostgreSQL runs is among the facts.
func TestReached(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		database := s.database(t, reachedScript)
		snapshot := s.snapshot(t, database, pool.Analyze)
		for _, c := range reached {
			if got := strings.Join(s.runs(t, database, c.text), " "); got != c.functions {
				t.Errorf("%s: PostgreSQL runs %q, want %q", c.text, got, c.functions)
			}
			known := called(snapshot.Resolve(analyzed(t, pool, c.text), []string{"public"}))
			for _, f := range strings.Fields(c.functions) {
				if !slices.Contains(known, f) {
					t.Errorf("%s: %s is not among the facts", c.text, f)
				}
			}
		}
		for _, text := range []string{
			"SELECT * FROM customers", "SELECT c.* FROM customers c", "SELECT id::text, c.name FROM customers c", "SELECT id FROM seen",
			"INSERT INTO customers (id) VALUES (1)", "SELECT count(*) FROM customers", "UPDATE marks SET name = 'x' WHERE id = 2", "SELECT * FROM marks",
		} {
			for _, f := range []string{"row_text", "row_bool", "row_int", "view_text", "points"} {
				if slices.Contains(called(snapshot.Resolve(analyzed(t, pool, text), []string{"public"})), f) {
					t.Errorf("%s: the facts have %s, which is not run", text, f)
				}
			}
		}
	})
}

func called(sheet *statement.Sheet) []string {
	var names []string
	for i := range sheet.Statements {
		for _, f := range sheet.Statements[i].Functions {
			names = append(names, f.Name)
		}
	}
	return names
}

var ranNotice = regexp.MustCompile(`(\w+) ran`)

// runs runs a text, without effect, and returns the functions that say that they ran, in order of their names.
func (s *server) runs(t *testing.T, database, text string) []string {
	t.Helper()
	config, err := pgx.ParseConfig(s.dsn("postgres", database))
	if err != nil {
		t.Fatal(err)
	}
	var ran []string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if match := ranNotice.FindStringSubmatch(n.Message); match != nil {
			ran = append(ran, match[1])
		}
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.PgConn().Exec(t.Context(), "BEGIN; "+text+"; ROLLBACK").ReadAll(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	slices.Sort(ran)
	return slices.Compact(ran)
}
