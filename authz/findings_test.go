package authz

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/sallyport/sallyport/authz/statement"
)

// rememberers are policies in which taking a document from one query to the next could go wrong.
var rememberers = map[string]map[string]string{
	"of the statement": statementPolicy(decide + "reasons contains \"x\" if seen.complete\nseen := input.statement"),
	"through a rule":   statementPolicy(decide + "reasons contains text if some text in texts\ntexts := inner\ninner contains text if some text in input.statement.incomplete"),
	"through a function": statementPolicy(decide + "reasons contains \"x\" if late\nlate if told(input.session)\n" +
		"told(_) if not input.statement.complete"),
	"the whole input": statementPolicy(decide + "reasons contains \"x\" if late\nlate if { some part in input; part.complete }"),
	"a computed part": statementPolicy(decide + "reasons contains \"x\" if late\nlate if input[part].complete\npart := \"statement\" if true"),
	"another input":   statementPolicy(decide + "reasons contains \"x\" if late with input.session.role as input.statement.fingerprint\nlate if input.session.role != \"\"\nreasons contains \"y\" if late"),
	"an undefined":    statementPolicy(decide + "reasons contains \"x\" if not late\nlate if input.session.role == \"readonly\"\nreasons contains \"y\" if { late; input.statement.complete }"),
	"a default":       statementPolicy(decide + "default late := false\nlate if input.session.observe\nreasons contains \"x\" if { not late; input.statement.complete }"),
	"an else":         statementPolicy(decide + "late := 1 if input.session.observe\nelse := 2 if input.statement.complete\nelse := 3\nreasons contains sprintf(\"%d\", [late])"),
	"a document in parts": statementPolicy(decide + "late.a := input.session.role\nlate.b := input.statement.fingerprint\n" +
		"reasons contains sprintf(\"%v\", [late])"),
	"a part by a key": statementPolicy(decide + "late[key] := value if some key, value in input.session\nreasons contains late[key] if { some key in [\"role\", \"database\"]; input.statement.complete }"),
	"a part by its name beside parts by a key": statementPolicy(decide + "late.x := 1 if input.session.observe\nlate[key] := 1 if some key in input.statement.incomplete\n" +
		"reasons contains \"late\" if late.x"),
	"parts of a part": statementPolicy(decide + "late.x.y := 1 if input.session.observe\nlate[key].y := 1 if some key in input.statement.incomplete\n" +
		"reasons contains \"late\" if late.x.y"),
	"members by a key": statementPolicy(decide + "late.x contains 1 if input.session.observe\nlate[key] contains 1 if some key in input.statement.incomplete\n" +
		"reasons contains \"late\" if late.x[1]"),
	"the part of a part": statementPolicy(decide + "late.x := {\"y\": 1} if input.session.observe\nlate[key] := {\"y\": 1} if some key in input.statement.incomplete\n" +
		"reasons contains \"late\" if late.x.y == 1"),
	"parts by numbers": statementPolicy(decide + "late[1] := input.session.role\nlate[true] := 1 if input.statement.complete\n" +
		"reasons contains late[1] if late[true]"),
	// What is remembered of a call is kept at a path too: the function's name and what it was given.
	"a call that spells a path": statementPolicy(decide + "f(a, b, c) := concat(\" \", [a, b, c])\nrole := input.session.role\n" +
		"reasons contains role\nreasons contains f(\"sallyport\", \"statement\", \"role\")"),
	"another data": {
		"statement.rego": "package sallyport.statement\n" + decide + "limit := data.limit\nreasons contains \"x\" if limit == 2 with data.limit as count(input.statement.incomplete)\nreasons contains sprintf(\"%d\", [limit])",
		"data.yaml":      "limit: 2",
	},
	"another function": statementPolicy(decide + "late := upper(input.session.role)\nreasons contains \"x\" if late == \"readonly\" with upper as lower\nreasons contains late if input.statement.complete"),
	"everything in a package": {
		"statement.rego": "package sallyport.statement\n" + decide + "reasons contains sprintf(\"%v\", [data.lib])",
		"lib.rego":       "package lib\nrole := input.session.role\ncomplete := input.statement.complete\nnever if false\nnames contains name if some name in input.identity.groups",
	},
}

// asksAnew decides without anything that is remembered.
func asksAnew(t *testing.T, e *Engine, input *StatementInput) *StatementDecision {
	t.Helper()
	fresh := *input
	decision, err := e.statementBy(t.Context(), e.Policy(), &fresh, rego.EvalVirtualCache(topdown.NewVirtualCache()))
	if err != nil {
		t.Fatal(err)
	}
	return decision
}

func sheetsOfAllKinds() []*statement.Sheet {
	sheets := []*statement.Sheet{
		{Complete: true, Fingerprint: "f"},
		{Incomplete: []string{"x", "y"}},
		benchmarkInput().Statement, benchmarkReport().Statement,
		benchmarkBegin().Statement,
	}
	for _, sample := range sampleStatements() {
		sheets = append(sheets, sample.Statement)
	}
	return sheets
}

// TestFindingsHold: what a policy was found to say of a session, or of all, changes no decision. Sessions of all kinds ask in turn.
func TestFindingsHold(t *testing.T) {
	directories := map[string]string{"default": "../policies"}
	for name, files := range rememberers {
		directories[name] = directory(t, files)
	}
	for name, test := range readers {
		directories["reads "+name] = directory(t, test.files)
	}
	for name, dir := range directories {
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{Directory: dir, Timeout: patience})
			if err != nil {
				t.Fatal(err)
			}
			random, sheets := rand.New(rand.NewPCG(5, 6)), sheetsOfAllKinds()
			var sessions []*StatementInput
			for range 5 {
				session := benchmarkInput()
				for range random.IntN(4) {
					change(random, session)
				}
				sessions = append(sessions, session)
			}
			for range 40 {
				session := sessions[random.IntN(len(sessions))]
				session.Statement = sheets[random.IntN(len(sheets))]
				got, err := e.statementBy(t.Context(), e.Policy(), session)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(asksAnew(t, e, session), got); diff != "" {
					t.Fatalf("%+v\n(-want +got)\n%s", session, diff)
				}
			}
		})
	}
}

// TestFindingsAreKept: what the default policy makes of a session it makes once, and what of nothing but the data once for all.
func TestFindingsAreKept(t *testing.T) {
	e, err := New(Config{Directory: "../policies", Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	p, input := e.Policy(), benchmarkReport()
	if _, err := e.statementBy(t.Context(), p, input); err != nil {
		t.Fatal(err)
	}
	kept := func(path string) bool {
		index := p.rules.find(ast.MustParseRef(path))
		return index >= 0 && (input.asker.extents[index] != nil || (*p.rules.common.Load())[index] != nil)
	}
	for path, want := range map[string]bool{
		"data.sallyport.access.database": true, "data.sallyport.access.role": true, "data.sallyport.builtins.functions": true,
		"data.sallyport.relations.reasons": false, "data.sallyport.statement.decision": false, "data.sallyport.functions.permitted": false,
	} {
		if kept(path) != want {
			t.Errorf("%s: kept is %v", path, !want)
		}
	}
	again, other := p.rules.findings(input.asker.extents), p.rules.findings(nil)
	role, functions := ast.MustParseRef("data.sallyport.access.role"), ast.MustParseRef("data.sallyport.builtins.functions")
	for path, want := range map[*ast.Ref][2]bool{&role: {true, false}, &functions: {true, true}} {
		mine, _ := again.Get(*path)
		others, _ := other.Get(*path)
		if got := [2]bool{mine != nil, others != nil}; got != want {
			t.Errorf("%s: known to the session and to another one: %v", path, got)
		}
	}
}

// TestRulesOfOthersAreNotTried: what begins with an equality that does not hold costs a decision nothing, however much of it there is.
func TestRulesOfOthersAreNotTried(t *testing.T) {
	allocations := func(dir string) float64 {
		e, err := New(Config{Timeout: patience, Directory: dir})
		if err != nil {
			t.Fatal(err)
		}
		input := benchmarkReport()
		return testing.AllocsPerRun(20, func() {
			if _, err := e.statementBy(t.Context(), e.Policy(), input); err != nil {
				t.Error(err)
			}
		})
	}
	alone, among := allocations("../policies"), allocations(teams(t, 10))
	if among > alone*1.05 {
		t.Errorf("%v allocations among 500 rules of others, %v alone", among, alone)
	}
}

// TestFailuresAreNotKept: a document that was found on the way to an error is found again.
func TestFailuresAreNotKept(t *testing.T) {
	e, err := New(Config{Timeout: patience, Directory: directory(t, statementPolicy(decide+
		"reasons contains role\nrole := input.session.role\nreasons contains \"x\" if { input.statement.fingerprint == \"broken\"; to_number(role) }"))})
	if err != nil {
		t.Fatal(err)
	}
	input := benchmarkInput()
	input.Statement = &statement.Sheet{Fingerprint: "broken"}
	if _, err := e.statementBy(t.Context(), e.Policy(), input); err == nil || input.asker.extents != nil {
		t.Errorf("got %v, and kept %v", err, input.asker.extents)
	}
}

// TestFindingsAreShared between sessions that ask at once.
func TestFindingsAreShared(t *testing.T) {
	e, err := New(Config{Directory: "../policies", Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	var sessions sync.WaitGroup
	for i := range 4 {
		sessions.Go(func() {
			input := benchmarkReport()
			input.Identity.User = fmt.Sprint("user", i)
			want := "table app.orders is not granted to " + input.Identity.User
			for range 20 {
				decision, err := e.statementBy(t.Context(), e.Policy(), input)
				if err != nil || !slices.Contains(decision.Reasons, want) {
					t.Errorf("got %+v, %v", decision, err)
					return
				}
			}
		})
	}
	sessions.Wait()
}
