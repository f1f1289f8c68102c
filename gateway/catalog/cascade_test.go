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
	}
	onServers(t, func(t *testing.T, s *server) {
		snapshot := s.snapshot(t, s.database(t, partsScript), pool.Analyze)
		for text, want := range want {
			var got []string
			for _, r := range snapshot.Resolve(analyzed(t, pool, text), []string{"public"}).Statements[0].Relations {
				if len(r.Through) > 0 {
					got = append(got, r.Name+" "+strings.Join(r.Access, ",")+" through "+strings.Join(unqualified(r.Through), " "))
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", text, diff)
			}
		}
	})
}

func unqualified(names []statement.Name) []string {
	var all []string
	for _, n := range names {
		all = append(all, n.Name)
	}
	return all
}
