package authz

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz/statement"
)

const explained = `package sallyport.statement

import data.lib

decision := {"allow": true, "reasons": []} if input.session.observe

else := {"allow": count(reasons) == 0, "reasons": reasons}

reasons contains "it is incomplete" if not input.statement.complete

reasons contains reason if some reason in lib.reasons

reasons contains sprintf("%s and %s", ["twice", input.identity.user]) if input.session.role == "twice"

reasons contains sprintf("twice and %s", [input.identity.user]) if input.session.role == "twice"
`

const library = `package lib

reasons contains sprintf("%s is nobody", [input.identity.user]) if {
	input.identity.user == ""
}

reasons contains "never" if input.session.role == "never"
`

func explainEngine(t *testing.T) (e *Engine, place func(string) string) {
	t.Helper()
	dir := directory(t, map[string]string{
		"statement.rego": explained, "lib.rego": library,
		"connect.rego": "package sallyport.connect\n\ndecision := {\"allow\": false, \"reasons\": [\"not \\u0007 today\"]}\n",
	})
	e, err := New(Config{Timeout: patience, Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	return e, func(name string) string { return filepath.Join(dir, name) }
}

func TestExplainStatement(t *testing.T) {
	e, at := explainEngine(t)
	for name, test := range map[string]struct {
		identity Identity
		session  Session
		complete bool
		decided  string
		reasons  []Reason
	}{
		"allowed": {Identity{User: "ana"}, Session{}, true, at("statement.rego:7"), []Reason{}},
		"observed, by the first branch": {
			Identity{}, Session{Observe: true}, false, at("statement.rego:5"), []Reason{},
		},
		"denied by a rule of its own": {
			Identity{User: "ana"},
			Session{},
			false, at("statement.rego:7"),
			[]Reason{{"it is incomplete", []string{at("statement.rego:9")}, []string{}}},
		},
		"denied by another package": {
			Identity{},
			Session{},
			true, at("statement.rego:7"),
			[]Reason{{" is nobody", []string{at("lib.rego:3")}, []string{at("statement.rego:11")}}},
		},
		"one reason of two rules": {
			Identity{User: "ana"},
			Session{Role: "twice"},
			true, at("statement.rego:7"),
			[]Reason{{"twice and ana", []string{at("statement.rego:13"), at("statement.rego:15")}, []string{}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			input := &StatementInput{Identity: test.identity, Session: test.session, Statement: &statement.Sheet{Complete: test.complete}}
			d, x, err := e.ExplainStatement(t.Context(), input)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.reasons, x.Reasons); diff != "" {
				t.Error(diff)
			}
			if x.Decided != test.decided {
				t.Errorf("decided by %s, want %s", x.Decided, test.decided)
			}
			plain, err := e.Statement(t.Context(), input)
			if err != nil || !cmp.Equal(plain, d) {
				t.Errorf("explained it is %+v, else %+v, %v", d, plain, err)
			}
		})
	}
}

// TestExplainAsks: an allow shows which rules had nothing against it.
func TestExplainAsks(t *testing.T) {
	e, at := explainEngine(t)
	_, x, err := e.ExplainStatement(t.Context(), &StatementInput{Identity: Identity{User: "ana"}, Session: Session{Role: "r"}, Statement: &statement.Sheet{Complete: true}})
	if err != nil {
		t.Fatal(err)
	}
	// What the index of rules rules out by its first look is not asked: "role is twice", "user is nobody".
	want := []string{at("statement.rego:9"), at("statement.rego:11")}
	if diff := cmp.Diff(want, x.Asked); diff != "" {
		t.Error(diff)
	}
}

func TestExplainConnect(t *testing.T) {
	e, at := explainEngine(t)
	d, x, err := e.ExplainConnect(t.Context(), &ConnectInput{})
	if err != nil || d.Allow {
		t.Fatalf("%+v, %v", d, err)
	}
	want := &Explanation{Decided: at("connect.rego:3"), Asked: []string{}, Reasons: []Reason{{"not \ufffd today", []string{at("connect.rego:3")}, []string{}}}}
	if diff := cmp.Diff(want, x); diff != "" {
		t.Error(diff)
	}
}
