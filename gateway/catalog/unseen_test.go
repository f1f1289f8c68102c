package catalog

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unseenScript makes tables that run functions, each in one way.
const unseenScript = `
CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION g(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION o(int, int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = o);

CREATE TABLE plain (id int PRIMARY KEY, other int REFERENCES plain, at timestamptz DEFAULT now() CHECK (at > '2000-01-01'));
CREATE TABLE defaults (a int DEFAULT f(1));
CREATE TABLE generated (a int, b int GENERATED ALWAYS AS (f(a)) STORED);
CREATE TABLE checked (a int CHECK (g(a)));
CREATE TABLE by_operator (a int CHECK (a OPERATOR(public.===) 1));
CREATE TABLE indexed (a int);
CREATE INDEX ON indexed (f(a));
CREATE TABLE partly_indexed (a int);
CREATE INDEX ON partly_indexed (a) WHERE g(a);
CREATE TABLE triggered (a int);
CREATE TRIGGER one BEFORE INSERT ON triggered FOR EACH ROW WHEN (g(NEW.a)) EXECUTE FUNCTION t();
CREATE TABLE disabled (a int);
CREATE TRIGGER one BEFORE INSERT ON disabled FOR EACH ROW EXECUTE FUNCTION t();
ALTER TABLE disabled DISABLE TRIGGER one;
CREATE TABLE parted (a int) PARTITION BY RANGE (f(a));
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (2) PARTITION BY LIST (a);
CREATE TABLE parted_1_1 PARTITION OF parted_1 DEFAULT;
CREATE TABLE parted_trigger (a int) PARTITION BY RANGE (a);
CREATE TABLE parted_trigger_1 PARTITION OF parted_trigger FOR VALUES FROM (1) TO (2);
CREATE TRIGGER one BEFORE INSERT ON parted_trigger FOR EACH ROW EXECUTE FUNCTION t();
CREATE TABLE part_trigger (a int) PARTITION BY RANGE (a);
CREATE TABLE part_trigger_1 PARTITION OF part_trigger FOR VALUES FROM (1) TO (2) PARTITION BY RANGE (a);
CREATE TABLE part_trigger_2 PARTITION OF part_trigger_1 (CHECK (g(a))) FOR VALUES FROM (1) TO (2);
CREATE TRIGGER one BEFORE INSERT ON part_trigger_2 FOR EACH ROW EXECUTE FUNCTION t();
CREATE TABLE heired (a int);
CREATE TABLE heir (b int CHECK (g(b))) INHERITS (heired);

CREATE TABLE policy_all (a int);
ALTER TABLE policy_all ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON policy_all USING (g(a));
CREATE TABLE policy_select (a int);
ALTER TABLE policy_select ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON policy_select FOR SELECT USING (g(a));
CREATE TABLE policy_update (a int);
ALTER TABLE policy_update ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON policy_update FOR UPDATE USING (g(a));
CREATE TABLE policy_insert (a int);
ALTER TABLE policy_insert ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON policy_insert FOR INSERT WITH CHECK (g(a));
CREATE TABLE policy_off (a int);
CREATE POLICY p ON policy_off USING (g(a));

CREATE DOMAIN good AS int CHECK (g(VALUE));
CREATE DOMAIN better AS good;
CREATE DOMAIN preset AS int DEFAULT f(1);
CREATE TYPE pair AS (x int, y better);
CREATE TABLE domain (a good);
CREATE TABLE domain_twice (a better);
CREATE TABLE domain_array (a better[]);
CREATE TABLE domain_composite (a pair[]);
CREATE TABLE domain_row (a domain_twice);
CREATE TABLE domain_default (a preset);
CREATE TABLE domain_gone (a good);
ALTER TABLE domain_gone DROP COLUMN a;

CREATE TYPE box AS (x int);
CREATE FUNCTION unbox(box) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
CREATE CAST (box AS bool) WITH FUNCTION unbox(box) AS IMPLICIT;
CREATE TABLE boxes (a box);
CREATE VIEW view_cast AS SELECT 1 AS one FROM boxes WHERE a AND g(1) AND 1 === 1;
CREATE VIEW view_named AS SELECT f(1) AS one WHERE 1 === 1;
CREATE TABLE lonely (a good);
CREATE VIEW view_row AS SELECT json_populate_record(NULL::lonely, '{}') IS NULL AS one;
CREATE VIEW view_domain AS SELECT NULL::better AS one;
CREATE FUNCTION difference(float8, float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END';
CREATE TYPE span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = difference);
CREATE TABLE spans (a span_multirange);
CREATE VIEW view_trigger AS SELECT 1 AS one;
CREATE TRIGGER one INSTEAD OF INSERT ON view_trigger FOR EACH ROW EXECUTE FUNCTION t();
CREATE VIEW view_default AS SELECT 1 AS one;
ALTER VIEW view_default ALTER one SET DEFAULT f(1);
CREATE MATERIALIZED VIEW copied AS SELECT f(1) AS one;

CREATE TABLE everything (a good DEFAULT f(1) CHECK (g(a)), b int GENERATED ALWAYS AS (f(1)) STORED);
CREATE INDEX ON everything (f(a));
CREATE TRIGGER two BEFORE INSERT ON everything FOR EACH ROW EXECUTE FUNCTION t();
CREATE TRIGGER one BEFORE UPDATE ON everything FOR EACH ROW EXECUTE FUNCTION t();
`

func TestReadUnseen(t *testing.T) {
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		snapshot := s.snapshot(t, s.database(t, unseenScript), pool.Analyze)
		want := map[string]string{ // what runs when it is read | written
			"plain":            " | ",
			"defaults":         " | f",
			"generated":        " | f",
			"checked":          " | g",
			"by_operator":      " | o",
			"indexed":          " | f",
			"partly_indexed":   " | g",
			"triggered":        " | g t",
			"disabled":         " | ",
			"parted":           " | f",
			"parted_1":         " | f",
			"parted_1_1":       " | f",
			"parted_trigger":   " | t",
			"parted_trigger_1": " | t",
			"part_trigger":     " | ", // what its parts run
			"part_trigger_1":   " | ",
			"part_trigger_2":   " | g t",
			"heired":           " | ",
			"heir":             " | g",
			"policy_all":       "g | g",
			"policy_select":    "g | g",
			"policy_update":    "g | g",
			"policy_insert":    " | g",
			"policy_off":       " | ",
			"domain":           " | g",
			"domain_twice":     " | g",
			"domain_array":     " | g",
			"domain_composite": " | g",
			"domain_row":       " | g",
			"domain_default":   " | f",
			"domain_gone":      " | ",
			"boxes":            " | ",
			"view_cast":        "unbox | ", // g and === are in its definition
			"view_named":       " | ",
			"lonely":           " | g",
			"view_row":         "g | ",
			"view_domain":      "g | g",
			"spans":            " | difference",
			"view_trigger":     " | t",
			"view_default":     " | f",
			"copied":           " | f",
			"everything":       " | f g t",
		}
		got := map[string]string{}
		for name, relation := range snapshot.Relations {
			if name.Schema == "public" && relation.Kind != KindOther && relation.Kind != KindCompositeType {
				got[name.Name] = names(relation.OnRead) + " | " + names(relation.OnWrite)
			} else if len(relation.OnRead)+len(relation.OnWrite) > 0 {
				t.Errorf("%v runs %s | %s", name, names(relation.OnRead), names(relation.OnWrite))
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error("functions that run unseen (-want +got):\n" + diff)
		}
	})
}

func names(functions []*Function) string {
	var list []string
	for _, f := range functions {
		list = append(list, f.Name.Name)
	}
	return strings.Join(list, " ")
}
