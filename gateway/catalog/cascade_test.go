package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz/statement"
)

const partsScript = `
CREATE TABLE whole (id int PRIMARY KEY, note text) PARTITION BY LIST (id);
CREATE TABLE one PARTITION OF whole FOR VALUES IN (1);
CREATE TABLE two PARTITION OF whole FOR VALUES IN (2);
CREATE TABLE of_whole (x int REFERENCES whole ON DELETE CASCADE);
CREATE TABLE of_one (x int REFERENCES one ON DELETE SET NULL);
CREATE TABLE base (id int);
CREATE TABLE heir (PRIMARY KEY (id)) INHERITS (base);
CREATE TABLE of_heir (x int REFERENCES heir ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE computed (id int, half int, twice int GENERATED ALWAYS AS (half * 2) STORED UNIQUE);
CREATE TABLE of_computed (x int REFERENCES computed (twice) ON UPDATE CASCADE ON DELETE SET NULL);
`

// TestCascadesOfParts: a key that refers to a partition or an heir alone is followed when the parent is changed, and one that refers to the
// partitioned table, and so to each of its partitions, once.
func TestCascadesOfParts(t *testing.T) {
	pool := startPool(t)
	want := map[string][]string{
		"DELETE FROM whole WHERE id = 1":          {"of_one update through whole one", "of_whole delete through whole"},
		"DELETE FROM one WHERE id = 1":            {"of_one update through one", "of_whole delete through one"},
		"DELETE FROM two WHERE id = 2":            {"of_whole delete through two"},
		"DELETE FROM base WHERE id = 1":           {"of_heir delete through base heir"},
		"UPDATE base SET id = 2 WHERE id = 1":     {"of_heir update through base heir"},
		"UPDATE whole SET note = '' WHERE id = 1": nil,
		"INSERT INTO whole VALUES (1)":            nil,
		"SELECT id FROM base":                     nil,
		"UPDATE computed SET half = 2":            {"of_computed update through computed"},
		"UPDATE computed SET id = 2":              {"of_computed update through computed"}, // what it is computed of is not looked at
		"INSERT INTO computed VALUES (1)":         nil,
		"SELECT id FROM computed FOR UPDATE":      nil,
	}
	onServers(t, func(t *testing.T, s *server) {
		snapshot := s.snapshot(t, s.database(t, partsScript), pool.Analyze)
		for text, want := range want {
			if diff := cmp.Diff(want, changedBehind(snapshot.Resolve(analyzed(t, pool, text), []string{"public"}))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", text, diff)
			}
		}
	})
}

// TestCascadesOfMovedRows: before 15 an UPDATE that moves a row to another partition does to those that refer to it what a DELETE does
// (https://www.postgresql.org/docs/release/15.0/).
func TestCascadesOfMovedRows(t *testing.T) {
	pool := startPool(t)
	s := onServer(t)
	snapshot := s.snapshot(t, s.database(t, partsScript), pool.Analyze)
	for version, want := range map[int][]string{
		140020: {"of_one update through whole one", "of_whole delete through whole"},
		150000: nil,
	} {
		snapshot.Version = version
		for text, want := range map[string][]string{
			"UPDATE whole SET id = 2 WHERE id = 1":    want,
			"UPDATE whole SET note = '' WHERE id = 1": nil,
		} {
			if diff := cmp.Diff(want, changedBehind(snapshot.resolve(analyzed(t, pool, text), []string{"public"}, ""))); diff != "" {
				t.Errorf("%d: %s (-want +got):\n%s", version, text, diff)
			}
		}
	}
}

// changedBehind are the relations of a text's first statement that it does not name.
func changedBehind(sheet *statement.Sheet) []string {
	var got []string
	for _, r := range sheet.Statements[0].Relations {
		if len(r.Through) > 0 {
			got = append(got, r.Name+" "+strings.Join(r.Access, ",")+" through "+strings.Join(unqualified(r.Through), " "))
		}
	}
	slices.Sort(got)
	return got
}

func unqualified(names []statement.Name) []string {
	var all []string
	for _, n := range names {
		all = append(all, n.Name)
	}
	return all
}
