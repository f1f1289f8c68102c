package authz

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"

	"github.com/sallyport/sallyport/authz/statement"
)

const decide = "decision := {\"allow\": count(reasons) == 0, \"reasons\": reasons}\n"

// readers are policies that look at the session in every way there is, and the fields that their decisions depend on.
var readers = map[string]struct {
	files map[string]string
	want  string
}{
	"nothing": {statementPolicy(decide + "reasons contains \"x\" if not input.statement.complete"), ""},
	"a field": {statementPolicy(decide + "reasons contains \"x\" if input.session.application_name == \"a\""), "session.application_name"},
	"a list":  {statementPolicy(decide + "reasons contains group if some group in input.identity.groups"), "identity.groups"},
	"a list by its index": {
		statementPolicy(decide + "reasons contains \"x\" if input.session.search_path[0] == \"a\"\nreasons contains \"y\" if { some i; input.identity.groups[i] == \"b\" }"),
		"identity.groups session.search_path",
	},
	"get": {
		statementPolicy(decide + "reasons contains object.get(input, [\"session\", \"database\"], \"\")"),
		"version action identity.* session.*",
	},
	"get of a part": {statementPolicy(decide + "reasons contains object.get(input.session, \"database\", \"\")"), "session.*"},
	"a computed name": {
		statementPolicy(decide + "reasons contains input.identity[key] if some key in {\"user\", \"name\"}"), "identity.*",
	},
	"a part by another name": {
		statementPolicy(decide + "reasons contains who.name if who := input.identity"), "identity.*",
	},
	"a comprehension": {
		statementPolicy(decide + "reasons contains key if some key in {key | some key, value in input.session; value == \"a\"}"), "session.*",
	},
	"everything": {statementPolicy(decide + "reasons contains sprintf(\"%v\", [value]) if { walk(input, [path, value]); is_string(value); count(path) == 2 }"), "version action identity.* session.*"},
	"with another input": {
		statementPolicy(decide + "reasons contains \"x\" if named with input.session.database as input.identity.user\nnamed if input.session.database == \"a\""),
		"identity.user session.database",
	},
	"with a whole input": {
		statementPolicy(decide + "reasons contains \"x\" if named with input as {\"session\": {\"database\": input.session.role}}\nnamed if input.session.database == \"a\""),
		"version action identity.* session.*", // what is replaced counts as looked at
	},
	"data by the input": {map[string]string{
		"statement.rego": "package sallyport.statement\n" + decide + "reasons contains \"x\" if not data.grants[input.identity.user][input.session.database]",
		"data.yaml":      "grants: {a: {b: true}, b: {a: true}}",
	}, "identity.user session.database"},
	"data with the input": {
		statementPolicy(decide + "reasons contains \"x\" if lib with data.limit as input.session.role\nlib if data.limit == \"a\""), "session.role",
	},
	"a function": {
		statementPolicy(decide + "reasons contains \"x\" if late(input.session)\nlate(s) if s.role == \"a\""), "session.*",
	},
	"an else": {
		statementPolicy("decision := {\"allow\": true, \"reasons\": []} if input.session.observe\nelse := {\"allow\": false, \"reasons\": [input.identity.issuer]}"),
		"identity.issuer session.observe",
	},
	"a decision in parts": {
		statementPolicy("decision.allow := input.session.replication == \"\"\ndecision.reasons contains input.identity.subject"),
		"identity.subject session.replication",
	},
	"an every": {
		statementPolicy(decide + "reasons contains \"x\" if every g in input.identity.groups { g != input.session.role }"), "identity.groups session.role",
	},
	"another package by a computed name": {map[string]string{
		"statement.rego": "package sallyport.statement\ndecision := {\"allow\": count([1 | some x; data.lib[x]]) > 0, \"reasons\": []}",
		"lib.rego":       "package lib\nlate if input.session.id == \"a\"",
	}, "session.id"},
}

func TestReads(t *testing.T) {
	for name, test := range readers {
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{Timeout: patience, Directory: directory(t, test.files)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(fieldsNamed(t, test.want), e.Policy().reads); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// fieldsNamed are fields by their names in the document.
func fieldsNamed(t *testing.T, names string) reads {
	t.Helper()
	var want reads
	for _, name := range strings.Fields(names) {
		path := ast.Ref{}
		for _, part := range strings.Split(strings.TrimSuffix(name, ".*"), ".") {
			path = append(path, ast.StringTerm(part))
		}
		want = append(want, fieldsAt(reflect.TypeFor[StatementInput](), path, nil)...)
	}
	return want
}

// TestReadsCoverDependencies: OPA's own account of what a decision depends on names nothing that ours does not.
func TestReadsCoverDependencies(t *testing.T) {
	directories := map[string]string{"default": "../policies"}
	for name, test := range readers {
		directories[name] = directory(t, test.files)
	}
	for name, dir := range directories {
		t.Run(name, func(t *testing.T) {
			source, err := readSource(dir)
			if err != nil {
				t.Fatal(err)
			}
			compiler := ast.NewCompiler()
			modules, err := parseModules(source.modules, ast.CapabilitiesForThisVersion())
			if err != nil {
				t.Fatal(err)
			}
			if compiler.Compile(modules); compiler.Failed() {
				t.Fatal(compiler.Errors)
			}
			bases, err := dependencies.Base(compiler, ast.MustParseRef(statementQuery))
			if err != nil {
				t.Fatal(err)
			}
			got := readsOf(compiler, ast.MustParseRef(statementQuery))
			for _, base := range bases {
				if !base.HasPrefix(ast.InputRootRef) || base.HasPrefix(statementRef) {
					continue
				}
				for _, field := range fieldsAt(reflect.TypeFor[StatementInput](), base[1:], nil) {
					if !cmp.Equal(append(reads{field}, got...), got, cmp.Transformer("set", asSet)) {
						t.Errorf("%s is not among %v", base, got)
					}
				}
			}
		})
	}
}

func asSet(r reads) map[string]bool {
	set := map[string]bool{}
	for _, index := range r {
		set[fmt.Sprint(index)] = true
	}
	return set
}

// TestDecisionsFollowTheirInput changes one thing about the session or the statement at a time, at random. What is remembered must be what
// the policy would say.
func TestDecisionsFollowTheirInput(t *testing.T) {
	directories := map[string]string{"default": "../policies"}
	for name, test := range readers {
		directories[name] = directory(t, test.files)
	}
	for name, dir := range directories {
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{Timeout: patience, Directory: dir})
			if err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, 2))
			sheets := []*statement.Sheet{{Complete: true}, {Incomplete: []string{"x"}}, benchmarkInput().Statement, sampleStatements()["everything"].Statement}
			input, said, remembered := benchmarkInput(), map[string]bool{}, 0
			for range 200 {
				next := *input
				change(random, &next)
				next.Statement = sheets[random.IntN(len(sheets))]
				input = &next
				if _, ok := e.Policy().decisions.Get(e.Policy().about(input.key(e.Policy()), input.Statement)); ok {
					remembered++
				}
				got, err := e.Statement(t.Context(), input)
				if err != nil {
					t.Fatal(err)
				}
				want, err := e.statementBy(t.Context(), e.Policy(), input)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%+v\n(-want +got)\n%s", input, diff)
				}
				said[fmt.Sprint(got.Allow, got.Reasons)] = true
			}
			if remembered == 0 || len(said) < 2 {
				t.Errorf("%d decisions were remembered, %d different ones were made: nothing was tested", remembered, len(said))
			}
		})
	}
}

// change gives one field of the identity or the session another value.
func change(random *rand.Rand, input *StatementInput) {
	part := reflect.ValueOf(&input.Identity).Elem()
	if random.IntN(2) == 0 {
		part = reflect.ValueOf(&input.Session).Elem()
	}
	field := part.Field(random.IntN(part.NumField()))
	field.Set(randomValue(random, field.Type()))
}

// randomValue is one of few values, so that they meet again. Some would read alike if they were put one behind the other.
func randomValue(random *rand.Rand, kind reflect.Type) reflect.Value {
	v := reflect.New(kind).Elem()
	switch kind.Kind() {
	case reflect.String:
		texts := []string{"", "a", "b", "ab", "\x01a", "app", "readonly", "analyst@example.com"}
		v.SetString(texts[random.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(random.IntN(2) == 0)
	case reflect.Slice:
		for range random.IntN(3) {
			v.Set(reflect.Append(v, randomValue(random, kind.Elem())))
		}
	}
	return v
}

// TestKeysDiffer: inputs that differ in anything that is read have different keys, however their values are cut.
func TestKeysDiffer(t *testing.T) {
	e, err := New(Config{Timeout: patience, Directory: directory(t, readers["everything"].files)})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	inputs := map[string]*StatementInput{}
	for range 5000 {
		input := &StatementInput{}
		for range 3 {
			change(random, input)
		}
		key := input.key(e.Policy())
		if old := inputs[key]; old != nil && (!sameTexts(old.Identity, input.Identity) || !sameTexts(old.Session, input.Session)) {
			t.Fatalf("one key for\n%+v\n%+v", old, input)
		}
		inputs[key] = input
	}
}

// sameTexts says whether two values print the same: nil and empty lists are one to policies.
func sameTexts(a, b any) bool { return fmt.Sprintf("%q", a) == fmt.Sprintf("%q", b) }

func TestDecisionsAreShared(t *testing.T) {
	e, err := New(Config{Timeout: patience, Directory: "../policies"})
	if err != nil {
		t.Fatal(err)
	}
	first, second := benchmarkInput(), benchmarkInput()
	second.Session.ID, second.Session.Application, second.Session.ClientAddress = "another", "another", "192.0.2.2"
	second.Statement = first.Statement
	a, err := e.Statement(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := e.Statement(t.Context(), second); err != nil || a != b {
		t.Errorf("got %p, %v; want what the first session got, %p", b, err, a)
	}
	second.Statement = benchmarkInput().Statement
	if b, err := e.Statement(t.Context(), second); err != nil || a == b {
		t.Errorf("got %p, %v for another sheet", b, err)
	}
}

// TestVolatileDecisionsAreNot kept: the clock may have moved on.
func TestVolatileDecisionsAreNotKept(t *testing.T) {
	e, err := New(Config{Timeout: patience, Directory: directory(t, statementPolicy("decision := {\"allow\": true, \"reasons\": [sprintf(\"%d\", [time.now_ns()])]}"))})
	if err != nil {
		t.Fatal(err)
	}
	input := benchmarkInput()
	a, err := e.Statement(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := e.Statement(t.Context(), input); err != nil || a.Reasons[0] == b.Reasons[0] {
		t.Errorf("got %v twice, %v", b, err)
	}
}

// connecting makes connect decisions of what the readers make of statements, with terms that differ between sessions too.
func connecting(files map[string]string) map[string]string {
	made := map[string]string{}
	for name, text := range files {
		text = strings.ReplaceAll(text, "package sallyport.statement", "package sallyport.connect")
		text = strings.ReplaceAll(text, "\"allow\":", "\"role\": \"r\", \"allow\":")
		made[name] = strings.ReplaceAll(text, "\"reasons\": reasons", "\"reasons\": reasons, \"max_rows\": 1 + count(reasons)")
	}
	if text, ok := made["statement.rego"]; ok {
		delete(made, "statement.rego")
		made["connect.rego"] = text
	}
	return made
}

// TestConnectDecisionsFollowTheirInput is TestDecisionsFollowTheirInput for connections.
func TestConnectDecisionsFollowTheirInput(t *testing.T) {
	directories := map[string]string{"default": "../policies"}
	for name, test := range readers {
		if strings.Contains(test.files["statement.rego"], "input.statement") || name == "a decision in parts" {
			continue // there is no statement, and no role
		}
		directories[name] = directory(t, connecting(test.files))
	}
	for name, dir := range directories {
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{Timeout: patience, Directory: dir})
			if err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(5, 6))
			input, said, remembered := benchmarkInput(), map[string]bool{}, 0
			for range 600 {
				next := *input
				change(random, &next)
				input = &next
				connect := &ConnectInput{Identity: next.Identity, Session: next.Session}
				connects := e.Policy().connects
				if _, ok := connects.made.Get(connects.key(connect)); ok {
					remembered++
				}
				got, err := e.Connect(t.Context(), connect)
				if err != nil {
					t.Fatal(err)
				}
				want, err := e.ConnectClaimed(t.Context(), connect)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%+v\n(-want +got)\n%s", connect, diff)
				}
				said[fmt.Sprint(*got)] = true
				if got.Role, got.MaxRows = "another", 7; len(got.Reasons) > 0 { // a session may change what is its own
					got.Reasons[0] = "another"
				}
			}
			if remembered == 0 || len(said) < 2 {
				t.Errorf("%d decisions were remembered, %d different ones were made: nothing was tested", remembered, len(said))
			}
		})
	}
}

// TestClaimedIsNotRemembered: who has proved nothing leaves no trace in memory, and is not answered from it.
func TestClaimedIsNotRemembered(t *testing.T) {
	e, err := New(Config{Timeout: patience, Directory: "../policies"})
	if err != nil {
		t.Fatal(err)
	}
	input, connects := sampleConnects()["account"], e.Policy().connects
	if _, err := e.ConnectClaimed(t.Context(), input); err != nil {
		t.Fatal(err)
	}
	if _, ok := connects.made.Get(connects.key(input)); ok {
		t.Error("a claim is remembered")
	}
	connects.made.Put(connects.key(input), &ConnectDecision{Role: "remembered"}, 0)
	if d, err := e.ConnectClaimed(t.Context(), input); err != nil || d.Role == "remembered" {
		t.Errorf("got %+v, %v", d, err)
	}
	if d, err := e.Connect(t.Context(), input); err != nil || d.Role != "remembered" {
		t.Errorf("who has proved it got %+v, %v", d, err)
	}
}

// TestVolatileConnectDecisionsAreNotKept: an hour of the day lets nobody in after it.
func TestVolatileConnectDecisionsAreNotKept(t *testing.T) {
	e, err := New(Config{Timeout: patience, Directory: directory(t, connectPolicy(
		"decision := {\"allow\": true, \"reasons\": [sprintf(\"%d\", [hour])], \"role\": \"r\"}\nhour := time.now_ns()"))})
	if err != nil {
		t.Fatal(err)
	}
	input := sampleConnects()["account"]
	a, err := e.Connect(t.Context(), input)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := e.Connect(t.Context(), input); err != nil || a.Reasons[0] == b.Reasons[0] {
		t.Errorf("got %v twice, %v", b, err)
	}
}

func TestRememberedDoesNotAllocate(t *testing.T) {
	e, err := New(Config{Timeout: patience, Directory: "../policies"})
	if err != nil {
		t.Fatal(err)
	}
	input := benchmarkInput()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := e.Statement(t.Context(), input); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestReloadUnderLoad: every decision is all of one policy, and of the one that was current while it was made.
func TestReloadUnderLoad(t *testing.T) {
	dir := directory(t, map[string]string{"statement.rego": denies("0")})
	e, err := New(Config{Timeout: patience, Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	var reasons sync.Map // by revision
	reasons.Store(e.Policy().Revision(), "0")
	stop := make(chan struct{})
	var sessions sync.WaitGroup
	sheets := []*statement.Sheet{{}, {}, {}}
	for range 4 {
		sessions.Go(func() {
			input := benchmarkInput()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				input.Statement = sheets[i%len(sheets)]
				before := e.Policy()
				got, err := e.Statement(t.Context(), input)
				if err != nil {
					t.Error(err)
					return
				}
				if e.Policy() == before && got.Revision != before.Revision() {
					t.Errorf("decided by %s while %s was in use", got.Revision, before.Revision())
				}
				if want, ok := reasons.Load(got.Revision); ok && want != got.Reasons[0] {
					t.Errorf("revision %s decided %s, another one %s", got.Revision, got.Reasons[0], want)
				} else if !ok {
					reasons.Store(got.Revision, got.Reasons[0])
				}
			}
		})
	}
	for i := range 20 {
		put(t, filepath.Join(dir, "statement.rego"), denies(fmt.Sprint(i%2+1)))
		if err := e.Reload(); err != nil {
			t.Error(err)
		}
		if got := reason(t, e); got != fmt.Sprint(i%2+1) {
			t.Errorf("after reload %d: %s", i, got)
		}
	}
	close(stop)
	sessions.Wait()
}

func BenchmarkRemembered(b *testing.B) {
	e, input := benchmarkEngine(b), benchmarkInput()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Statement(b.Context(), input); err != nil {
			b.Fatal(err)
		}
	}
}
