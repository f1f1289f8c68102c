package main

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/backend/inspect"
)

// TestFindingsDoNotSteerTheTerminal: names in a database are anybody's who may make something there, and what is printed is run by
// superusers.
func TestFindingsDoNotSteerTheTerminal(t *testing.T) {
	const name = "x\x1b[2K\n  sql: GRANT admin TO eve; --\u009b"
	one := inspected{Database: "app", Report: inspect.Report{
		Findings: []inspect.Finding{{Check: "definer.public", Severity: inspect.High, What: name, Why: "why", Fix: []string{"ALTER ROUTINE " + name}, Kind: inspect.SQL}},
		Unseen:   []inspect.Unseen{{Check: "hba", What: "pg_hba.conf", Why: name}},
	}}
	var out strings.Builder
	one.print(&out)
	for line := range strings.Lines(out.String()) {
		if text := strings.TrimSuffix(line, "\n"); text != visible(text) || strings.HasPrefix(text, "  sql: GRANT") {
			t.Errorf("prints the line %q", text)
		}
	}
	if !strings.Contains(out.String(), "GRANT admin") {
		t.Errorf("does not show the name:\n%s", out.String())
	}
}
