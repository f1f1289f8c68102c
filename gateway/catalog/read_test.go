package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz/statement"
)

// kindsScript makes one relation of each kind, and what inherits from what.
const kindsScript = `
CREATE SCHEMA app;
CREATE TABLE app.plain (id int PRIMARY KEY, gone text, "Weird ""Name" text, système text);
ALTER TABLE app.plain DROP COLUMN gone;
CREATE TABLE app.nothing ();
CREATE SEQUENCE app.numbers;
CREATE TYPE app.pair AS (x int, y int);
CREATE VIEW app.seen AS SELECT id FROM app.plain;
CREATE VIEW app.aliased (a, b) AS SELECT 1, 2;
CREATE MATERIALIZED VIEW app.copied AS SELECT id FROM app.plain;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE app.distant (a int, b int) SERVER far;
CREATE TABLE app."UPPER" ("select" int);
CREATE TABLE app.ruled (id int);
CREATE RULE elsewhere AS ON INSERT TO app.ruled DO ALSO NOTIFY inserted;

CREATE TABLE app.top (id int);
CREATE TABLE app.left_side () INHERITS (app.top);
CREATE TABLE app.right_side () INHERITS (app.top);
CREATE TABLE app.bottom () INHERITS (app.left_side, app.right_side);
CREATE TEMPORARY TABLE passing () INHERITS (app.top);
CREATE TABLE app.parted (day date) PARTITION BY RANGE (day);
CREATE TABLE app.parted_y PARTITION OF app.parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (day);
CREATE TABLE app.parted_y_d PARTITION OF app.parted_y FOR VALUES IN ('2024-02-29');
`

func TestReadRelations(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		snapshot := s.snapshot(t, s.database(t, kindsScript), pool.Analyze)
		want := map[string]string{
			"plain":      `table (id, Weird "Name, système)`,
			"plain_pkey": "other ()",
			"nothing":    "table ()",
			"numbers":    "sequence (last_value, log_cnt, is_called)",
			"pair":       "composite type (x, y)",
			"seen":       "view (id) of app.plain",
			"aliased":    "view (a, b) of nothing",
			"copied":     "materialized view (id) of app.plain",
			"distant":    "foreign table (a, b)",
			"UPPER":      "table (select)",
			"ruled":      "table (id) with rules",
			"top":        "table (id) above app.bottom, app.left_side, app.right_side",
			"left_side":  "table (id) below app.top above app.bottom",
			"right_side": "table (id) below app.top above app.bottom",
			"bottom":     "table (id) below app.left_side, app.right_side, app.top",
			"parted":     "partitioned table (day) above app.parted_y, app.parted_y_d",
			"parted_y":   "partitioned table (day) below app.parted above app.parted_y_d",
			"parted_y_d": "table (day) below app.parted, app.parted_y",
		}
		got := map[string]string{}
		for name, relation := range snapshot.Relations {
			if name != relation.Name {
				t.Errorf("%v is known as %v", relation.Name, name)
			}
			if strings.HasPrefix(name.Schema, "pg_t") {
				t.Errorf("%v is in the snapshot", name)
			}
			if name.Schema == "app" {
				got[name.Name] = describe(relation)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error("relations (-want +got):\n" + diff)
		}
	})
}

func TestReadSystemRelations(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		// What stands in PostgreSQL's own schema and did not come with it is no system relation.
		snapshot := s.snapshot(t, s.database(t, "SET allow_system_table_mods = on; CREATE VIEW pg_catalog.mine AS SELECT 1 AS one"), startPool(t).Analyze)
		class := snapshot.Relations[statement.Name{Schema: "pg_catalog", Name: "pg_class"}]
		if !class.System || class.Kind != KindTable || !slices.Contains(class.Columns, "relname") || class.Definition != nil || class.Opaque != "" {
			t.Errorf("pg_class is %+v", class)
		}
		tables := snapshot.Relations[statement.Name{Schema: "information_schema", Name: "tables"}]
		if !tables.System || tables.Kind != KindView || tables.Columns[0] != "table_catalog" || tables.Definition != nil {
			t.Errorf("information_schema.tables is %+v", tables)
		}
		mine := snapshot.Relations[statement.Name{Schema: "pg_catalog", Name: "mine"}]
		if mine.System || mine.Definition == nil {
			t.Errorf("pg_catalog.mine is %+v", mine)
		}
		if want := s.name + "00"; !strings.HasPrefix(fmt.Sprint(snapshot.Version), want) || snapshot.ReadAt.IsZero() {
			t.Errorf("version %d, read at %v", snapshot.Version, snapshot.ReadAt)
		}
	})
}

func describe(r *Relation) string {
	text := fmt.Sprintf("%s (%s)", r.Kind, strings.Join(r.Columns, ", "))
	names := func(word string, relations []*Relation) {
		var list []string
		for _, other := range relations {
			list = append(list, other.Name.Schema+"."+other.Name.Name)
		}
		if len(list) > 0 {
			text += " " + word + " " + strings.Join(list, ", ")
		}
	}
	names("below", r.Ancestors)
	names("above", r.Descendants)
	switch {
	case r.Opaque != "":
		text += " opaque: " + r.Opaque
	case r.Definition != nil && len(r.Definition.Statements[0].Relations) == 0:
		text += " of nothing"
	case r.Definition != nil:
		text += " of"
		for _, of := range r.Definition.Statements[0].Relations {
			text += " " + of.Schema + "." + of.Name
		}
	}
	if r.Rules {
		text += " with rules"
	}
	if r.System {
		text += " of the system"
	}
	return text
}

func TestReadInvoker(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		script := `CREATE TABLE t (id int); CREATE VIEW plain AS SELECT id FROM t;
			CREATE VIEW checked WITH (check_option = local, security_barrier = true) AS SELECT id FROM t WHERE id > 0;`
		want := map[string]bool{"plain": false, "checked": false}
		if s.name != "14" { // which has no such option
			for option, is := range map[string]bool{"true": true, "on": true, "1": true, "yes": true, "false": false, "off": false} {
				script += fmt.Sprintf("CREATE VIEW %q WITH (check_option = local, security_invoker = %s) AS SELECT id FROM t WHERE id > 0;", option, option)
				want[option] = is
			}
			script += "CREATE VIEW bare WITH (security_invoker) AS SELECT id FROM t;"
			want["bare"] = true
		}
		got := map[string]bool{}
		for name, relation := range s.snapshot(t, s.database(t, script), pool.Analyze).Relations {
			if name.Schema == "public" && relation.Kind == KindView {
				got[name.Name] = relation.Invoker
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error("invoker (-want +got):\n" + diff)
		}
	})
}

const functionsScript = `
CREATE SCHEMA app;
CREATE FUNCTION app.plain() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.plain(a int, b text DEFAULT 'x', c text DEFAULT 'y') RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION app.many(a int, VARIADIC b text[]) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION app.anything(VARIADIC "any") RETURNS text LANGUAGE internal IMMUTABLE AS 'text_concat';
CREATE FUNCTION app.gives(IN a int, OUT b int) LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.rows(a int) RETURNS TABLE (b int) LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION app.powerful() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN 1; END';
CREATE PROCEDURE app.act(a int, INOUT b int DEFAULT 1) LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE app.total(int) (SFUNC = int4pl, STYPE = int);
CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE EXTENSION hstore SCHEMA app;
`

func TestReadFunctions(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		snapshot := s.snapshot(t, s.database(t, functionsScript), startPool(t).Analyze)
		want := []string{
			"act(IN a integer, INOUT b integer) 1..2 sql volatile procedure",
			`anything(VARIADIC "any") 1..-1 internal immutable`,
			"gives(a integer, OUT b integer) 1..1 sql volatile",
			"many(a integer, VARIADIC b text[]) 2..-1 sql immutable",
			"plain() 0..0 sql volatile",
			"plain(a integer, b text, c text) 1..3 sql stable",
			"powerful() 0..0 plpgsql volatile definer",
			"rows(a integer) 1..1 sql volatile",
			"total(integer) 1..1 internal immutable aggregate",
		}
		var got []string
		for name, functions := range snapshot.Functions {
			for _, f := range functions {
				if f.Name.Name != name || f.OID < 16384 || f.Name.Schema != "app" {
					t.Errorf("%q stands for %+v", name, f)
				}
				if f.Extension == "" {
					got = append(got, describeFunction(f))
				}
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error("functions (-want +got):\n" + diff)
		}
		if fetch := snapshot.Functions["fetchval"]; len(fetch) != 1 || fetch[0].Extension != "hstore" || fetch[0].Language != "c" {
			t.Errorf("fetchval is %+v", fetch)
		}
		for name, want := range map[string]bool{"lower": true, "count": true, "pg_get_viewdef": true, "plain": false, "fetchval": false, "_pg_expandarray": false} {
			if snapshot.Builtin[name] != want {
				t.Errorf("%s is PostgreSQL's own: %v", name, !want)
			}
		}
	})
}

func describeFunction(f *Function) string {
	text := fmt.Sprintf("%s(%s) %d..%d %s %s", f.Name.Name, f.Arguments, f.Minimum, f.Maximum, f.Language, f.Volatility)
	switch {
	case f.SecurityDefiner:
		return text + " definer"
	case f.Procedure:
		return text + " procedure"
	case f.Aggregate:
		return text + " aggregate"
	}
	return text
}

const objectsScript = `
CREATE SCHEMA app;
CREATE FUNCTION app.same(a int, b int) RETURNS bool LANGUAGE sql AS 'SELECT a = b';
CREATE OPERATOR app.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = app.same);
CREATE OPERATOR app.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_catalog.texteq, COMMUTATOR = OPERATOR(app.!==!));
CREATE TYPE app.mood AS ENUM ('fine');
CREATE DOMAIN app.positive AS int CHECK (VALUE > 0);
CREATE TYPE app.pair AS (x int);
CREATE TYPE app.span AS RANGE (SUBTYPE = float8);
CREATE TYPE app.shell;
CREATE TABLE app.t (id int);
CREATE TEMPORARY TABLE passing (id int);
CREATE TYPE pg_temp.mine AS ENUM ('x');
CREATE EXTENSION hstore SCHEMA app;
`

func TestReadOperatorsAndTypes(t *testing.T) {
	onServers(t, func(t *testing.T, s *server) {
		snapshot := s.snapshot(t, s.database(t, objectsScript), startPool(t).Analyze)
		var operators []string
		for _, o := range snapshot.Operators["==="] {
			operators = append(operators, fmt.Sprint(o.Name, o.Function != nil && o.Function.Name.Name == "same")+o.Extension)
		}
		slices.Sort(operators)
		if diff := cmp.Diff([]string{"{app ===} false", "{app ===} true"}, operators); diff != "" {
			t.Error("operators (-want +got):\n" + diff)
		}
		if o := snapshot.Operators["->"]; len(o) == 0 || o[0].Extension != "hstore" || o[0].Function == nil {
			t.Errorf("-> is %+v", o)
		}
		if o := snapshot.Operators["!==!"]; o != nil {
			t.Errorf("a shell is %+v", o[0])
		}
		var types []string
		for name, all := range snapshot.Types {
			for _, one := range all {
				if one.Name.Name != name {
					t.Errorf("%q stands for %+v", name, one)
				}
				types = append(types, strings.TrimSpace(name+" "+one.Extension))
			}
		}
		slices.Sort(types)
		want := []string{
			"_hstore hstore", "_mood", "_pair", "_positive", "_span", "_span_multirange", "ghstore hstore", "hstore hstore",
			"mood", "pair", "positive", "shell", "span", "span_multirange",
		}
		if diff := cmp.Diff(want, slices.DeleteFunc(types, func(name string) bool { return strings.HasPrefix(name, "_ghstore") })); diff != "" {
			t.Error("types (-want +got):\n" + diff)
		}
	})
}

// TestReadTooMuch: a database with more than fits is an error that says so.
func TestReadTooMuch(t *testing.T) {
	s := onServer(t)
	c := s.connection(t, "postgres")
	number := 0
	count := func(*row) { number++ }
	if err := c.rows(t.Context(), query{relationsSQL, 10, "relations"}, count); err == nil || err.Error() != "read relations: there are more than 10" {
		t.Errorf("got %v", err)
	}
	if number != 11 {
		t.Errorf("%d rows were sent", number)
	}
	// A backend that answers with something else is not believed.
	if err := c.rows(t.Context(), query{"SELECT 'x' LIMIT $1", 10, "x"}, func(row *row) { row.oid(0) }); !errors.Is(err, errMalformed) {
		t.Errorf("got %v", err)
	}
	if err := c.rows(t.Context(), query{"SELECT 1 LIMIT $1", 10, "x"}, func(row *row) { row.text(1) }); !errors.Is(err, errMalformed) {
		t.Errorf("got %v", err)
	}
}

// TestDescendBounded: a chain of n relations has n² ancestors.
func TestDescendBounded(t *testing.T) {
	parents := map[*Relation][]*Relation{}
	last := &Relation{}
	for range 1500 {
		next := &Relation{}
		parents[next] = []*Relation{last}
		last = next
	}
	if err := descend(parents); err == nil || !strings.Contains(err.Error(), "ancestors") {
		t.Errorf("got %v", err)
	}
}
