package catalog

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz/statement"
)

// sheetReading is a fresh sheet of a text that reads one table without saying in which schema.
func sheetReading(table string) *statement.Sheet {
	return &statement.Sheet{Complete: true, Statements: []statement.Statement{{
		Command: "SELECT", Relations: []statement.Relation{{Name: table, Access: []string{"select"}}},
	}}}
}

// small is a database with two schemas.
func small() *Snapshot {
	s := &Snapshot{Relations: map[statement.Name]*Relation{}}
	for _, name := range []statement.Name{{Schema: "app", Name: "customers"}, {Schema: "app", Name: "orders"}, {Schema: "public", Name: "customers"}} {
		s.Relations[name] = &Relation{Name: name, Kind: KindTable, Columns: []string{"id"}}
	}
	return s
}

// TestResolvedIsShared: sessions of one search path get one sheet, whose decisions they share then; others get another.
func TestResolvedIsShared(t *testing.T) {
	s, sheet := small(), sheetReading("customers")
	path := []string{"app", "pg_temp"}
	first := s.Resolve(sheet, path)
	for name, test := range map[string]struct {
		sheet *statement.Sheet
		path  []string
		same  bool
	}{
		"again":                   {sheet, path, true},
		"an equal path":           {sheet, []string{"app", "pg_temp"}, true},
		"another path":            {sheet, []string{"public", "pg_temp"}, false},
		"a path cut another way":  {sheet, []string{"apppg_temp"}, false},
		"another sheet":           {sheetReading("customers"), path, false},
		"a sheet of another name": {sheetReading("orders"), path, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.Resolve(test.sheet, test.path)
			if (got == first) != test.same {
				t.Errorf("the same sheet: %t, want %t", got == first, test.same)
			}
			if diff := cmp.Diff(s.resolve(test.sheet, test.path, ""), got); diff != "" {
				t.Errorf("not what the names mean (-want +got)\n%s", diff)
			}
		})
	}
	if other := small().Resolve(sheet, path); other == first {
		t.Error("two snapshots gave one sheet")
	}
}

// TestResolvedAhead: a sheet that was resolved before it had names is not resolved again once it has them, and has them then.
func TestResolvedAhead(t *testing.T) {
	s, facts := small(), sheetReading("customers")
	path := []string{"app", "pg_temp"}
	ahead := s.Resolve(facts, path)
	called := facts.Called(&statement.Sheet{Fingerprint: "f", Normalized: "n"})
	got := s.Resolve(called, path)
	if got.Saying() != ahead.Saying() || s.Resolve(called, path) != got {
		t.Error("it was resolved again")
	}
	if diff := cmp.Diff(s.resolve(called, path, ""), got); diff != "" || ahead.Fingerprint != "" {
		t.Errorf("not what the names mean (-want +got)\n%s", diff)
	}
	if other := s.Resolve(called, []string{"public"}); other.Saying() == got.Saying() {
		t.Error("one answer for two search paths")
	}
}

// TestResolvedAtOnce is for the race detector, too: sessions that ask at once get one sheet.
func TestResolvedAtOnce(t *testing.T) {
	s, sheet := small(), sheetReading("customers")
	got := make([]*statement.Sheet, 16)
	var sessions sync.WaitGroup
	for i := range got {
		sessions.Go(func() { got[i] = s.Resolve(sheet, []string{"app"}) })
	}
	sessions.Wait()
	for _, facts := range got {
		if facts != got[0] {
			t.Fatal("two sheets for one question")
		}
	}
}
