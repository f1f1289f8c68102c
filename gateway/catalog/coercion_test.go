package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz/statement"
)

const coercionsScript = `
CREATE FUNCTION good(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE DOMAIN email AS text CHECK (good(VALUE));
CREATE DOMAIN work_email AS email;
CREATE TYPE mood AS ENUM ('sad');
CREATE TYPE card AS (holder email, mood mood);
CREATE FUNCTION number(mood) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END';
CREATE FUNCTION feeling(int) RETURNS mood LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN NULL; END';
CREATE CAST (mood AS int) WITH FUNCTION number(mood) AS IMPLICIT;
CREATE CAST (int AS mood) WITH FUNCTION feeling(int);
CREATE TABLE plain (id int, name text);
CREATE TABLE t (id int, e email, w work_email, es email[], m mood, ms mood[], c card, cs card[]);
CREATE VIEW v AS SELECT m AS mine, id FROM t;
CREATE FUNCTION send(a email, b text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION gives(int, OUT x mood, OUT y int) LANGUAGE sql AS 'SELECT NULL::mood, 1';
CREATE FUNCTION preset(a int DEFAULT number('sad')) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION state(int, mood) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE AGGREGATE feelings(mood) (SFUNC = state, STYPE = int);
CREATE FUNCTION like_it(mood, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE OPERATOR === (LEFTARG = mood, RIGHTARG = int, FUNCTION = like_it);
CREATE FUNCTION to_bool(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE CAST (text AS bool) WITH FUNCTION to_bool(text) AS ASSIGNMENT;
CREATE TYPE span AS RANGE (SUBTYPE = float8);
CREATE TABLE spans (s span);
CREATE FUNCTION has(card) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE EXTENSION citext;
CREATE TABLE insensitive (c citext);
`

// TestReadCoercions: a cast that must be written is marked !, one that needs a value to be built +.
func TestReadCoercions(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		snapshot := s.snapshot(t, s.database(t, coercionsScript), pool.Analyze)
		got := map[string]string{"any": coercionsOf(snapshot.Coercions)}
		for name, relation := range snapshot.Relations {
			if name.Schema == "public" && relation.Kind != KindCompositeType && relation.Kind != KindOther {
				got["relation "+name.Name] = coercionsOf(relation.Coercions)
			}
		}
		for _, name := range []string{"send", "gives", "preset", "feelings", "number", "citext_eq"} {
			got["function "+name] = coercionsOf(snapshot.Functions[name][0].Coercions)
		}
		for _, name := range []string{"email", "_email", "work_email", "mood", "card", "span", "citext"} {
			got["type "+name] = coercionsOf(snapshot.Types[name][0].Coercions)
		}
		got["operator ==="] = coercionsOf(snapshot.Operators["==="][0].Coercions)
		want := map[string]string{
			"any":                  "to_bool()",
			"relation plain":       "",
			"relation t":           "feeling(c)! feeling(cs)! feeling(m)! feeling(ms)! good(c) good(cs) good(e)+ good(es) good(w)+ number(c) number(cs) number(m) number(ms)",
			"relation v":           "feeling(mine)! number(mine)",
			"relation spans":       "",
			"relation insensitive": "",
			"function send":        "good()",
			"function gives":       "feeling()! number()",
			"function preset":      "number()",
			"function feelings":    "feeling()! number() state()",
			"function number":      "feeling()!",
			"function citext_eq":   "",
			"type email":           "good()+",
			"type _email":          "good()",
			"type work_email":      "good()+",
			"type mood":            "feeling()! number()",
			"type card":            "feeling()! good() number()",
			"type span":            "",
			"type citext":          "",
			"operator ===":         "feeling()! number()",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error("coercions (-want +got):\n" + diff)
		}
	})
}

func coercionsOf(list []Coercion) string {
	text := ""
	for _, c := range list {
		text += fmt.Sprintf(" %s(%s)", c.Function.Name.Name, c.Column)
		for mark, is := range map[string]bool{"!": c.Written, "+": c.Built} {
			if is {
				text += mark
			}
		}
	}
	return text[min(1, len(text)):]
}

const keysScript = `
CREATE TABLE parents (a int, b int, c int UNIQUE, PRIMARY KEY (a, b));
CREATE TABLE deleted (x int, y int, FOREIGN KEY (x, y) REFERENCES parents ON DELETE CASCADE);
CREATE TABLE emptied (x int REFERENCES parents (c) ON DELETE SET NULL ON UPDATE SET DEFAULT);
CREATE TABLE moved (x int REFERENCES parents (c) ON UPDATE CASCADE);
CREATE TABLE kept (x int REFERENCES parents (c) ON DELETE RESTRICT);
CREATE TABLE self (id int PRIMARY KEY, parent int REFERENCES self ON DELETE CASCADE);

CREATE TABLE members (name text, level int);
CREATE TABLE levels (level int);
CREATE TABLE guarded (owner text);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY one ON guarded USING (owner IN (SELECT name FROM members));
CREATE POLICY two ON guarded FOR INSERT WITH CHECK (EXISTS (SELECT FROM members JOIN levels USING (level)));
CREATE TABLE open (owner text);
CREATE POLICY one ON open USING (owner IN (SELECT name FROM members));
`

func TestReadKeysAndPolicies(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		snapshot := s.snapshot(t, s.database(t, keysScript), pool.Analyze)
		var cascades []string
		for _, name := range []string{"parents", "self", "kept"} {
			for _, c := range snapshot.Relations[statement.Name{Schema: "public", Name: name}].Cascades {
				cascades = append(cascades, fmt.Sprintf("%s%v to %s%v: %s %s", c.Relation.Name.Name, c.Key, name, c.To, c.OnDelete, c.OnUpdate))
			}
		}
		slices.Sort(cascades)
		want := []string{
			"deleted[x y] to parents[a b]: delete ", "emptied[x] to parents[c]: update update", "moved[x] to parents[c]:  update",
			"self[parent] to self[id]: delete ",
		}
		if diff := cmp.Diff(want, cascades); diff != "" {
			t.Error("cascades (-want +got):\n" + diff)
		}
		for name, want := range map[string]string{"guarded": "levels members", "open": "", "members": ""} {
			var got []string
			for _, read := range snapshot.Relations[statement.Name{Schema: "public", Name: name}].Consulted {
				got = append(got, read.Name.Name)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("the policies of %s read %v, not %s", name, got, want)
			}
		}
	})
}

// TestCoercionsOfOneType: each function that takes a value of a type may run each of the casts of the type, and each of these is such a
// function. Nobody could follow all of their paths, and the longer ones say nothing new.
func TestCoercionsOfOneType(t *testing.T) {
	pool := startPool(t)
	snapshot := database(t, pool)
	moods := &Relation{Name: statement.Name{Schema: "app", Name: "moods"}, Kind: KindTable, Columns: []string{"m"}}
	snapshot.Relations[moods.Name] = moods
	const casts = 40
	functions := make([]*Function, casts)
	for i := range functions {
		functions[i] = &Function{Name: statement.Name{Schema: "app", Name: fmt.Sprintf("as_%d", i)}, Minimum: 1, Maximum: 1, Language: "sql"}
		moods.Coercions = append(moods.Coercions, Coercion{Function: functions[i], Column: "m", Written: true})
	}
	for _, f := range functions {
		for _, other := range functions {
			f.Coercions = append(f.Coercions, Coercion{Function: other, Written: true})
		}
	}
	sheet := snapshot.Resolve(analyzed(t, pool, "SELECT m::text FROM moods"), []string{"app"})
	if got := len(sheet.Statements[0].Functions); got != casts || !sheet.Complete {
		t.Errorf("%d functions, complete: %v", got, sheet.Complete)
	}
}

// TestDigestOfCoercions: what is unseen in a text is not unseen when it changes.
func TestDigestOfCoercions(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		database := s.database(t, coercionsScript+keysScript)
		c := s.connection(t, database)
		_, last, err := c.read(t.Context(), pool.Analyze, nil, "0")
		if err != nil {
			t.Fatal(err)
		}
		for _, change := range []string{
			"CREATE CAST (card AS bool) WITH FUNCTION has(card)",
			"DROP CAST (text AS bool)",
			"CREATE OR REPLACE FUNCTION preset(a int DEFAULT number(NULL)) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'",
			"CREATE OR REPLACE AGGREGATE feelings(mood) (SFUNC = state, STYPE = int, INITCOND = 1)",
			"ALTER TABLE kept DROP CONSTRAINT kept_x_fkey",
			"ALTER TABLE kept ADD FOREIGN KEY (x) REFERENCES parents (c) ON DELETE CASCADE",
			"ALTER TABLE open ENABLE ROW LEVEL SECURITY",
			"DROP POLICY two ON guarded",
			"ALTER DOMAIN work_email ADD CHECK (good(VALUE))",
			"CREATE STATISTICS s ON id, e FROM t",
		} {
			s.exec(t, database, change)
			next, err := c.digest(t.Context(), "0", digest{})
			if err != nil {
				t.Fatal(err)
			}
			if next.text == last.text {
				t.Errorf("%s: the digest is the same", change)
			}
			last = next
		}
	})
}
