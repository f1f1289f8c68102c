package authz

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport/sallyport/authz/recent"
	"github.com/sallyport/sallyport/authz/statement"
)

// maxDecisionBytes bounds the decisions that are remembered, with the sheets they are about: some 10 000 of them. An application has some
// hundred kinds of statements, and most policies decide alike for all sessions of a role.
const maxDecisionBytes = 32 << 20

// decisions are what one policy has decided about statements, for all sessions. They go with the policy.
type decisions = recent.Cache[question, *StatementDecision]

// question is all that a decision depends on, under one policy.
type question struct {
	who    string           // what the policy reads of the session, by reads.key
	saying statement.Saying // equal facts mostly have one

	fingerprint, normalized string // "" if the policy does not read them
}

// about is the question whether the session, whose key is who, may run a statement.
func (p *Policy) about(who string, sheet *statement.Sheet) question {
	q := question{who: who, saying: sheet.Saying()}
	if !p.nameless {
		q.fingerprint, q.normalized = sheet.Fingerprint, sheet.Normalized
	}
	return q
}

func newDecisions() *decisions { return recent.New[question, *StatementDecision](maxDecisionBytes) }

// asker remembers for a StatementInput what its policy reads of it, all but the statement.
type asker struct {
	input  *StatementInput // whose it is: a copy of the input may be changed, and is another one
	policy *Policy
	key    string

	who     [][2]*ast.Term  // the input, all but the statement; nil: not made yet
	extents map[int]*extent // what the policy's rules were found to say of the session; nil: none
}

// key is what p reads of the input, all but the statement.
func (in *StatementInput) key(p *Policy) string { return in.askerOf(p).key }

func (in *StatementInput) askerOf(p *Policy) *asker {
	if in.asker.input != in || in.asker.policy != p {
		in.asker = asker{input: in, policy: p, key: p.reads.key(in)}
	}
	return &in.asker
}

// size is what a remembered decision takes, with the sheet it is about.
func (q question) size(sheet *statement.Sheet, d *StatementDecision) int {
	return len(q.who) + sheet.Size() + sizeOf(d.Reasons) + sizeOf(d.Warnings)
}

func sizeOf(texts []string) int {
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	return size
}

// maxConnectBytes bounds the connect decisions that are remembered: some thousands of them. There is one for each account, as a rule.
const maxConnectBytes = 2 << 20

// connects are what one policy has decided about connections.
type connects struct {
	reads reads
	made  *recent.Cache[string, *ConnectDecision]
}

// newConnects is nil when a decision depends on more than what was asked.
func newConnects(compiler *ast.Compiler) *connects {
	query := ast.MustParseRef(connectQuery)
	if !deterministic(compiler, query) {
		return nil
	}
	return &connects{reads: readsOf(compiler, query), made: recent.New[string, *ConnectDecision](maxConnectBytes)}
}

// key is what the policy reads of an input, which has all that a StatementInput has but the statement.
func (c *connects) key(in *ConnectInput) string {
	return c.reads.key(&StatementInput{Version: ContractVersion, Action: "connect", Identity: in.Identity, Session: in.Session})
}

// connectBytes is what a ConnectDecision takes without its texts.
const connectBytes = 256

func (d *ConnectDecision) size() int {
	return connectBytes + len(d.Role) + len(d.Route) + sizeOf(d.Reasons)
}

// clone is for one session, which may change it.
func (d *ConnectDecision) clone() *ConnectDecision {
	c := *d
	c.Reasons = slices.Clone(d.Reasons)
	return &c
}
