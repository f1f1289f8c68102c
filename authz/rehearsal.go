package authz

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/lineage"
)

// TestConfig says which tests of a policy to run.
type TestConfig struct {
	Directory            string
	InsecureAllowNetwork bool
	Run                  string // a regular expression of names; "": all
	Coverage             bool
}

// TestReport is what the tests of a policy had to say.
type TestReport struct {
	Tests    []PolicyTest   // by file and line
	Coverage []FileCoverage // of the policy's own files, when it was asked for
}

// PolicyTest is one test and its result.
type PolicyTest struct {
	Name     string // data.<package>.test_<name>
	File     string
	Line     int
	Outcome  string   // PASS, FAIL, ERROR, SKIPPED
	Cases    []string // the cases that failed, of a test that has cases
	FailedAt string   // file:line of the expression that did not hold; "" when it cannot be told
	Err      error
	Output   string // of print
	Duration time.Duration

	trace []*topdown.Event
}

// FileCoverage says how much of a file the tests have evaluated.
type FileCoverage struct {
	File       string
	Covered    int // lines
	NotCovered int
	Missing    []string // lines that were not: "12", "14-16"
}

// ErrNoTests is Test's answer when there is nothing to run.
var ErrNoTests = errors.New("there are no tests")

// Failed says whether the test is a reason to fail.
func (t *PolicyTest) Failed() bool { return t.Outcome == "FAIL" || t.Outcome == "ERROR" }

// WriteTrace writes how a test that failed was evaluated: what did not hold, or, in full, everything.
func (t *PolicyTest) WriteTrace(w io.Writer, full bool) {
	events := lineage.Fails(t.trace)
	if full {
		events = lineage.Full(t.trace)
	}
	topdown.PrettyTraceWithLocation(w, events)
}

// Test runs the tests of a policy by the compiler and the capabilities that the policy is compiled with. What cannot be read or
// compiled is Problems.
func Test(ctx context.Context, cfg TestConfig) (TestReport, error) {
	rehearsal, err := newRehearsal(cfg)
	if err != nil {
		return TestReport{}, err
	}
	var report TestReport
	var tracer *cover.Cover
	if cfg.Coverage {
		tracer = cover.New()
	}
	results, err := rehearsal.run(ctx, func(r *tester.Runner) {
		if tracer != nil {
			r.SetCoverageQueryTracer(tracer).SetCoverageRuns(nil)
		}
	})
	if err != nil {
		return report, err
	}
	if len(results) == 0 {
		return report, ErrNoTests
	}
	if err := rehearsal.traceFailures(ctx, results); err != nil {
		return report, err
	}
	for _, result := range results {
		report.Tests = append(report.Tests, rehearsal.testOf(result))
	}
	if tracer != nil {
		report.Coverage = rehearsal.coverage(tracer)
	}
	return report, nil
}

// rehearsal is a policy with its tests.
type rehearsal struct {
	cfg    TestConfig
	source source
	tests  map[string]string
}

func newRehearsal(cfg TestConfig) (*rehearsal, error) {
	cfg.Directory = filepath.Clean(cfg.Directory)
	if _, err := regexp.Compile(cfg.Run); err != nil {
		return nil, err
	}
	r := &rehearsal{cfg: cfg}
	var err error
	if r.source, err = readSource(cfg.Directory); err != nil {
		return nil, problemsOf(cfg.Directory, err).sorted()
	}
	if r.tests, err = readTests(cfg.Directory); err != nil {
		return nil, problemsOf(cfg.Directory, err).sorted()
	}
	return r, nil
}

// run runs the tests that configure leaves. Everything is compiled anew: a runner changes its compiler.
func (r *rehearsal) run(ctx context.Context, configure func(*tester.Runner)) ([]*tester.Result, error) {
	capabilities := policyCapabilities(r.cfg.InsecureAllowNetwork)
	texts := maps.Clone(r.source.modules)
	maps.Copy(texts, r.tests)
	modules, err := parseModules(texts, capabilities)
	if err != nil {
		return nil, problemsOf(r.cfg.Directory, err).sorted()
	}
	store := r.source.store()
	compiler := newCompiler(capabilities).SetErrorLimit(0).WithEnablePrintStatements(true)
	runner := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).CapturePrintOutput(true).
		RaiseBuiltinErrors(true).Filter(r.cfg.Run)
	configure(runner)
	var results []*tester.Result
	err = inStore(store, compiler, func(txn storage.Transaction) error {
		found, err := runner.RunTests(ctx, txn)
		if err != nil {
			return err
		}
		for result := range found {
			results = append(results, result)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, problemsOf(r.cfg.Directory, err).sorted()
	}
	slices.SortFunc(results, func(a, b *tester.Result) int { return a.Location.Compare(b.Location) })
	return results, nil
}

// traceFailures runs the tests that have failed once more, to see how: a trace of all of them would take long and be thrown away.
func (r *rehearsal) traceFailures(ctx context.Context, results []*tester.Result) error {
	var failed []ast.Ref
	for _, result := range results {
		if result.Fail {
			failed = append(failed, ast.MustParseRef(result.Package+"."+result.Name))
		}
	}
	if len(failed) == 0 {
		return nil
	}
	traced, err := r.run(ctx, func(runner *tester.Runner) { runner.EnableTracing(true).SetPrefixMatchers(failed...) })
	if err != nil {
		return err
	}
	for _, result := range results {
		for _, again := range traced {
			if again.Package == result.Package && again.Name == result.Name {
				result.Trace = again.Trace
			}
		}
	}
	return nil
}

func (r *rehearsal) testOf(result *tester.Result) PolicyTest {
	test := PolicyTest{
		Name: result.Package + "." + result.Name, File: filepath.Join(r.cfg.Directory, result.Location.File), Line: result.Location.Row,
		Outcome: "PASS", Err: result.Error, Output: string(result.Output), Duration: result.Duration, trace: result.Trace,
	}
	switch {
	case result.Skip:
		test.Outcome = "SKIPPED"
	case result.Error != nil:
		test.Outcome = "ERROR"
		for _, problem := range problemsOf(r.cfg.Directory, result.Error) {
			if problem.Line > 0 {
				test.FailedAt = problem.Place()
			}
		}
	case result.Fail:
		test.Outcome = "FAIL"
		test.FailedAt = r.failedAt(result.Trace)
	}
	for name, sub := range result.SubResults.Iter {
		if sub.Fail && len(sub.SubResults) == 0 {
			test.Cases = append(test.Cases, strings.Join(name, "/"))
		}
	}
	return test
}

// failedAt is the place of the last expression that did not hold.
func (r *rehearsal) failedAt(trace []*topdown.Event) string {
	for _, event := range slices.Backward(trace) {
		if event.Op == topdown.FailOp && event.Location.HasFile() {
			return fmt.Sprintf("%s:%d", filepath.Join(r.cfg.Directory, event.Location.File), event.Location.Row)
		}
	}
	return ""
}

// coverage says what the tests have evaluated of the policy's own files.
func (r *rehearsal) coverage(tracer *cover.Cover) []FileCoverage {
	modules, err := parseModules(r.source.modules, policyCapabilities(r.cfg.InsecureAllowNetwork))
	if err != nil {
		return nil // they have just been parsed
	}
	report := tracer.Report(modules)
	var files []FileCoverage
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		f := report.Files[name]
		file := FileCoverage{File: filepath.Join(r.cfg.Directory, name), Covered: f.CoveredLines, NotCovered: f.NotCoveredLines}
		for _, missing := range f.NotCovered {
			lines := fmt.Sprint(missing.Start.Row)
			if missing.End.Row > missing.Start.Row {
				lines += fmt.Sprintf("-%d", missing.End.Row)
			}
			if !slices.Contains(file.Missing, lines) {
				file.Missing = append(file.Missing, lines)
			}
		}
		files = append(files, file)
	}
	return files
}
