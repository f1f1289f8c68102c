package authz

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Explanation says where a decision comes from. Places are "file:line", of rules.
type Explanation struct {
	Decided string   `json:"decided"` // the rule that gave the decision
	Reasons []Reason `json:"reasons"` // in the order of the decision's
	Asked   []string `json:"asked"`   // rules of sets, such as reasons, that were tried, whether they held or not
}

// Reason is one reason of a decision.
type Reason struct {
	Text    string   `json:"text"`
	Rules   []string `json:"rules"`   // that gave it; usually one
	Through []string `json:"through"` // that took it over from there
}

// ExplainConnect is Connect, and says which rules decided.
func (e *Engine) ExplainConnect(ctx context.Context, input *ConnectInput) (*ConnectDecision, *Explanation, error) {
	trail := newTrail()
	d, err := e.connectBy(ctx, e.Policy(), input, rego.EvalQueryTracer(trail))
	if err != nil {
		return nil, nil, err
	}
	return d, e.explain(trail, connectQuery, d.Reasons), nil
}

// ExplainStatement is Statement, and says which rules decided.
func (e *Engine) ExplainStatement(ctx context.Context, input *StatementInput) (*StatementDecision, *Explanation, error) {
	trail := newTrail()
	d, err := e.statementBy(ctx, e.Policy(), input, rego.EvalQueryTracer(trail), rego.EvalVirtualCache(topdown.NewVirtualCache()))
	if err != nil {
		return nil, nil, err
	}
	return d, e.explain(trail, statementQuery, d.Reasons), nil
}

func (e *Engine) explain(t *trail, query string, reasons []string) *Explanation {
	x := &Explanation{Reasons: []Reason{}, Asked: e.rulePlaces(t.asked)}
	path := ast.MustParseRef(query)
	for _, rule := range t.answered {
		if rule.Ref().Equal(path) {
			x.Decided = e.place(rule.Location)
		}
	}
	for _, text := range reasons {
		origins, through := t.split(text)
		reason := Reason{Text: text, Rules: e.places(origins), Through: e.places(through)}
		if len(origins) == 0 { // written where the decision is
			reason.Rules = []string{x.Decided}
		}
		x.Reasons = append(x.Reasons, reason)
	}
	return x
}

func (e *Engine) place(l *ast.Location) string {
	if !l.HasFile() {
		return ""
	}
	return filepath.Join(e.cfg.Directory, l.File) + ":" + strconv.Itoa(l.Row)
}

func (e *Engine) places(locations []*ast.Location) []string {
	slices.SortFunc(locations, func(a, b *ast.Location) int { return a.Compare(b) })
	places := make([]string, 0, len(locations))
	for _, l := range locations {
		places = append(places, e.place(l))
	}
	return places
}

func (e *Engine) rulePlaces(rules []*ast.Rule) []string {
	locations := make([]*ast.Location, len(rules))
	for i, rule := range rules {
		locations[i] = rule.Location
	}
	return e.places(locations)
}
