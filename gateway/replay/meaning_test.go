package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
)

// meaningRego denies what reads the secrets.
const meaningRego = `package sallyport.statement

decision := {"allow": count(reasons) == 0, "reasons": reasons}

reasons contains "no secrets" if input.statement.statements[_].relations[_].name == "secrets"

reasons contains "incomplete" if not input.statement.complete
`

// namesOfNow gives every text of database app the relations that its view reads now.
func namesOfNow(_ context.Context, database, route string, sheet *statement.Sheet, path []string) (*statement.Sheet, error) {
	if database != "app" || route != "" || len(path) == 0 {
		return sheet, nil
	}
	resolved := *sheet
	resolved.Resolved = true
	resolved.Statements = []statement.Statement{{Command: "SELECT", Relations: []statement.Relation{{Name: "secrets"}}}}
	return &resolved, nil
}

func relationNames(sheet *statement.Sheet) (names []string) {
	for _, r := range sheet.Statements[0].Relations {
		names = append(names, r.Name)
	}
	return names
}

// TestReplayByMeaning: with a catalog statements are judged by what their names mean now, and each difference says so, and whether that is
// what they meant then.
func TestReplayByMeaning(t *testing.T) {
	r, _ := replayBy(t, meaningRego, nil)
	r.cfg.Resolve, r.cfg.Relations = namesOfNow, relationNames
	var found []string
	r.cfg.Report = func(d *Difference) error {
		found = append(found, fmt.Sprintf("%s %s, resolved %t → %t, other meaning %t", d.ID, d.Change, d.Old.Resolved, d.New.Resolved, d.OtherMeaning))
		return nil
	}
	resolved := func(n uint64, relations ...string) *audit.Statement {
		return with(said("s", n, "allow", "SELECT"), func(s *audit.Statement) { s.Resolved, s.Facts = true, audit.NewFacts(nil, relations, "") })
	}
	moved := with(said("s", 6, "deny", "SELECT"), func(s *audit.Statement) { s.Incomplete = true })
	many := slices.Repeat([]string{"secrets"}, 300) // more than the log keeps
	events := opened(
		resolved(1, "secrets"), resolved(2, "orders"), said("s", 3, "allow", "SELECT"), resolved(4, many...), resolved(5, strings.Repeat("x", 5000)), moved,
	)
	if err := r.Read(t.Context(), strings.NewReader(log(events...))); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"s.1 newly_denied, resolved true → true, other meaning false",
		"s.2 newly_denied, resolved true → true, other meaning true",
		"s.3 newly_denied, resolved false → true, other meaning false",
		"s.4 newly_denied, resolved true → true, other meaning false",
		"s.5 newly_denied, resolved true → true, other meaning false",
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	if c := r.Counts(); c.ByCatalog != 5 || c.OtherMeaning != 1 || c.ByText != 0 || c.Statements[Same] != 1 {
		t.Errorf("%+v", c)
	}
}

// TestReplayMeaningUnknown: a catalog that was asked for and cannot be read ends the replay.
func TestReplayMeaningUnknown(t *testing.T) {
	unread := errors.New("the catalog cannot be read")
	r, _ := replayBy(t, meaningRego, nil)
	r.cfg.Resolve = func(context.Context, string, string, *statement.Sheet, []string) (*statement.Sheet, error) {
		return nil, unread
	}
	if err := r.Read(t.Context(), strings.NewReader(log(opened(said("s", 1, "allow", "SELECT"))...))); !errors.Is(err, unread) {
		t.Errorf("got %v", err)
	}
}
