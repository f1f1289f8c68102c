package inspect

import (
	"fmt"
	"strings"
	"testing"
)

// TestFindingsAreWhole: every check says what, why and what to do, of any row.
func TestFindingsAreWhole(t *testing.T) {
	names := make(map[string]bool)
	for _, c := range checks() {
		f := c.finding([]string{"one%s", "two", "three", "four"})
		for _, text := range append([]string{f.What, f.Why, c.what, c.query}, f.Fix...) {
			if text == "" || strings.Contains(text, "%!") {
				t.Errorf("%s: %q", c.name, text)
			}
		}
		if len(f.Fix) == 0 || f.Severity == "" || f.Kind == "" || names[c.name] {
			t.Errorf("%s: %+v", c.name, f)
		}
		names[c.name] = true
		for _, statement := range f.Fix {
			if f.Kind == SQL && !strings.HasSuffix(statement, ";") {
				t.Errorf("%s: %q is no statement", c.name, statement)
			}
		}
	}
}

func TestRelease(t *testing.T) {
	for number, want := range map[int]string{
		90624: "release.ended", 120022: "release.ended", 130023: "release.ended", 140024: "release.holes", 140025: "", 150018: "release.holes",
		150020: "", 160015: "release.holes", 160016: "", 170012: "", 170011: "release.holes", 180006: "release.holes", 180007: "", 180012: "",
		190000: "unseen",
	} {
		i := &inspection{}
		i.release("x", fmt.Sprint(number))
		got := ""
		for _, f := range i.report.Findings {
			got += f.Check
			if !strings.Contains(f.Fix[0], releasesOf) {
				t.Errorf("%d: it does not say as of when: %s", number, f.Fix[0])
			}
		}
		if len(i.report.Unseen) > 0 {
			got += "unseen"
		}
		if got != want {
			t.Errorf("%d: got %q, want %q", number, got, want)
		}
	}
}
