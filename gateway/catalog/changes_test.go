package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
)

// at returns what a snapshot says of one relation of schema s.
func at(snapshot *Snapshot, name string) string {
	relation := snapshot.Relations[statement.Name{Schema: "s", Name: name}]
	if relation == nil {
		return "nothing"
	}
	text := describe(relation)
	if relation.Invoker {
		text += " as invoker"
	}
	if unseen := names(relation.OnRead) + " | " + names(relation.OnWrite); unseen != " | " {
		text += " runs " + unseen
	}
	return text
}

func functionsAt(snapshot *Snapshot, name string) string {
	var list []string
	for _, f := range snapshot.Functions[name] {
		list = append(list, f.Name.Schema+"."+describeFunction(f)+f.Extension)
	}
	return strings.Join(list, ", ")
}

// change is one of a definition.
type change struct {
	name, before, ddl string
	see               func(*Snapshot) string
	want              string
	since             string // the first version that knows it
}

func relation(name string) func(*Snapshot) string {
	return func(s *Snapshot) string { return at(s, name) }
}

func function(name string) func(*Snapshot) string {
	return func(s *Snapshot) string { return functionsAt(s, name) }
}

func kind(name string) func(*Snapshot) string {
	return func(s *Snapshot) string { return fmt.Sprint(len(s.Types[name])) }
}

func operator(name string) func(*Snapshot) string {
	return func(s *Snapshot) string { return fmt.Sprint(len(s.Operators[name])) }
}

// madeBy are the functions that values of a type or of a function's arguments are made by, and that a function is defined by.
func madeBy(coercions []Coercion) string {
	var list []string
	for _, c := range coercions {
		list = append(list, c.Function.Name.Name)
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " ")
}

func madeOf(name string) func(*Snapshot) string {
	return func(s *Snapshot) string {
		if len(s.Functions[name]) == 0 {
			return "no function"
		}
		return madeBy(s.Functions[name][0].Coercions)
	}
}

func madeInto(name string) func(*Snapshot) string {
	return func(s *Snapshot) string {
		if len(s.Types[name]) == 0 {
			return "no type"
		}
		return madeBy(s.Types[name][0].Coercions)
	}
}

func cascades(name string) func(*Snapshot) string {
	return func(s *Snapshot) string {
		var list []string
		if t := s.Relations[statement.Name{Schema: "s", Name: name}]; t != nil {
			for _, c := range t.Cascades {
				list = append(list, c.Relation.Name.Name+" "+c.OnDelete)
			}
		}
		return strings.Join(list, ", ")
	}
}

// objectChanges are of what a snapshot says of objects themselves.
var objectChanges = []change{
	{name: "create table", ddl: "CREATE TABLE s.t (id int)", see: relation("t"), want: "table (id)"},
	{name: "drop table", before: "CREATE TABLE s.t (id int)", ddl: "DROP TABLE s.t", see: relation("t"), want: "nothing"},
	{name: "rename table", before: "CREATE TABLE s.t (id int)", ddl: "ALTER TABLE s.t RENAME TO u", see: relation("u"), want: "table (id)"},
	{name: "add column", before: "CREATE TABLE s.t (id int)", ddl: "ALTER TABLE s.t ADD x int", see: relation("t"), want: "table (id, x)"},
	{name: "drop column", before: "CREATE TABLE s.t (id int, x int)", ddl: "ALTER TABLE s.t DROP x", see: relation("t"), want: "table (id)"},
	{name: "rename column", before: "CREATE TABLE s.t (id int)", ddl: "ALTER TABLE s.t RENAME id TO x", see: relation("t"), want: "table (x)"},
	{name: "set schema", before: "CREATE TABLE s.t (id int); CREATE SCHEMA x", ddl: "ALTER TABLE s.t SET SCHEMA x", see: relation("t"), want: "nothing"},
	{name: "rename schema", before: "CREATE SCHEMA x; CREATE TABLE x.t (id int); ALTER SCHEMA s RENAME TO y", ddl: "ALTER SCHEMA x RENAME TO s", see: relation("t"), want: "table (id)"},
	{name: "create index", before: "CREATE TABLE s.t (id int)", ddl: "CREATE INDEX i ON s.t (id)", see: relation("i"), want: "other ()"},
	{name: "swap tables", before: "CREATE TABLE s.t (id int); CREATE TABLE s.u (x int)", ddl: "BEGIN; ALTER TABLE s.t RENAME TO z; ALTER TABLE s.u RENAME TO t; ALTER TABLE s.z RENAME TO u; COMMIT", see: relation("t"), want: "table (x)"},
	{name: "in a subtransaction", ddl: "DO $$ BEGIN BEGIN EXECUTE 'CREATE TABLE s.t (id int)'; EXCEPTION WHEN others THEN NULL; END; END $$", see: relation("t"), want: "table (id)"},
	{name: "create sequence", ddl: "CREATE SEQUENCE s.n", see: relation("n"), want: "sequence (last_value, log_cnt, is_called)"},

	{name: "create view", before: "CREATE TABLE s.t (id int)", ddl: "CREATE VIEW s.v AS SELECT id FROM s.t", see: relation("v"), want: "view (id) of s.t"},
	{name: "replace view", before: "CREATE TABLE s.t (id int); CREATE TABLE s.u (id int); CREATE VIEW s.v AS SELECT id FROM s.t", ddl: "CREATE OR REPLACE VIEW s.v AS SELECT id FROM s.u", see: relation("v"), want: "view (id) of s.u"},
	{name: "rename under a view", before: "CREATE TABLE s.t (id int); CREATE VIEW s.v AS SELECT id FROM s.t", ddl: "ALTER TABLE s.t RENAME TO u", see: relation("v"), want: "view (id) of s.u"},
	{name: "view options", before: "CREATE VIEW s.v AS SELECT 1 AS id", ddl: "ALTER VIEW s.v SET (security_invoker = on)", see: relation("v"), want: "view (id) of nothing as invoker", since: "15"},
	{name: "materialized view", before: "CREATE TABLE s.t (id int)", ddl: "CREATE MATERIALIZED VIEW s.v AS SELECT id FROM s.t", see: relation("v"), want: "materialized view (id) of s.t"},
	{name: "create rule", before: "CREATE TABLE s.t (id int)", ddl: "CREATE RULE r AS ON INSERT TO s.t DO ALSO NOTIFY x", see: relation("t"), want: "table (id) with rules"},
	{name: "drop rule", before: "CREATE TABLE s.t (id int); CREATE RULE r AS ON INSERT TO s.t DO ALSO NOTIFY x", ddl: "DROP RULE r ON s.t", see: relation("t"), want: "table (id)"},

	{name: "inherit", before: "CREATE TABLE s.t (id int); CREATE TABLE s.u (id int)", ddl: "ALTER TABLE s.u INHERIT s.t", see: relation("t"), want: "table (id) above s.u"},
	{name: "no inherit", before: "CREATE TABLE s.t (id int); CREATE TABLE s.u () INHERITS (s.t)", ddl: "ALTER TABLE s.u NO INHERIT s.t", see: relation("t"), want: "table (id)"},
	{name: "attach partition", before: "CREATE TABLE s.t (id int) PARTITION BY LIST (id); CREATE TABLE s.u (id int)", ddl: "ALTER TABLE s.t ATTACH PARTITION s.u FOR VALUES IN (1)", see: relation("u"), want: "table (id) below s.t"},

	{name: "create function", ddl: "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", see: function("f"), want: "s.f() 0..0 sql volatile"},
	{name: "replace function", before: "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", ddl: "CREATE OR REPLACE FUNCTION s.f() RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN 1; END'", see: function("f"), want: "s.f() 0..0 plpgsql volatile definer"},
	{name: "alter function", before: "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", ddl: "ALTER FUNCTION s.f() STABLE", see: function("f"), want: "s.f() 0..0 sql stable"},
	{name: "function default", before: "CREATE FUNCTION s.f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'", ddl: "CREATE OR REPLACE FUNCTION s.f(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1'", see: function("f"), want: "s.f(a integer) 0..1 sql volatile"},
	{name: "rename function", before: "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", ddl: "ALTER FUNCTION s.f() RENAME TO g", see: function("g"), want: "s.g() 0..0 sql volatile"},
	{name: "drop function", before: "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", ddl: "DROP FUNCTION s.f", see: function("f"), want: ""},
	{name: "rename language", before: "CREATE LANGUAGE mine HANDLER plpgsql_call_handler; CREATE FUNCTION s.f() RETURNS int LANGUAGE mine AS 'BEGIN RETURN 1; END'", ddl: "ALTER LANGUAGE mine RENAME TO yours", see: function("f"), want: "s.f() 0..0 yours volatile"},
	{name: "leave extension", before: "CREATE EXTENSION hstore SCHEMA s", ddl: "ALTER EXTENSION hstore DROP FUNCTION s.fetchval(s.hstore, text)", see: function("fetchval"), want: "s.fetchval(s.hstore, text) 2..2 c immutable"},
	{name: "create operator", ddl: "CREATE OPERATOR s.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)", see: operator("==="), want: "1"},
	{name: "replace aggregate", before: "CREATE FUNCTION s.f(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION s.g(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE s.a(int) (SFUNC = s.f, STYPE = int)", ddl: "CREATE OR REPLACE AGGREGATE s.a(int) (SFUNC = s.g, STYPE = int)", see: madeOf("a"), want: "g"},
	{name: "argument's default", before: "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION s.g(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1'", ddl: "CREATE OR REPLACE FUNCTION s.g(a int DEFAULT s.f()) RETURNS int LANGUAGE sql AS 'SELECT 1'", see: madeOf("g"), want: "f"},
	{name: "parsed body", before: "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION s.g() RETURNS int RETURN 1", ddl: "CREATE OR REPLACE FUNCTION s.g() RETURNS int RETURN s.f()", see: madeOf("g"), want: "f"},
	{name: "create cast", before: "CREATE TYPE s.box AS (x int); CREATE FUNCTION s.f(s.box) RETURNS bool LANGUAGE sql AS 'SELECT true'", ddl: "CREATE CAST (s.box AS bool) WITH FUNCTION s.f(s.box)", see: madeInto("box"), want: "f"},
	{name: "foreign key", before: "CREATE TABLE s.t (id int PRIMARY KEY); CREATE TABLE s.u (id int)", ddl: "ALTER TABLE s.u ADD FOREIGN KEY (id) REFERENCES s.t ON DELETE CASCADE", see: cascades("t"), want: "u delete"},
	{name: "create type", ddl: "CREATE TYPE s.mood AS ENUM ('fine')", see: kind("mood"), want: "1"},
	{name: "rename type", before: "CREATE TYPE s.mood AS ENUM ('fine')", ddl: "ALTER TYPE s.mood RENAME TO temper", see: kind("temper"), want: "1"},
	{name: "drop type", before: "CREATE TYPE s.mood AS ENUM ('fine')", ddl: "DROP TYPE s.mood", see: kind("mood"), want: "0"},
}

// What the changes below begin with, and end with.
const (
	withFunction = "CREATE TABLE s.t (id int); CREATE FUNCTION s.f(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END'; "
	withTrigger  = withFunction + "CREATE FUNCTION s.g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
	triggered    = withTrigger + "CREATE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.g()"
	withPolicy   = withFunction + "CREATE POLICY p ON s.t USING (s.f(id)); "
	runs         = "table (id) runs  | f"
	stops        = "table (id)"
)

// unseenChanges are of the functions that run with the table t.
var unseenChanges = []change{
	{name: "create trigger", before: withTrigger, ddl: "CREATE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.g()", want: "table (id) runs  | g"},
	{name: "replace trigger", before: triggered, ddl: "CREATE OR REPLACE TRIGGER x BEFORE INSERT ON s.t FOR EACH ROW WHEN (s.f(NEW.id)) EXECUTE FUNCTION s.g()", want: "table (id) runs  | f g"},
	{name: "disable trigger", before: triggered, ddl: "ALTER TABLE s.t DISABLE TRIGGER x", want: stops},
	{name: "drop trigger", before: triggered, ddl: "DROP TRIGGER x ON s.t", want: stops},
	{name: "set default", before: withFunction, ddl: "ALTER TABLE s.t ALTER id SET DEFAULT s.f(1)::int", want: runs},
	{name: "drop default", before: withFunction + "ALTER TABLE s.t ALTER id SET DEFAULT s.f(1)::int", ddl: "ALTER TABLE s.t ALTER id DROP DEFAULT", want: stops},
	{name: "add check", before: withFunction, ddl: "ALTER TABLE s.t ADD CONSTRAINT k CHECK (s.f(id))", want: runs},
	{name: "drop check", before: withFunction + "ALTER TABLE s.t ADD CONSTRAINT k CHECK (s.f(id))", ddl: "ALTER TABLE s.t DROP CONSTRAINT k", want: stops},
	{name: "index an expression", before: withFunction, ddl: "CREATE INDEX ON s.t (s.f(id))", want: runs},
	{name: "enable policies", before: withPolicy, ddl: "ALTER TABLE s.t ENABLE ROW LEVEL SECURITY", want: "table (id) runs f | f"},
	{name: "alter policy", before: withPolicy + "ALTER TABLE s.t ENABLE ROW LEVEL SECURITY", ddl: "ALTER POLICY p ON s.t USING (id > 0)", want: stops},
	{name: "check a domain", before: withFunction + "CREATE DOMAIN s.d AS int; ALTER TABLE s.t ALTER id TYPE s.d", ddl: "ALTER DOMAIN s.d ADD CHECK (s.f(VALUE))", want: runs},
	{name: "change a column's type", before: withFunction + "CREATE DOMAIN s.d AS int CHECK (s.f(VALUE))", ddl: "ALTER TABLE s.t ALTER id TYPE s.d", want: runs},
}

// TestChangesAreSeen: definitions that somebody changes past the gateway, of every kind that a snapshot has, are seen by polling alone.
func TestChangesAreSeen(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		database := s.database(t, "")
		c := start(t, s, database, Config{Analyze: pool.Analyze})
		for _, change := range slices.Concat(objectChanges, unseenChanges) {
			if change.since > s.name {
				continue
			}
			if change.see == nil {
				change.see = relation("t")
			}
			t.Run(change.name, func(t *testing.T) {
				s.exec(t, database, "DROP SCHEMA IF EXISTS s, x, y CASCADE; DROP LANGUAGE IF EXISTS yours; CREATE SCHEMA s;"+change.before)
				c.Changed()
				if got := change.see(current(t, c)); got == change.want {
					t.Fatalf("before: %q", got)
				}
				s.exec(t, database, change.ddl)
				eventually(t, DefaultMaxAge, func() error {
					if got := change.see(current(t, c)); got != change.want {
						return fmt.Errorf("got %q, want %q", got, change.want)
					}
					return nil
				})
			})
		}
	})
}

// TestNothingChanges: what databases do all day does not make a Catalog read anything again.
func TestNothingChanges(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		database := s.database(t, `
			CREATE TABLE t (id int PRIMARY KEY, name text DEFAULT 'x' CHECK (name <> ''));
			CREATE TABLE p (id int) PARTITION BY RANGE (id);
			CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (1) TO (1000);
			CREATE VIEW v AS SELECT id FROM t;
			CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
			CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();
			CREATE SEQUENCE n; CREATE SCHEMA s; CREATE MATERIALIZED VIEW m AS SELECT 1 AS one;
			CREATE UNIQUE INDEX ON m (one);`)
		s.exec(t, "postgres", "DROP ROLE IF EXISTS grantee; CREATE ROLE grantee")
		defer s.exec(t, "postgres", "DROP ROLE grantee")
		defer s.exec(t, database, "DROP OWNED BY grantee")
		c := start(t, s, database, Config{Analyze: pool.Analyze})
		first := current(t, c)
		for _, noise := range []string{
			"INSERT INTO t SELECT generate_series(1, 500); UPDATE t SET name = 'y'; DELETE FROM t WHERE id > 10; INSERT INTO p VALUES (1)",
			"ANALYZE",
			"VACUUM",
			"VACUUM (FREEZE, ANALYZE)",
			"VACUUM (FREEZE) pg_class, pg_attribute, pg_rewrite, pg_type, pg_trigger, pg_constraint, pg_attrdef",
			"REINDEX TABLE t",
			"TRUNCATE t, p",
			"CLUSTER t USING t_pkey",
			"REFRESH MATERIALIZED VIEW m",
			"REFRESH MATERIALIZED VIEW CONCURRENTLY m",
			"GRANT SELECT ON ALL TABLES IN SCHEMA public TO grantee; GRANT USAGE ON SCHEMA s TO grantee; GRANT EXECUTE ON FUNCTION f TO grantee; GRANT SELECT (id) ON t TO grantee",
			"SELECT nextval('n')",
			"CREATE TEMPORARY TABLE x (id serial PRIMARY KEY, y text CHECK (y <> '')); CREATE TEMPORARY VIEW y AS SELECT id FROM x; CREATE INDEX ON x (lower(y))",
			"BEGIN; CREATE TABLE gone (id int); ROLLBACK",
			"COMMENT ON TABLE t IS 'nothing'; ALTER TABLE t SET (fillfactor = 90); ALTER TABLE t RESET (fillfactor); ALTER TABLE t ALTER name SET STATISTICS 10",
			"CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
		} {
			s.exec(t, database, noise)
			polled(t, c)
			if now := current(t, c); now != first {
				t.Errorf("read again after %s", noise)
				first = now
			}
		}
	})
}

// TestTemporaryStays: temporary objects of a session that lives on are in no snapshot, and a Catalog that comes later sees none of them.
func TestTemporaryStays(t *testing.T) {
	s := onServer(t)
	database := s.database(t, "CREATE TABLE t (id int)")
	conn := s.connect(t, database)
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "CREATE TEMPORARY TABLE t (secret int); CREATE TEMPORARY VIEW w AS SELECT secret FROM t"); err != nil {
		t.Fatal(err)
	}
	got := s.snapshot(t, database, startPool(t).Analyze)
	for name, relation := range got.Relations {
		if name.Name == "w" || name.Name == "t" && name.Schema != "public" || relation.Opaque != "" {
			t.Errorf("%v is there: %+v", name, relation)
		}
	}
	if text := describe(got.Relations[statement.Name{Schema: "public", Name: "t"}]); text != "table (id)" {
		t.Errorf("t is a %s", text)
	}
}

// TestReadingIsBounded says how long a thousand tables and a hundred views take.
func TestReadingIsBounded(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		database := s.database(t, `DO $$ BEGIN FOR i IN 1..1000 LOOP
			EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, a text NOT NULL DEFAULT %L, b numeric CHECK (b > 0), c timestamptz, d int, e text, f jsonb)', i, 'x');
			IF i % 10 = 0 THEN EXECUTE format('CREATE VIEW v%s AS SELECT x.id, y.a, count(*) AS n FROM t%s x JOIN t%s y ON x.d = y.id GROUP BY 1, 2', i, i, i - 1); END IF;
			END LOOP; END $$`)
		conn := s.connection(t, database)
		began := time.Now()
		first, d, err := conn.read(t.Context(), pool.Analyze, nil, "1")
		if err != nil {
			t.Fatal(err)
		}
		cold := time.Since(began)
		began = time.Now()
		if _, _, err = conn.read(t.Context(), pool.Analyze, first.texts, "1"); err != nil {
			t.Fatal(err)
		}
		warm := time.Since(began)
		began = time.Now()
		again, err := conn.digest(t.Context(), "1", digest{})
		if err != nil || again.text != d.text {
			t.Fatalf("digest %q, then %q; %v", d.text, again.text, err)
		}
		full := time.Since(began)
		began = time.Now()
		if _, err = conn.digest(t.Context(), "1", again); err != nil {
			t.Fatal(err)
		}
		t.Logf("first reading %v, next %v; poll %v, when no transaction has ended %v", cold, warm, full, time.Since(began))
		if cold > 20*time.Second || full > 5*time.Second {
			t.Error("that is too long")
		}
	})
}

// TestDigestSeed: the digest of the same definitions is another under another seed, so nobody can work one out beforehand.
func TestDigestSeed(t *testing.T) {
	s := onServer(t)
	c := s.connection(t, "postgres")
	digests := map[string]bool{}
	for _, seed := range []string{"1", "2", "-9223372036854775808"} {
		d, err := c.digest(t.Context(), seed, digest{})
		if err != nil {
			t.Fatal(err)
		}
		digests[d.text] = true
	}
	if len(digests) != 3 {
		t.Errorf("three seeds have %d digests", len(digests))
	}
	if _, err := c.digest(t.Context(), "no number", digest{}); err == nil {
		t.Error("a digest without a seed")
	}
}
