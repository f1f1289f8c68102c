package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
)

// latePolicy does not answer in time, or fails.
type latePolicy struct {
	fakePolicy
	connect, statement error
}

func (p *latePolicy) Connect(ctx context.Context, in *authz.ConnectInput) (*authz.ConnectDecision, error) {
	if p.connect != nil {
		return nil, p.connect
	}
	return p.fakePolicy.Connect(ctx, in)
}

func (p *latePolicy) Statement(ctx context.Context, in *authz.StatementInput) (*authz.StatementDecision, error) {
	if p.statement != nil {
		return nil, p.statement
	}
	return p.fakePolicy.Statement(ctx, in)
}

// lateAnalyzer has no worker free.
type lateAnalyzer struct{ err error }

func (a lateAnalyzer) AnalyzeAhead(context.Context, string, func(*statement.Sheet)) (*statement.Sheet, error) {
	return nil, a.err
}

func (lateAnalyzer) Known([]byte, *statement.Memory) *statement.Sheet { return nil }

// TestLate: what is not decided in time is denied with an error that says so and to try again, it is counted, and the session goes on.
func TestLate(t *testing.T) {
	late := fmt.Errorf("evaluate: %w", context.DeadlineExceeded)
	for name, test := range map[string]struct {
		policy   *latePolicy
		regrant  bool // the policy has changed, so that the connect decision is asked for again
		analyzer analyzer
		stage    stage // that is counted; "" for none
		code     string
	}{
		"policy":                        {policy: &latePolicy{statement: late}, stage: stagePolicy, code: "53000"},
		"policy, of the connection":     {policy: &latePolicy{connect: late}, regrant: true, stage: stagePolicy, code: "53000"},
		"a policy that fails":           {policy: &latePolicy{statement: errors.New("undefined")}, code: "58000"},
		"one that fails to admit again": {policy: &latePolicy{connect: errors.New("undefined")}, regrant: true, code: "58000"},
		"the parser":                    {policy: &latePolicy{}, analyzer: lateAnalyzer{err: late}, stage: stageParser, code: "53000"},
		"no parser free":                {policy: &latePolicy{}, analyzer: lateAnalyzer{err: statement.ErrUnavailable}, stage: stageParser, code: "53000"},
		"a parser that fails":           {policy: &latePolicy{}, analyzer: lateAnalyzer{err: errors.New("broken pipe")}, code: "58000"},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, func(r *relay) {
				r.policy = test.policy
				if !test.regrant {
					r.grant.policy = test.policy.Policy()
				}
				if test.analyzer != nil {
					r.analyzer = test.analyzer
				}
			})
			for range 2 { // the session goes on
				b.send(query("select"))
				m, err := b.client.Receive()
				if err != nil {
					t.Fatal(err)
				}
				refused, ok := m.(*pgproto3.ErrorResponse)
				if !ok || refused.Code != test.code || refused.Severity != "ERROR" {
					t.Fatalf("got %#v", m)
				}
				if test.stage != "" && refused.Hint != "Try again; nothing was executed." {
					t.Errorf("hint %q", refused.Hint)
				}
				b.receive(1)
			}
			w := httptest.NewRecorder()
			b.relay.metrics.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			for _, stage := range []stage{stageParser, stageCatalog, stagePolicy} {
				want := fmt.Sprintf("sallyport_decisions_late_total{stage=%q} %d\n", stage, map[bool]int{true: 2}[stage == test.stage])
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("/metrics has no %s", want)
				}
			}
			if ran := b.backend.executed(); len(ran) != 0 {
				t.Errorf("the backend ran %q", ran)
			}
		})
	}
}
