package authz

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"go.yaml.in/yaml/v3"
)

// Report is what Check found out about a policy. It is good when there are no Problems.
type Report struct {
	Problems Problems
	Revision string // "" when the policy could not be read
	Tests    int    // how many were run
}

// Check says everything that is wrong with the policy of a directory: what New would refuse it for, and the tests that fail. It takes
// nothing into use.
func Check(ctx context.Context, cfg Config) Report {
	var r Report
	e, err := newEngine(cfg)
	if err != nil {
		r.Problems = problemsOf(cfg.Directory, err)
		return r
	}
	directory := e.cfg.Directory
	source, err := readSource(directory)
	if err != nil {
		r.Problems = problemsOf(directory, err)
		if _, err := parseModules(source.modules, policyCapabilities(cfg.InsecureAllowNetwork)); err != nil {
			r.Problems = append(r.Problems, problemsOf(directory, err)...)
		}
		r.Problems = r.Problems.sorted()
		return r
	}
	r.Revision = source.revision
	policy, err := source.compile(policyCapabilities(cfg.InsecureAllowNetwork), 0)
	if err != nil {
		r.Problems = problemsOf(directory, err).sorted()
		return r
	}
	r.Problems = append(e.checkSamples(policy), policy.checkData(directory, source)...)
	r.checkTests(ctx, e.cfg)
	r.Problems = r.Problems.sorted()
	return r
}

// checkSamples asks what check asks, to the end.
func (e *Engine) checkSamples(p *Policy) (problems Problems) {
	for _, sample := range e.samples(p) {
		err := sample.ask()
		if err == nil {
			continue
		}
		for _, problem := range problemsOf(e.cfg.Directory, err) {
			if problem.Line == 0 { // an answer that is wrong, or none: the rules that should have given one
				problem = problemAt(e.cfg.Directory, p.rule(sample.query), err.Error())
			}
			problem.Message = fmt.Sprintf("sample %q: %s", sample.name, problem.Message)
			problems = append(problems, problem)
		}
	}
	return problems
}

// rule is where the first rule of a document is.
func (p *Policy) rule(query string) *ast.Location {
	rules := p.compiler.GetRules(ast.MustParseRef(query))
	slices.SortFunc(rules, func(a, b *ast.Rule) int { return a.Location.Compare(b.Location) })
	if len(rules) == 0 {
		return nil
	}
	return rules[0].Location
}

// checkData asks the policy what is wrong with its data. A problem is shown at the line of the data that it speaks of, if that can be
// told, with the rule that found it behind; or else at the rule.
func (p *Policy) checkData(directory string, s source) (problems Problems) {
	if p.problems == nil {
		return nil
	}
	trail := newTrail()
	found, err := p.findProblems(rego.EvalQueryTracer(trail))
	if err != nil {
		return problemsOf(directory, err)
	}
	for _, message := range found {
		places := trail.origins(message)
		if len(places) == 0 {
			places = []*ast.Location{p.rule(problemsQuery)}
		}
		problem := problemAt(directory, places[0], message)
		if file, line := s.spokenOf(message); line > 0 {
			problem.Message += " (" + problem.Place() + ")"
			problem.File, problem.Line = filepath.Join(directory, file), line
		}
		problems = append(problems, problem)
	}
	return problems
}

func (r *Report) checkTests(ctx context.Context, cfg Config) {
	results, err := Test(ctx, TestConfig{Directory: cfg.Directory, InsecureAllowNetwork: cfg.InsecureAllowNetwork})
	if errors.Is(err, ErrNoTests) {
		return
	}
	if err != nil {
		r.Problems = append(r.Problems, problemsOf(cfg.Directory, err)...)
		return
	}
	r.Tests = len(results.Tests)
	for _, test := range results.Tests {
		if !test.Failed() {
			continue
		}
		message := "test " + test.Name + " fails"
		if test.FailedAt != "" {
			message += " at " + test.FailedAt
		}
		if test.Err != nil {
			message += ": " + strings.Join(strings.Fields(test.Err.Error()), " ")
		}
		r.Problems = append(r.Problems, Problem{File: test.File, Line: test.Line, Message: message})
	}
}

// spokenOf finds the key of the data that a message is about: the one that most keys on the way to are words of the message, if there
// is but one. A policy says what is wrong in words; this is a guess at the place, made for people who have to find it.
func (s source) spokenOf(message string) (file string, line int) {
	words := map[string]bool{}
	for _, word := range wordPattern.FindAllString(message, -1) {
		words[word] = true
		words[strings.TrimRight(word, ".:")] = true
	}
	best, several := 0, false
	for _, name := range s.files {
		content := s.contents[name]
		var root yaml.Node
		if content == nil || yaml.NewDecoder(bytes.NewReader(content)).Decode(&root) != nil {
			continue
		}
		walkKeys(&root, words, 0, 0, func(score, at int) {
			switch {
			case score > best:
				best, several, file, line = score, false, name, at
			case score == best:
				several = true
			}
		})
	}
	if best == 0 || several {
		return "", 0
	}
	return file, line
}

var wordPattern = regexp.MustCompile(`[^\s,;"()]+`)

// maxDataDepth bounds the walk: aliases can make YAML endless.
const maxDataDepth = 32

// walkKeys calls found for every key that is one of the words, with how many keys down to it are.
func walkKeys(node *yaml.Node, words map[string]bool, score, depth int, found func(score, line int)) {
	if depth > maxDataDepth {
		return
	}
	for _, e := range entries(node) {
		here := score
		if e.key != e.value && words[e.key.Value] {
			here++
			found(here, e.key.Line)
		}
		walkKeys(e.value, words, here, depth+1, found)
	}
}
