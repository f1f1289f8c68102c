package gateway

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
)

// askedPolicy counts how often it is asked about statements.
type askedPolicy struct {
	decider
	asked int
	err   error // what it answers; nil: as it would
}

func (p *askedPolicy) Statement(ctx context.Context, input *authz.StatementInput) (*authz.StatementDecision, error) {
	if p.asked++; p.err != nil {
		return nil, p.err
	}
	return p.decider.Statement(ctx, input)
}

// namesReader is a policy that lets everything pass that is called something.
func namesReader(t *testing.T) *authz.Engine {
	t.Helper()
	dir := t.TempDir()
	connect, err := os.ReadFile("../policies/connect.rego")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"connect.rego":   string(connect),
		"statement.rego": "package sallyport.statement\ndecision := {\"allow\": input.statement.fingerprint != \"\", \"reasons\": []}",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"access.rego", "data.yaml"} {
		content, err := os.ReadFile(filepath.Join("../policies", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := authz.New(authz.Config{Directory: dir, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return engine
}

// TestForesee: what is asked ahead, and that nothing else is decided for it.
func TestForesee(t *testing.T) {
	for name, test := range map[string]struct {
		text  string
		given func(t *testing.T, j *judge)
		ahead int
		allow bool
	}{
		"a new text":                {report(1), nil, 1, true},
		"what is denied":            {"SELECT * FROM app.secrets", func(_ *testing.T, j *judge) { j.catalog = nil }, 1, false},
		"no catalog":                {report(1), func(_ *testing.T, j *judge) { j.catalog = nil }, 1, true},
		"an observer":               {report(1), func(_ *testing.T, j *judge) { j.grant.Observe = true }, 1, true},
		"a syntax error":            {"SELEC", nil, 0, false},
		"names that may have moved": {report(1), func(_ *testing.T, j *judge) { j.unsure = j.queue.lastIdle() + 1 }, 0, false},
		"a name that nobody knows":  {"SELECT * FROM app.nothing", func(_ *testing.T, j *judge) { j.grant.Observe = true }, 0, true},
		"a catalog that has to be waited for": {report(1), func(_ *testing.T, j *judge) {
			late := &fakeCatalog{}
			late.become(reported(), nil)
			j.catalog = late
		}, 0, true},
		"a policy that reads names": {report(1), func(t *testing.T, j *judge) {
			engine := namesReader(t)
			j.policy, j.grant.policy = engine, engine.Policy()
		}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newReporting(t)
			if test.given != nil {
				test.given(t, s.judge)
			}
			policy := &askedPolicy{decider: s.judge.policy}
			s.judge.policy = policy
			p := s.judge.read(t.Context(), []byte(test.text))
			if policy.asked != test.ahead {
				t.Errorf("policy was asked %d times ahead, want %d", policy.asked, test.ahead)
			}
			got, err := s.judge.decide(t.Context(), p)
			if err != nil || got.allow != test.allow {
				t.Errorf("got %+v, %v, want %t", got, err, test.allow)
			}
			blind := newReporting(t)
			if test.given != nil {
				test.given(t, blind.judge)
			}
			blind.judge.analyzer = sighted{blind.judge.analyzer}
			want, err := blind.judge.decide(t.Context(), blind.judge.read(t.Context(), []byte(test.text)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.reasons, got.reasons); diff != "" || want.allow != got.allow || want.observed != got.observed || want.unsure != got.unsure {
				t.Errorf("got %+v, without foresight %+v", got, want)
			}
		})
	}
}

// sighted is an analyzer that says nothing ahead.
type sighted struct{ analyzer }

func (s sighted) AnalyzeAhead(ctx context.Context, text string, _ func(*statement.Sheet)) (*statement.Sheet, error) {
	return s.analyzer.AnalyzeAhead(ctx, text, nil)
}

// TestForeseeingIsGivenUp: a policy that has no answer is not asked twice about each text, but for the first one.
func TestForeseeingIsGivenUp(t *testing.T) {
	s := newReporting(t)
	policy := &askedPolicy{decider: s.judge.policy, err: errors.New("no answer")}
	s.judge.policy = policy
	for n, want := range []int{2, 3, 4} {
		v, err := s.judge.decide(t.Context(), s.judge.read(t.Context(), []byte(report(n))))
		if err != nil || v.allow || v.denial == nil {
			t.Errorf("got %+v, %v", v, err)
		}
		if policy.asked != want {
			t.Errorf("policy was asked %d times, want %d", policy.asked, want)
		}
	}
}
