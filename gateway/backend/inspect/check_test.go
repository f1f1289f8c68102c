package inspect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// day is one on which the table is asked.
func day(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return at.Add(23 * time.Hour)
}

func TestRelease(t *testing.T) {
	const ended, holes = "release.ended", "release.holes"
	for _, test := range []struct {
		number int
		day    string
		want   []string
	}{
		{90624, "2026-11-01", []string{ended}},
		{120022, "2026-11-01", []string{ended}},
		{130023, "2026-11-01", []string{ended}},
		{130023, "2025-11-13", nil},
		{140024, "2026-11-12", []string{holes}},
		{140024, "2026-11-13", []string{ended, holes}},
		{140025, "2026-11-12", nil},
		{140025, "2026-11-13", []string{ended}},
		{140026, "2030-01-01", []string{ended}},
		{150018, "2026-11-27", []string{holes}},
		{150020, "2027-11-11", nil},
		{150020, "2027-11-12", []string{ended}},
		{160015, "2026-11-27", []string{holes}},
		{160016, "2028-11-09", nil},
		{160016, "2028-11-10", []string{ended}},
		{170011, "2026-11-27", []string{holes}},
		{170012, "2029-11-08", nil},
		{170012, "2029-11-09", []string{ended}},
		{180006, "2026-11-27", []string{holes}},
		{180007, "2030-11-14", nil},
		{180012, "2030-11-15", []string{ended}},
		{190000, "2026-11-27", []string{"unseen"}},
	} {
		i := &inspection{about: About{Day: day(t, test.day)}}
		i.release("x", fmt.Sprint(test.number))
		var got []string
		for _, f := range i.report.Findings {
			got = append(got, f.Check)
			if !strings.Contains(f.Fix[0], releasesOf) {
				t.Errorf("%d: it does not say as of when: %s", test.number, f.Fix[0])
			}
		}
		if len(i.report.Unseen) > 0 {
			got = append(got, "unseen")
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%d on %s: %s", test.number, test.day, diff)
		}
	}
}

// TestReleaseSays: a release is told of the holes that it has, what mends all of them, and of the end of its own major version.
func TestReleaseSays(t *testing.T) {
	for _, test := range []struct {
		number            int
		what, fix, hasNot string
	}{
		{150018, "known holes, CVE-2026-120141, CVE-2026-16239, CVE-2026-14680 among them", "15.20", "CVE-2026-6473"},
		{150017, "CVE-2026-14680, CVE-2026-6473 among them", "15.20", "nothing"},
		{150019, "known holes, CVE-2026-120141 among them", "15.20", "16239"},
		{180006, "known holes, CVE-2026-120141 among them", "18.7", "16239"},
		{180005, "CVE-2026-16239", "18.7", "CVE-2026-6473"},
		{90624, "since 2021-11-11", "upgrade", "nothing"},
		{90300, "since 2021-11-11", "upgrade", "nothing"},
		{80400, "since 2021-11-11", "upgrade", "nothing"},
		{100023, "since 2022-11-10", "upgrade", "nothing"},
		{110022, "since 2023-11-09", "upgrade", "nothing"},
		{120022, "since 2024-11-21", "upgrade", "nothing"},
		{130023, "since 2025-11-13", "upgrade", "nothing"},
		{140025, "since 2026-11-12", "upgrade", "nothing"},
	} {
		i := &inspection{about: About{Day: day(t, "2026-11-27")}}
		i.release("x", fmt.Sprint(test.number))
		if len(i.report.Findings) != 1 {
			t.Fatalf("%d: %+v", test.number, i.report.Findings)
		}
		if f := i.report.Findings[0]; !strings.Contains(f.What, test.what) || !strings.Contains(f.Fix[0], test.fix) || strings.Contains(f.What, test.hasNot) {
			t.Errorf("%d: %s: %s", test.number, f.What, f.Fix[0])
		}
	}
}
