package authz

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const rehearsed = `package sallyport.statement

decision := {"allow": count(reasons) == 0, "reasons": reasons}

reasons contains "a" if input.statement.complete

reasons contains "b" if {
	input.session.role == "b"
	print("b asked")
}
`

const rehearsals = `package rehearsal_test

import data.sallyport.statement

test_a if "a" in statement.reasons with input.statement.complete as true

test_b if {
	statement.decision.allow with input.statement.complete as false
	"b" in statement.reasons with input.session.role as "c"
}

test_cases[name] if {
	some name, role in {"one": "b", "two": "c"}
	"b" in statement.reasons with input.session.role as role
}

test_error if to_number("x") == 1

todo_test_later if false
`

func TestTest(t *testing.T) {
	dir := directory(t, map[string]string{"statement.rego": rehearsed, "rehearsal_test.rego": rehearsals})
	report, err := Test(t.Context(), TestConfig{Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		name, outcome, at string
		line              int
	}
	at := func(place string) string {
		if place == "" {
			return ""
		}
		return filepath.Join(dir, place)
	}
	want := []result{
		{"data.rehearsal_test.test_a", "PASS", "", 5},
		{"data.rehearsal_test.test_b", "FAIL", at("rehearsal_test.rego:9"), 7},
		{"data.rehearsal_test.test_cases", "FAIL", at("rehearsal_test.rego:14"), 12},
		{"data.rehearsal_test.test_error", "ERROR", at("rehearsal_test.rego:17"), 17},
		{"data.rehearsal_test.todo_test_later", "SKIPPED", "", 19},
	}
	var got []result
	for _, test := range report.Tests {
		got = append(got, result{test.Name, test.Outcome, test.FailedAt, test.Line})
		if test.Failed() != (test.Outcome == "FAIL" || test.Outcome == "ERROR") || test.File != filepath.Join(dir, "rehearsal_test.rego") {
			t.Errorf("%+v", test)
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"two"}, report.Tests[2].Cases); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(report.Tests[2].Output, "b asked") {
		t.Errorf("print is lost: %q", report.Tests[2].Output)
	}
	var fails, full strings.Builder
	report.Tests[1].WriteTrace(&fails, false)
	report.Tests[1].WriteTrace(&full, true)
	if !strings.Contains(fails.String(), `rehearsal_test.rego:9`) || !strings.Contains(fails.String(), "Fail") || full.Len() <= fails.Len() {
		t.Errorf("trace:\n%s\nin full:\n%s", &fails, &full)
	}
}

func TestTestSelects(t *testing.T) {
	dir := directory(t, map[string]string{"statement.rego": rehearsed, "rehearsal_test.rego": rehearsals})
	report, err := Test(t.Context(), TestConfig{Directory: dir, Run: "test_a$", Coverage: true})
	if err != nil || len(report.Tests) != 1 {
		t.Fatalf("%v, %+v", err, report.Tests)
	}
	want := []FileCoverage{
		{File: filepath.Join(dir, "connect.rego"), NotCovered: 1, Missing: []string{"2"}},
		{File: filepath.Join(dir, "statement.rego"), Covered: 2, NotCovered: 3, Missing: []string{"3", "7", "9"}},
	}
	if diff := cmp.Diff(want, report.Coverage); diff != "" {
		t.Error(diff)
	}
	if _, err := Test(t.Context(), TestConfig{Directory: dir, Run: "nothing"}); !errors.Is(err, ErrNoTests) {
		t.Errorf("got %v", err)
	}
	if _, err := Test(t.Context(), TestConfig{Directory: dir, Run: "("}); err == nil {
		t.Error("a broken expression was taken")
	}
}

// TestTestCompilesStrictly: tests see the language that the policy is written in, no more.
func TestTestCompilesStrictly(t *testing.T) {
	for name, body := range map[string]string{
		"network":       `test_x if http.send({"method": "get", "url": "http://127.0.0.1"}).status_code == 200`,
		"unused":        "test_x if {\n\tx := 1\n}",
		"unknown input": "test_x if input.statement.compleat",
	} {
		dir := directory(t, map[string]string{"x_test.rego": "package x_test\n\n" + body})
		var problems Problems
		if _, err := Test(t.Context(), TestConfig{Directory: dir}); !errors.As(err, &problems) || problems[0].Line < 3 {
			t.Errorf("%s: got %v", name, err)
		}
	}
	dir := directory(t, map[string]string{"x_test.rego": "package x_test\n\ntest_x if is_object(net.lookup_ip_addr) == false\n\ntest_y if count(net.lookup_ip_addr(\"localhost\")) > 0\n"})
	if _, err := Test(t.Context(), TestConfig{Directory: dir, InsecureAllowNetwork: true, Run: "test_y"}); err == nil {
		t.Error("a reference to a function is none")
	}
}
