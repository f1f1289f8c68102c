package proof

import (
	"errors"
	"strings"
	"testing"
)

// TestSchema: a file says its version in its first line, and who was not made for that version does not read it.
func TestSchema(t *testing.T) {
	start := string(AppendStart(nil, at, &Tree{}))
	versioned := func(version string) string { return strings.Replace(start, `"schema":"1.1",`, version, 1) }
	if !strings.Contains(start, `"session":"","schema":"1.1","size":0,`) {
		t.Fatalf("the first line is %s", start)
	}
	tests := map[string]struct {
		line     string
		refused  string
		isNoLeaf bool
	}{
		"this one":                        {start, "", true},
		"from before there were any":      {versioned(""), "", true},
		"an earlier minor one":            {versioned(`"schema":"1.0",`), "", true},
		"a later minor one":               {versioned(`"schema":"1.7",`), "", true},
		"a later major one":               {versioned(`"schema":"2.0",`), "2.0", false},
		"a later one, of another form":    {`{"time":"2026-03-02T09:14:07.120431Z","type":"tree","session":"","schema":"10.3"}`, "10.3", false},
		"no version":                      {versioned(`"schema":"1",`), "1", false},
		"one that is written otherwise":   {versioned(`"schema":"01.0",`), "01.0", false},
		"an event that only speaks of it": {event(1) + `"schema":"2.0"`, "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := NewLines(strings.NewReader(test.line + "\n")).Next()
			var schema *SchemaError
			if test.refused == "" && err != nil || test.refused != "" && (!errors.As(err, &schema) || schema.Version != test.refused) {
				t.Errorf("%v, want a refusal of %q", err, test.refused)
			}
			if got := KindOf([]byte(test.line)) == KindStart; got != test.isNoLeaf {
				t.Errorf("is a start: %v, want %v", got, test.isNoLeaf)
			}
		})
	}
	if _, err := Resume(strings.NewReader(versioned(`"schema":"2.0",`) + "\n")); !strings.Contains(err.Error(), "schema 2.0, this program reads 1.x") {
		t.Errorf("a log was gone on with: %v", err)
	}
	if err := NewVerifier(nil).File("audit.log", strings.NewReader(versioned(`"schema":"2.0",`)+"\n")); err == nil || !strings.Contains(err.Error(), "audit.log:1: ") {
		t.Errorf("a log was verified: %v", err)
	}
}
