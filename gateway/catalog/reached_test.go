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
CREATE FUNCTION salt() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'salt ran'; RETURN 'x'; END $$;
CREATE FUNCTION hash(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'hash ran'; RETURN 'x'; END $$;
CREATE FUNCTION join(text, text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'join ran'; RETURN 'x'; END $$;
CREATE OPERATOR ||| (LEFTARG = text, RIGHTARG = text, FUNCTION = join);
CREATE TABLE indexed (id int, name text);
CREATE INDEX ON indexed (hash(name || salt()));
CREATE TABLE partly (id int, name text);
CREATE INDEX ON partly (name) WHERE name <> hash(lower('A'));
CREATE TABLE by_operator (id int, name text);
CREATE INDEX ON by_operator ((name || ('a' ||| 'b')));
CREATE TABLE measured (id int, name text);
CREATE STATISTICS measured_s ON (name || salt()), id FROM measured;
CREATE TABLE parted (id int, name text) PARTITION BY RANGE ((name || salt()));
CREATE TABLE part PARTITION OF parted DEFAULT;
CREATE TABLE parent (id int, name text);
CREATE TABLE child (CHECK (name <> salt())) INHERITS (parent);
CREATE TABLE alone (id int, name text CHECK (name <> salt()));
CREATE TABLE referred (id int PRIMARY KEY, name text);
CREATE TABLE referring (x int REFERENCES referred, name text);
CREATE TABLE main (id int PRIMARY KEY, name text);
CREATE TABLE minor (x int REFERENCES main, name text);
CREATE INDEX ON referred ((name || salt()));
CREATE INDEX ON minor ((name || salt()));
INSERT INTO referred VALUES (1);
INSERT INTO main VALUES (1);
CREATE TABLE quiet (id int, name text);
CREATE INDEX ON quiet (hash(name || 'a{}'));
CREATE INDEX ON quiet (('a' || hash(name)));
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
	{"SELECT count(*) FROM indexed", "salt"},
	{"SELECT id FROM partly", "hash"},
	{"SELECT id FROM by_operator", "join"},
	{"SELECT id FROM measured", "salt"},
	{"DELETE FROM measured WHERE id = 1", "salt"},
	{"SELECT id FROM parted", "salt"},
	{"INSERT INTO referring VALUES (1)", "salt"},
	{"DELETE FROM main WHERE id = 1", "salt"},
	{"SELECT id FROM parent WHERE name = 'x'", "salt"},
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
			"SELECT id FROM quiet", "SELECT x FROM referring", "SELECT id FROM main", "SELECT id FROM alone WHERE name = 'x'",
		} {
			for _, f := range []string{"row_text", "row_bool", "row_int", "view_text", "points", "salt", "hash"} {
				if slices.Contains(called(snapshot.Resolve(analyzed(t, pool, text), []string{"public"})), f) {
					t.Errorf("%s: the facts have %s, which is not run", text, f)
				}
			}
		}
	})
}

func TestCallsWithConstants(t *testing.T) {
	const (
		column   = "{VAR :varno 1 :varattno 2 :vartype 25}"
		constant = "{CONST :consttype 25 :constvalue 5 [ 20 0 0 0 97 ]}"
	)
	for tree, want := range map[string]bool{
		"": false,
		"{FUNCEXPR :funcid 7 :funcresulttype 25 :args <> :location -1}":                                       true,
		"{FUNCEXPR :funcid 77 :funcresulttype 7 :args <>}":                                                    false,
		"({FUNCEXPR :funcid 7 :args (" + constant + ")})":                                                     true,
		"({FUNCEXPR :funcid 7 :args (" + column + ")})":                                                       false,
		"({FUNCEXPR :funcid 7 :args (" + constant + " {RELABELTYPE :arg " + column + "})})":                   false,
		"({FUNCEXPR :funcid 8 :args (" + column + " {FUNCEXPR :funcid 7 :args (" + constant + ")})})":         true,
		"({FUNCEXPR :funcid 7 :args (" + column + " {FUNCEXPR :funcid 8 :args (" + constant + ")})})":         false,
		"({OPEXPR :opno 9 :opfuncid 8 :args (" + constant + " {FUNCEXPR :funcid 7 :args (" + column + ")})})": false,
		"({OPEXPR :opno 9 :opfuncid 7 :opresulttype 16 :args (" + constant + " " + constant + ")})":           true,
		"({SCALARARRAYOPEXPR :opno 9 :opfuncid 7 :useOr true :args (" + column + " " + constant + ")})":       false,
		`({COERCE :name \{FUNCEXPR\ :funcid\ 7\ \} :arg {FUNCEXPR :funcid 7 :args (` + column + `)}})`:        false,
		"}": true, // no such expression
	} {
		if got := callsWithConstants(tree, 7); got != want {
			t.Errorf("%s: %v", tree, got)
		}
	}
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
