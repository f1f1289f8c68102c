package authz

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// trail follows an evaluation: which rules were asked, and which put a text into a set. It is a topdown.QueryTracer.
type trail struct {
	asked    []*ast.Rule // rules of sets that were tried, in order
	seen     map[*ast.Rule]bool
	given    map[string][]*ast.Rule // by text: the rules that put it into a set, the first one first
	answered []*ast.Rule            // complete rules that had a value
}

func newTrail() *trail { return &trail{seen: map[*ast.Rule]bool{}, given: map[string][]*ast.Rule{}} }

func (*trail) Enabled() bool { return true }

func (*trail) Config() topdown.TraceConfig { return topdown.TraceConfig{PlugLocalVars: true} }

func (t *trail) TraceEvent(event topdown.Event) {
	rule, ok := event.Node.(*ast.Rule)
	if !ok {
		return
	}
	partial := rule.Head.DocKind() == ast.PartialSetDoc
	switch {
	case event.Op == topdown.EnterOp && partial && !t.seen[rule]:
		t.seen[rule] = true
		t.asked = append(t.asked, rule)
	case event.Op == topdown.ExitOp && partial:
		if text, ok := keyText(rule, &event); ok && !slices.Contains(t.given[text], rule) {
			t.given[text] = append(t.given[text], rule)
		}
	case event.Op == topdown.ExitOp && len(rule.Head.Args) == 0:
		t.answered = append(t.answered, rule)
	}
}

// keyText is what a rule puts into its set, as decisions show it.
func keyText(rule *ast.Rule, event *topdown.Event) (string, bool) {
	key := rule.Head.Key
	if key == nil {
		return "", false
	}
	value := key.Value
	if name, ok := value.(ast.Var); ok {
		value = event.Locals.Get(name)
	}
	text, ok := value.(ast.String)
	return printable(string(text)), ok
}

// origins lists the places of the rules that a text comes from: those of the set it was put into first. Other sets only took it over.
func (t *trail) origins(text string) []*ast.Location {
	first, _ := t.split(text)
	return first
}

// split tells where a text comes from, and through which rules it went on.
func (t *trail) split(text string) (origins, through []*ast.Location) {
	rules := t.given[text]
	for _, rule := range rules {
		if rule.Ref().Equal(rules[0].Ref()) {
			origins = append(origins, rule.Location)
		} else {
			through = append(through, rule.Location)
		}
	}
	return origins, through
}
