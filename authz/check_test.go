package authz

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCheckFinds: everything that is wrong comes at once, each thing at its line.
func TestCheckFinds(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  []string // base name, line, and the beginning of the message
	}{
		"nothing": {nil, nil},
		"syntax in two files": {
			map[string]string{"a.rego": "package a\n\nx = y { y }", "b.rego": "package b\nx = y { y }"},
			[]string{"a.rego:3: rego_parse_error: ", "b.rego:2: rego_parse_error: "},
		},
		"compile errors, all of them": {
			map[string]string{"a.rego": "package a\n" + strings.Repeat("f(x) := 1\n", 12)},
			[]string{
				"a.rego:2: rego_compile_error: unused argument", "a.rego:3: ", "a.rego:4: ", "a.rego:5: ", "a.rego:6: ", "a.rego:7: ", "a.rego:8: ",
				"a.rego:9: ", "a.rego:10: ", "a.rego:11: ", "a.rego:12: ", "a.rego:13: ",
			},
		},
		"input that does not exist": {
			statementPolicy("\ndecision := {\"allow\": input.statement.compleat, \"reasons\": []}"),
			[]string{"statement.rego:3: rego_type_error: undefined ref: input.statement.compleat"},
		},
		"data of several kinds": {
			map[string]string{"a.yaml": "x: 1\ny:\n  - 2024-01-01\n", "b.json": `{"x": 2}`, "c.yaml": "a: b\n c: d\n"},
			[]string{"a.yaml:3: y.0: a value of type time.Time is not JSON", "c.yaml:2: yaml: "},
		},
		"data and Rego": {
			map[string]string{"a.yaml": "x:\n  y: 1\n", "b.yaml": "\nx:\n  y: 1\n", "c.rego": "package"},
			[]string{"b.yaml:3: x.y: is already given by another file", "c.rego:1: rego_parse_error: "},
		},
		"a folder": {map[string]string{"lib/a.rego": "package a"}, []string{"lib: is a directory"}},
		"an answer that is none": {
			statementPolicy("\n\ndecision := {\"allow\": 1, \"reasons\": []}"),
			[]string{
				`statement.rego:4: sample "empty": read data.sallyport.statement.decision: allow is not a boolean`, `statement.rego:4: sample "everything"`,
				`statement.rego:4: sample "incomplete"`, `statement.rego:4: sample "observed"`, `statement.rego:4: sample "resolved"`, `statement.rego:4: sample "select"`,
			},
		},
		"an answer that fails": {
			statementPolicy("default decision := {\"allow\": false, \"reasons\": []}\ndecision := {\"allow\": true, \"reasons\": []} if {\n\tto_number(input.session.role) > 1\n}"),
			[]string{
				`statement.rego:4: sample "empty": to_number: `, `statement.rego:4: sample "everything"`, `statement.rego:4: sample "incomplete"`,
				`statement.rego:4: sample "observed"`, `statement.rego:4: sample "resolved"`, `statement.rego:4: sample "select"`,
			},
		},
		"no decision": {map[string]string{"statement.rego": ""}, []string{": no rule defines data.sallyport.statement.decision"}},
		"what the policy says of its data": {
			map[string]string{
				"problems.rego": "package sallyport\n\nproblems contains sprintf(\"role %s: unknown key %s\", [name, key]) if {\n\tsome name, role in data.roles\n\tsome key in object.keys(role)\n}\n\nproblems contains \"nobody is there\" if not data.people\n",
				"data.yaml":     "people: []\nroles:\n  dba:\n    sise: 1\n  size:\n    sise: 2\n",
			},
			[]string{"data.yaml:4: role dba: unknown key sise (", "data.yaml:6: role size: unknown key sise ("},
		},
		"what it says of nothing in particular": {
			map[string]string{"problems.rego": "package sallyport\n\nproblems contains \"nobody is there\" if not data.people\n"},
			[]string{"problems.rego:3: nobody is there"},
		},
		"a test that fails": {
			map[string]string{"a_test.rego": "package a_test\n\ntest_good if true\n\ntest_bad if {\n\tx := 1\n\tx == 2\n}\n"},
			[]string{"a_test.rego:5: test data.a_test.test_bad fails at "},
		},
		"a test that does not compile": {
			map[string]string{"a_test.rego": "package a_test\n\ntest_bad if http.send({})\n"},
			[]string{"a_test.rego:3: rego_type_error: undefined function http.send"},
		},
	} {
		t.Run(name, func(t *testing.T) { finds(t, test.files, test.want) })
	}
}

// finds checks a policy of files. want has the beginnings of what must be found, in order.
func finds(t *testing.T, files map[string]string, want []string) {
	t.Helper()
	dir := directory(t, files)
	var got []string
	for i, problem := range Check(t.Context(), Config{Timeout: patience, Directory: dir}).Problems {
		line := strings.TrimPrefix(strings.TrimPrefix(problem.Error(), dir), "/")
		if i < len(want) && strings.HasPrefix(line, want[i]) {
			line = want[i]
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheckCounts(t *testing.T) {
	dir := directory(t, map[string]string{"a_test.rego": "package a_test\n\ntest_one if true\n\ntest_two if true\n"})
	report := Check(t.Context(), Config{Timeout: patience, Directory: dir})
	e, err := New(Config{Timeout: patience, Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Report{Revision: e.Policy().Revision(), Tests: 2}); !cmp.Equal(report, want) {
		t.Errorf("got %+v, want %+v", report, want)
	}
	if report := Check(t.Context(), Config{Timeout: patience, Directory: filepath.Join(dir, "no")}); len(report.Problems) != 1 || !strings.Contains(report.Problems.Error(), "no such file") {
		t.Errorf("a directory that does not exist: %v", report.Problems)
	}
}

// TestSpokenOf: the line of the data is named only when it is one.
func TestSpokenOf(t *testing.T) {
	s := source{files: []string{"data.yaml"}, contents: map[string][]byte{"data.yaml": []byte(
		"roles:\n  dba: {observe: 1}\n  read:\n    observe: 2\naccounts:\n  ana@example.com: {role: dba}\nloop: &l\n  next: [*l]\n")}}
	for message, want := range map[string]int{
		"role dba: observe is not true or false":      2,
		"role read: observe is not true or false":     4,
		"account ana@example.com: unknown key roll":   6,
		"observe is nothing":                          0,
		"something else":                              0,
		"accounts: account ana@example.com is no one": 6,
	} {
		if _, got := s.spokenOf(message); got != want {
			t.Errorf("%s: line %d, want %d", message, got, want)
		}
	}
}
