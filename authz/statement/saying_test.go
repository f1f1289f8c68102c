package statement

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSaying: which sheets are taken to say the same. Those that may not be are what matters: a decision about one is given for the other.
func TestSaying(t *testing.T) {
	statements := []Statement{{Command: "SELECT"}, {Command: "DELETE"}}
	reasons := []string{"a", "b"}
	sheet := &Sheet{Complete: true, Statements: statements, Incomplete: reasons, Fingerprint: "a", Normalized: "a"}
	for name, test := range map[string]struct {
		change func(*Sheet)
		same   bool
	}{
		"itself":                   {func(*Sheet) {}, true},
		"another fingerprint":      {func(s *Sheet) { s.Fingerprint = "b" }, true},
		"another normalized text":  {func(s *Sheet) { s.Normalized = "b" }, true},
		"not complete":             {func(s *Sheet) { s.Complete = false }, false},
		"resolved":                 {func(s *Sheet) { s.Resolved = true }, false},
		"its first statement":      {func(s *Sheet) { s.Statements = statements[:1] }, false},
		"its second statement":     {func(s *Sheet) { s.Statements = statements[1:] }, false},
		"no statement":             {func(s *Sheet) { s.Statements = []Statement{} }, false},
		"other statements":         {func(s *Sheet) { s.Statements = []Statement{{Command: "DROP TABLE"}, {Command: "DELETE"}} }, false},
		"a reason less":            {func(s *Sheet) { s.Incomplete = reasons[:1] }, false},
		"no reasons":               {func(s *Sheet) { s.Incomplete = nil }, false},
		"other reasons, as many":   {func(s *Sheet) { s.Incomplete = []string{"c", "d"} }, false},
		"statements of equal text": {func(s *Sheet) { s.Statements = append([]Statement{}, statements...) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			other := *sheet
			test.change(&other)
			if got := other.Saying() == sheet.Saying(); got != test.same {
				t.Errorf("the same: %t, want %t", got, test.same)
			}
		})
	}
}

func TestCalled(t *testing.T) {
	facts := &Sheet{Complete: true, Statements: []Statement{{Command: "SELECT"}}}
	called := facts.Called(&Sheet{Fingerprint: "f", Normalized: "n", Statements: []Statement{{Command: "DROP TABLE"}}})
	want := &Sheet{Complete: true, Statements: facts.Statements, Fingerprint: "f", Normalized: "n"}
	if diff := cmp.Diff(want, called); diff != "" || called.Saying() != facts.Saying() {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if facts.Fingerprint != "" || facts.Called(&Sheet{}) != facts {
		t.Error("a sheet was changed, or made anew for the names that it had")
	}
}

// TestAnalyzeAhead: the facts come before the names, to whoever is first to ask for a text, and for a text alone that was not known. Who is
// late to look finds all of it done, and nothing is ahead: not each time.
func TestAnalyzeAhead(t *testing.T) {
	pool, came := startPool(t, Config{}), 0
	for _, test := range []struct {
		name, text string
		ahead      bool
	}{
		{"a new text", "SELECT id FROM app.orders WHERE id = 1", true},
		{"the text again", "SELECT id FROM app.orders WHERE id = 1", false},
		{"another literal", "SELECT id FROM app.orders WHERE id = 2", false},
		{"another spelling of the same facts", "select id from app.orders where  id = 1", true},
		{"no statement", ";", true},
		{"a syntax error", "SELEC", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var facts *Sheet
			sheet, err := pool.AnalyzeAhead(t.Context(), test.text, func(f *Sheet) { facts = f })
			if facts == nil {
				return
			}
			if came++; !test.ahead {
				t.Error("facts came ahead")
			}
			if err != nil || facts.Fingerprint != "" || facts.Normalized != "" || sheet.Normalized != test.text && sheet.Fingerprint == "" {
				t.Errorf("got %+v, then %+v, %v", facts, sheet, err)
			}
			if facts.Saying() != sheet.Saying() {
				t.Error("what was said ahead is not what was said")
			}
		})
	}
	if came == 0 {
		t.Error("no facts came ahead")
	}
}

// TestAnalyzeAheadTakesTime: what is done ahead may take all the time there was; the sheet that is there by then is not late.
func TestAnalyzeAheadTakesTime(t *testing.T) {
	pool := startPool(t, Config{})
	for n := range 20 {
		text := fmt.Sprintf("SELECT a%d FROM app.orders", n)
		ctx, cancel := context.WithCancel(t.Context())
		sheet, err := pool.AnalyzeAhead(ctx, text, func(*Sheet) {
			pool.mu.Lock()
			j := pool.pending[text]
			pool.mu.Unlock()
			if j != nil { // else it is done
				<-j.done
			}
			cancel()
		})
		if sheet == nil || err != nil {
			t.Fatalf("got %v, %v", sheet, err)
		}
	}
}

// TestEqualFactsSayTheSame: a decision about a text holds for another with its facts.
func TestEqualFactsSayTheSame(t *testing.T) {
	pool := startPool(t, Config{})
	analyze := func(text string) *Sheet {
		sheet, err := pool.Analyze(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		return sheet
	}
	first := analyze("SELECT * FROM t WHERE id = 1;")
	for text, same := range map[string]bool{
		"select  * from T\nwhere id = 7":    true,
		"SELECT * FROM u WHERE id = 1;":     false,
		"SELECT * FROM t WHERE ssn = 1;":    false,
		"SELECT * FROM t WHERE id = now();": false,
	} {
		if got := analyze(text).Saying() == first.Saying(); got != same {
			t.Errorf("%s says the same: %t, want %t", text, got, same)
		}
	}
}
