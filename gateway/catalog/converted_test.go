package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/authz/statement"
)

const convertedScript = `
CREATE TYPE mood AS ENUM ('sad');
CREATE TYPE card AS (id int, mood mood);
CREATE TYPE span AS RANGE (SUBTYPE = int4);
CREATE DOMAIN temper AS mood;
CREATE FUNCTION tell(mood) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'tell ran'; END $$;
CREATE FUNCTION tell(span) RETURNS json LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'tell ran'; END $$;
CREATE CAST (mood AS json) WITH FUNCTION tell(mood);
CREATE CAST (span AS json) WITH FUNCTION tell(span);
CREATE TABLE t (id int, m mood, ms mood[], c card, s span, d temper, j jsonb);
INSERT INTO t VALUES (1, 'sad', '{sad}', (1, 'sad'), '[1,2)', 'sad', '{}');
CREATE TYPE pitch AS ENUM ('low');
CREATE FUNCTION tell(pitch) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'tell ran'; END $$;
CREATE CAST (pitch AS text) WITH FUNCTION tell(pitch);
CREATE TABLE tones (id int, p pitch, ps pitch[]);
INSERT INTO tones VALUES (1, 'low', '{low}');
CREATE TABLE rows (id int);
INSERT INTO rows VALUES (1);
CREATE FUNCTION tell(rows) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'tell ran'; END $$;
CREATE CAST (rows AS text) WITH FUNCTION tell(rows);
CREATE TABLE quiet (id int);
CREATE FUNCTION given() RETURNS mood LANGUAGE sql AS $$ SELECT 'sad'::mood $$;
CREATE TABLE checked (m mood, CHECK (to_json(m) IS NOT NULL));
CREATE TABLE parted (m mood, CHECK (json_build_object('a', m) IS NOT NULL)) PARTITION BY LIST (m);
CREATE TABLE part PARTITION OF parted DEFAULT;
CREATE TABLE guarded (m mood);
INSERT INTO guarded VALUES ('sad');
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY one ON guarded USING (to_json(m) IS NOT NULL);
CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE fired (m mood);
CREATE TRIGGER fire BEFORE INSERT ON fired FOR EACH ROW WHEN (to_jsonb(NEW) IS NOT NULL) EXECUTE FUNCTION fire();
CREATE TABLE quoted (p pitch, CHECK (quote_literal(p) <> ''));
CREATE TABLE joined (p pitch, CHECK ('a' || p <> ''));
CREATE TABLE whole_row (id int);
CREATE FUNCTION tell(whole_row) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'tell ran'; END $$;
CREATE CAST (whole_row AS text) WITH FUNCTION tell(whole_row);
ALTER TABLE whole_row ADD CHECK (quote_literal(whole_row.*) <> '');
CREATE VIEW quotes AS SELECT quote_literal(p) AS q FROM tones;
CREATE VIEW joins AS SELECT p || 'a' AS j FROM tones;
CREATE VIEW quoted_rows AS SELECT quote_literal(r.*) AS q FROM rows r;
CREATE VIEW tones_of AS SELECT id, p FROM tones;
CREATE VIEW plain AS SELECT id, m FROM t;
CREATE VIEW told AS SELECT id, to_json(m) AS j FROM t;
CREATE VIEW retold AS SELECT j FROM told;
CREATE VIEW whole AS SELECT row_to_json(t.*) AS j FROM t;
CREATE VIEW of_function AS SELECT to_json(given()) AS j;
`

// converting are texts in which PostgreSQL makes JSON or text of a value by the cast of its type, without a word of it; since is the release that knows the syntax.
var converting = []struct {
	text  string
	since int
}{
	{"SELECT to_json(m) FROM t", 0},
	{"SELECT to_jsonb(m) FROM t", 0},
	{"SELECT (m).to_json FROM t", 0},
	{"SELECT t.to_jsonb FROM t", 0},
	{"SELECT to_json(ms) FROM t", 0},
	{"SELECT array_to_json(ms) FROM t", 0},
	{"SELECT to_json(c) FROM t", 0},
	{"SELECT to_json(s) FROM t", 0},
	{"SELECT to_json(d) FROM t", 0},
	{"SELECT row_to_json(t) FROM t", 0},
	{"SELECT row_to_json(x) FROM (SELECT m AS y FROM t) x", 0},
	{"SELECT json_agg(m) FROM t", 0},
	{"SELECT jsonb_agg(m) FROM t", 0},
	{"SELECT json_object_agg(id, m) FROM t", 0},
	{"SELECT jsonb_object_agg(id, m) FROM t", 0},
	{"SELECT json_build_object('a', m) FROM t", 0},
	{"SELECT jsonb_build_array(m) FROM t", 0},
	{"SELECT to_json(given())", 0},
	{"SELECT to_json(m) FROM plain", 0},
	{"SELECT j FROM told", 0},
	{"SELECT count(j) FROM retold", 0},
	{"SELECT * FROM whole", 0},
	{"SELECT * FROM of_function", 0},
	{"INSERT INTO checked VALUES ('sad')", 0},
	{"INSERT INTO parted VALUES ('sad')", 0},
	{"INSERT INTO part VALUES ('sad')", 0},
	{"INSERT INTO fired VALUES ('sad')", 0},
	{"SELECT quote_literal(p) FROM tones", 0},
	{"SELECT quote_nullable(ps[1]) FROM tones", 0},
	{"SELECT (p).quote_literal FROM tones", 0},
	{"SELECT 'a' || p FROM tones", 0},
	{"SELECT p OPERATOR(pg_catalog.||) 'a' FROM tones", 0},
	{"SELECT quote_literal(r) FROM rows r", 0},
	{"SELECT quote_literal(p) FROM tones_of", 0},
	{"SELECT q FROM quotes", 0},
	{"SELECT j FROM joins", 0},
	{"SELECT q FROM quoted_rows", 0},
	{"INSERT INTO quoted VALUES ('low')", 0},
	{"INSERT INTO joined VALUES ('low')", 0},
	{"INSERT INTO whole_row VALUES (1)", 0},
	{"SELECT json_object_agg_unique_strict(id, m) FROM t", 16},
	{"SELECT JSON_OBJECT('a': m) FROM t", 16},
	{"SELECT JSON_ARRAY(m) FROM t", 16},
	{"SELECT JSON_ARRAY(SELECT m FROM t)", 16},
	{"SELECT JSON_OBJECTAGG(id: m) FROM t", 16},
	{"SELECT JSON_ARRAYAGG(m) FROM t", 16},
	{"SELECT JSON_SCALAR(m) FROM t", 17},
	{"SELECT JSON_EXISTS(j, '$ ? (@ == $x)' PASSING m AS x) FROM t", 17},
	{"SELECT JSON_QUERY(j, '$' PASSING m AS x) FROM t", 17},
	{"SELECT JSON_VALUE(j, '$.a' PASSING m AS x) FROM t", 17},
}

// TestResolveConverted: a cast that PostgreSQL has run to make JSON or text of a value is among the facts.
func TestResolveConverted(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		database := s.database(t, convertedScript)
		snapshot := s.snapshot(t, database, pool.Analyze)
		conn := s.connect(t, database)
		for _, c := range converting {
			if snapshot.Version/10000 < c.since {
				continue
			}
			_, err := conn.Exec(t.Context(), c.text)
			if err == nil || !strings.Contains(err.Error(), "tell ran") {
				t.Errorf("%s: PostgreSQL does not run the cast: %v", c.text, err)
			}
			if !callsTell(snapshot.Resolve(analyzed(t, pool, c.text), []string{"public"})) {
				t.Errorf("%s: the cast is not among the facts", c.text)
			}
		}
		if !callsTell(snapshot.Resolve(analyzed(t, pool, "SELECT m FROM guarded"), []string{"public"})) {
			t.Error("the cast of a policy is not among the facts") // to run it takes a role that policies hold for
		}
		for _, text := range []string{
			"SELECT m, ms, c FROM t", "SELECT * FROM t", "INSERT INTO t (m) VALUES ('sad')", "SELECT m FROM checked", "SELECT to_json(id) FROM t", "SELECT row_to_json(q) FROM quiet q", "SELECT m FROM plain",
			"SELECT jsonb_pretty(j), jsonb_array_length(j), m FROM t",
			"SELECT p, ps, concat(p, 'a'), format('%s', p) FROM tones", "SELECT 'a' || id FROM tones", "SELECT p FROM tones_of", "SELECT p FROM quoted", "SELECT id FROM whole_row",
		} {
			if callsTell(snapshot.Resolve(analyzed(t, pool, text), []string{"public"})) {
				t.Errorf("%s: the facts have a cast that is not run", text)
			}
		}
	})
}

func callsTell(sheet *statement.Sheet) bool {
	return slices.ContainsFunc(sheet.Statements[0].Functions, func(f statement.Function) bool { return f.Name == "tell" })
}
