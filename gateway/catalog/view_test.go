package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sallyport/sallyport/authz/statement"
)

// nastyScript has a view for everything that could make a name mean something else.
const nastyScript = `
CREATE SCHEMA app;
CREATE SCHEMA "Odd "".schema";
CREATE TABLE app.plain (id int, name text);
CREATE TABLE app.other (id int, name text);
CREATE TABLE app."quo""ted" (id int);
CREATE TABLE app."UPPER" ("Id" int);
CREATE TABLE "Odd "".schema"."naïve ☃" ("schlüssel" int);
CREATE TABLE app."select" ("from" int, "order" int);
CREATE TABLE public.pg_class (oid oid, relname name, secret text);
CREATE TABLE public.pg_tables (tablename name, secret text);
CREATE FUNCTION app.lower(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION app.rows(int) RETURNS SETOF app.plain LANGUAGE sql AS 'SELECT * FROM app.plain';
CREATE FUNCTION app.same(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR app.= (LEFTARG = int, RIGHTARG = int, FUNCTION = app.same);
CREATE TYPE app.mood AS ENUM ('fine');
CREATE TYPE app.text AS (x int);

-- Named from within their schemas, and with everything in the way that can be.
SET search_path = app, public, pg_catalog;
CREATE VIEW app.v_plain AS SELECT id FROM plain;
CREATE VIEW app.v_quotes AS SELECT id FROM "quo""ted";
CREATE VIEW app.v_upper AS SELECT "Id" FROM "UPPER";
CREATE VIEW app.v_unicode AS SELECT schlüssel FROM "Odd "".schema"."naïve ☃";
CREATE VIEW app.v_keyword AS SELECT "from" FROM "select" ORDER BY "order";
CREATE VIEW app.v_shadows AS SELECT relname FROM pg_class;
CREATE VIEW app.v_system AS SELECT relname FROM pg_catalog.pg_class;
CREATE VIEW app.v_both AS SELECT a.tablename FROM pg_tables a JOIN pg_catalog.pg_tables b USING (tablename);
CREATE VIEW app.v_information AS SELECT table_name FROM information_schema.tables;
CREATE VIEW app.v_function AS SELECT lower(name) AS a, pg_catalog.lower(name) AS b FROM plain;
CREATE VIEW app.v_function_from AS SELECT id FROM rows(1);
CREATE VIEW app.v_system_function_from AS SELECT n FROM generate_series(1, 2) n;
CREATE VIEW app.v_operator AS SELECT id FROM plain WHERE id OPERATOR(app.=) 1 AND id OPERATOR(pg_catalog.=) 1;
CREATE VIEW app.v_type AS SELECT 'fine'::mood AS a, NULL::app.text AS b, 'x'::pg_catalog.text AS c;
CREATE VIEW app.v_nested AS SELECT id FROM v_plain;
CREATE VIEW app.v_with AS WITH plain AS (SELECT id FROM app.plain), other AS (SELECT id FROM plain) SELECT id FROM other JOIN app.other o USING (id);
CREATE VIEW app.v_sub AS SELECT id FROM plain WHERE EXISTS (SELECT FROM other WHERE other.id = plain.id);
CREATE VIEW app.v_union AS SELECT id FROM plain UNION SELECT id FROM other;
CREATE RECURSIVE VIEW app.v_recursive (n) AS VALUES (1) UNION ALL SELECT n + o.id FROM v_recursive, other o;
CREATE VIEW app.v_ruled AS SELECT id FROM plain;
CREATE RULE r AS ON INSERT TO app.v_ruled DO INSTEAD DELETE FROM app.other;
CREATE VIEW app.v_alias AS SELECT plain.id FROM other plain;
CREATE VIEW app.v_row AS SELECT plain FROM plain;
CREATE VIEW app.v_only AS SELECT id FROM ONLY plain;
CREATE VIEW app.v_sample AS SELECT id FROM plain TABLESAMPLE SYSTEM (10);
CREATE VIEW app.v_renamed AS SELECT id FROM other;
ALTER TABLE app.other RENAME TO renamed;
ALTER SCHEMA app RENAME TO "App";
CREATE SCHEMA app;
CREATE TABLE app.plain (trap int);
`

// facts are what a definition names.
type facts struct {
	Relations, Functions, Operators, Types []string

	Unseen []string // functions that it does not name
}

func factsOf(view *Relation) facts {
	var f facts
	one := view.Definition.Statements[0]
	for _, r := range one.Relations {
		f.Relations = append(f.Relations, r.Schema+"|"+r.Name)
	}
	for _, fn := range one.Functions {
		f.Functions = append(f.Functions, fn.Schema+"|"+fn.Name)
	}
	for _, o := range one.Operators {
		f.Operators = append(f.Operators, o.Schema+"|"+o.Name)
	}
	for _, ty := range one.Types {
		f.Types = append(f.Types, ty.Schema+"|"+ty.Name)
	}
	for _, fn := range view.OnRead {
		f.Unseen = append(f.Unseen, fn.Name.Schema+"|"+fn.Name.Name)
	}
	return f
}

func TestDefinitionsNameSchemas(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		snapshot := s.snapshot(t, s.database(t, nastyScript), pool.Analyze)
		plain, renamed := []string{"App|plain"}, []string{"App|renamed"}
		both := []string{"App|plain", "App|renamed"}
		want := map[string]facts{
			"v_plain":                {Relations: plain},
			"v_quotes":               {Relations: []string{`App|quo"ted`}},
			"v_upper":                {Relations: []string{"App|UPPER"}},
			"v_unicode":              {Relations: []string{`Odd ".schema|naïve ☃`}},
			"v_keyword":              {Relations: []string{"App|select"}},
			"v_shadows":              {Relations: []string{"public|pg_class"}},
			"v_system":               {Relations: []string{"|pg_class"}},
			"v_both":                 {Relations: []string{"public|pg_tables", "|pg_tables"}},
			"v_information":          {Relations: []string{"information_schema|tables"}},
			"v_function":             {Relations: plain, Functions: []string{"App|lower", "|lower"}},
			"v_function_from":        {Functions: []string{"App|rows"}},
			"v_system_function_from": {Functions: []string{"|generate_series"}},
			"v_operator":             {Relations: plain, Operators: []string{"App|="}},
			"v_type":                 {Types: []string{"App|mood", "App|text"}},
			"v_nested":               {Relations: []string{"App|v_plain"}},
			"v_with":                 {Relations: both, Unseen: []string{"App|same"}}, // USING does not say by which operator
			"v_sub":                  {Relations: both, Operators: []string{"App|="}},
			"v_union":                {Relations: both},
			"v_recursive":            {Relations: renamed},
			"v_ruled":                {Relations: plain},
			"v_alias":                {Relations: renamed},
			"v_row":                  {Relations: plain, Types: plain},
			"v_only":                 {Relations: plain},
			"v_sample":               {Relations: plain, Functions: []string{"|system"}},
			"v_renamed":              {Relations: renamed},
		}
		got := map[string]facts{}
		for name, relation := range snapshot.Relations {
			switch {
			case relation.Opaque != "":
				t.Errorf("%v is opaque: %s", name, relation.Opaque)
			case relation.Definition != nil:
				got[name.Name] = factsOf(relation)
				if relation.Rules != (name.Name == "v_ruled") {
					t.Errorf("%v has rules: %v", name, relation.Rules)
				}
			}
		}
		if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
			t.Error("facts (-want +got):\n" + diff)
		}
	})
}

// TestDefinitionsKnownByText: what was analysed for one snapshot is not analysed again for the next.
func TestDefinitionsKnownByText(t *testing.T) {
	s, pool := onServer(t), startPool(t)
	database := s.database(t, "CREATE TABLE t (id int); CREATE VIEW a AS SELECT id FROM t; CREATE VIEW b AS SELECT id + 1 AS id FROM t")
	var analyzed atomic.Int32
	analyze := func(ctx context.Context, text string) (*statement.Sheet, error) {
		analyzed.Add(1)
		return pool.Analyze(ctx, text)
	}
	c := s.connection(t, database)
	first, _, err := c.read(t.Context(), analyze, nil, "0")
	if err != nil || analyzed.Load() != 2 {
		t.Fatalf("%d texts were analysed; %v", analyzed.Load(), err)
	}
	s.exec(t, database, "CREATE VIEW c AS SELECT id + 2 AS id FROM t; DROP VIEW b")
	second, _, err := c.read(t.Context(), analyze, first.texts, "0")
	if err != nil || analyzed.Load() != 3 {
		t.Fatalf("%d texts were analysed; %v", analyzed.Load(), err)
	}
	if len(second.texts) != 2 {
		t.Errorf("%d texts are kept for the views a and c", len(second.texts))
	}
	name := statement.Name{Schema: "public", Name: "a"}
	if second.snapshot.Relations[name].Definition != first.snapshot.Relations[name].Definition {
		t.Error("the same text has another sheet")
	}
}

// TestDefinitionsOpaque: what the analyser does not understand says so, and an analyser that cannot be had makes the reading fail.
func TestDefinitionsOpaque(t *testing.T) {
	s := onServer(t)
	database := s.database(t, "CREATE TABLE t (id int); CREATE VIEW v AS SELECT id FROM t")
	query := statement.Statement{Command: "SELECT", Class: statement.ClassQuery}
	unqualified := query
	unqualified.Relations = []statement.Relation{{Name: "t"}}
	for name, test := range map[string]struct {
		sheet  *statement.Sheet
		err    error
		opaque string
		fails  bool
	}{
		"complete":             {sheet: &statement.Sheet{Complete: true, Statements: []statement.Statement{query}}},
		"incomplete":           {sheet: &statement.Sheet{Incomplete: []string{"unknown node X", "depth"}}, opaque: "unknown node X; depth"},
		"no statement":         {sheet: &statement.Sheet{Complete: true}, opaque: "its definition is not one query"},
		"two statements":       {sheet: &statement.Sheet{Complete: true, Statements: []statement.Statement{query, query}}, opaque: "its definition is not one query"},
		"no query":             {sheet: &statement.Sheet{Complete: true, Statements: []statement.Statement{{Class: statement.ClassWrite}}}, opaque: "its definition is not one query"},
		"a name not qualified": {sheet: &statement.Sheet{Complete: true, Statements: []statement.Statement{unqualified}}, opaque: `its definition does not say where "t" is`},
		"syntax":               {err: &statement.SyntaxError{Message: "at SELECT"}, opaque: "its definition is none that the parser knows"},
		"limit":                {err: &statement.LimitError{Message: "statement too complex"}, opaque: "its definition: statement too complex"},
		"no worker":            {err: statement.ErrUnavailable, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.connection(t, database)
			r, _, err := c.read(t.Context(), func(context.Context, string) (*statement.Sheet, error) { return test.sheet, test.err }, nil, "0")
			if test.fails {
				if !errors.Is(err, test.err) {
					t.Fatalf("read: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			view := r.snapshot.Relations[statement.Name{Schema: "public", Name: "v"}]
			if view.Opaque != test.opaque || (view.Definition != nil) != (test.opaque == "") {
				t.Errorf("opaque: %q, definition: %v; want %q", view.Opaque, view.Definition, test.opaque)
			}
		})
	}
}

// TestDefinitionsTooLong: the text does not come over.
func TestDefinitionsTooLong(t *testing.T) {
	s := onServer(t)
	database := s.database(t, fmt.Sprintf("CREATE VIEW v AS SELECT '%s'::text AS one", strings.Repeat("é", maxDefinition)))
	view := s.snapshot(t, database, startPool(t).Analyze).Relations[statement.Name{Schema: "public", Name: "v"}]
	if view.Definition != nil || view.Opaque != "its definition is longer than 1048576 characters" {
		t.Errorf("opaque: %q", view.Opaque)
	}
}

// TestDefinitionsLocked: somebody who keeps a table locked hides the views on it, and nothing else.
func TestDefinitionsLocked(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		script := "CREATE TABLE t (id int); CREATE TABLE u (id int);"
		for i := range maxLocked + 3 {
			script += fmt.Sprintf("CREATE VIEW t_%d AS SELECT id FROM t; CREATE VIEW u_%d AS SELECT id FROM u;", i, i)
		}
		database := s.database(t, script)
		holder := s.connect(t, database)
		defer holder.Close(context.Background())
		if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE t"); err != nil {
			t.Fatal(err)
		}
		c := s.connection(t, database)
		r, _, err := c.read(t.Context(), pool.Analyze, nil, "0")
		if err != nil {
			t.Fatal(err)
		}
		for name, relation := range r.snapshot.Relations {
			if relation.Kind != KindView || relation.System {
				continue
			}
			locked := strings.HasPrefix(name.Name, "t_")
			if locked != (relation.Opaque == "what it reads is locked") || locked == (relation.Definition != nil) {
				t.Errorf("%s: opaque %q, definition %v", name.Name, relation.Opaque, relation.Definition)
			}
		}
		if r.locked != maxLocked+3 {
			t.Errorf("%d views are said to be locked", r.locked)
		}
		if _, err := holder.Exec(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		if r, _, err = c.read(t.Context(), pool.Analyze, nil, "0"); err != nil || r.locked != 0 {
			t.Errorf("read again: %v, %d views locked", err, r.locked)
		}
	})
}

// TestViewsLeaveNoLocks: many views are read without filling the backend's lock table, and without locks held to the end.
func TestViewsLeaveNoLocks(t *testing.T) {
	s := onServer(t)
	database := s.database(t, `CREATE TABLE t (id int); DO $$ BEGIN FOR i IN 1..120 LOOP
		EXECUTE format('CREATE VIEW v%s AS SELECT id FROM t', i); END LOOP; END $$`)
	watcher := s.connect(t, database)
	defer watcher.Close(context.Background())
	most, pool := 0, startPool(t)
	analyze := func(ctx context.Context, text string) (*statement.Sheet, error) {
		var locks int
		query := `SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			WHERE l.pid <> pg_backend_pid() AND c.relnamespace = 'public'::regnamespace`
		if err := watcher.QueryRow(ctx, query).Scan(&locks); err != nil {
			return nil, err
		}
		most = max(most, locks)
		return pool.Analyze(ctx, text)
	}
	if s.snapshot(t, database, analyze); most != 0 {
		t.Errorf("%d locks were held while texts were analysed", most)
	}
}
