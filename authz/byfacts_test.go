package authz

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz/statement"
)

// callers are policies that look at how a text is called, or may, and policies that do not.
var callers = map[string]struct {
	policy string
	read   bool
}{
	"nothing":               {decide + "reasons contains \"x\" if not input.statement.complete", false},
	"the statements":        {decide + "reasons contains s.command if some s in input.statement.statements", false},
	"a session":             {decide + "reasons contains \"x\" if input.session.role == \"\"", false},
	"the fingerprint":       {decide + "reasons contains \"x\" if input.statement.fingerprint == \"b\"", true},
	"the normalized text":   {decide + "reasons contains \"x\" if contains(input.statement.normalized, \"b\")", true},
	"by another name":       {decide + "reasons contains \"x\" if { s := input.statement; s.fingerprint == \"b\" }", true},
	"by a computed name":    {decide + "reasons contains \"x\" if { some key in {\"fingerprint\"}; input.statement[key] == \"b\" }", true},
	"by a path":             {decide + "reasons contains \"x\" if object.get(input, [\"statement\", \"normalized\"], \"\") == \"b\"", true},
	"the whole input":       {decide + "reasons contains \"x\" if { walk(input, [path, \"b\"]); count(path) == 2 }", true},
	"a function of it":      {decide + "reasons contains \"x\" if late(input.statement)\nlate(s) if s.normalized == \"b\"", true},
	"another rule":          {decide + "reasons contains \"x\" if called == \"b\"\ncalled := input.statement.fingerprint", true},
	"in an else":            {"decision := {\"allow\": true, \"reasons\": []} if input.session.observe\nelse := {\"allow\": false, \"reasons\": [input.statement.normalized]}", true},
	"with other statements": {decide + "reasons contains \"x\" if late with input.statement as {\"complete\": true}\nlate if not input.statement.complete", true},
}

func TestByFacts(t *testing.T) {
	for name, test := range callers {
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{Timeout: patience, Directory: directory(t, statementPolicy(test.policy))})
			if err != nil {
				t.Fatal(err)
			}
			if got := !e.Policy().ByFacts(); got != test.read {
				t.Errorf("reads names: %t, want %t", got, test.read)
			}
			facts := benchmarkInput().Statement
			said := map[string]bool{}
			for _, name := range []string{"", "a", "b", "a"} {
				input := benchmarkInput()
				input.Statement = facts.Called(&statement.Sheet{Fingerprint: name, Normalized: name})
				got, err := e.Statement(t.Context(), input)
				if err != nil {
					t.Fatal(err)
				}
				want, err := e.statementBy(t.Context(), e.Policy(), input)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("a text called %q (-want +got)\n%s", name, diff)
				}
				said[fmt.Sprint(got.Allow, got.Reasons)] = true
			}
			if name != "with other statements" && test.read != (len(said) > 1) {
				t.Errorf("the policy reads names: %t; it said %d different things", test.read, len(said))
			}
		})
	}
}

// TestByFactsTakesRemembering: a policy that looks at the clock is asked anew each time, whatever it reads of the text.
func TestByFactsTakesRemembering(t *testing.T) {
	e, err := New(Config{Timeout: patience, Directory: directory(t, statementPolicy(decide+"reasons contains \"x\" if time.now_ns() == 0"))})
	if err != nil {
		t.Fatal(err)
	}
	if e.Policy().ByFacts() {
		t.Error("a decision that passes is taken for one that is remembered")
	}
}
