package authz

import (
	"context"
	"errors"
	"time"

	"github.com/open-policy-agent/opa/v1/rego"
)

// Trial is a session under a policy that was not in force for it: who it would have been to that policy, and what its statements would
// have been told. It is not safe for concurrent use.
type Trial struct {
	engine *Engine
	input  ConnectInput

	when    time.Time
	policy  *Policy // what was asked about the connection
	connect *ConnectDecision
	err     error
}

// ErrNotAdmitted is the answer about a statement of a session that the policy would not have had.
var ErrNotAdmitted = errors.New("the policy does not allow the connection")

// Trial begins a session's trial.
func (e *Engine) Trial(input ConnectInput) *Trial { return &Trial{engine: e, input: input} }

// At has the policy's clock show a time from now on; without it, it shows the present.
func (t *Trial) At(when time.Time) { t.when = when }

func (t *Trial) clock() []rego.EvalOption {
	if t.when.IsZero() {
		return nil
	}
	return []rego.EvalOption{rego.EvalTime(t.when)}
}

// Connect decides about the connection, once for each policy that the engine has in use.
func (t *Trial) Connect(ctx context.Context) (*ConnectDecision, error) {
	if current := t.engine.Policy(); current != t.policy {
		t.policy = current
		t.connect, t.err = t.engine.connectBy(ctx, current, &t.input, t.clock()...)
	}
	return t.connect, t.err
}

// Statement decides about a statement as the policy would in a session that it had allowed itself: the role, route and observe of the
// input are its own connect decision's.
func (t *Trial) Statement(ctx context.Context, input StatementInput) (*StatementDecision, error) {
	connect, err := t.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if !connect.Allow {
		return nil, ErrNotAdmitted
	}
	input.Session.Role, input.Session.Route, input.Session.Observe = connect.Role, connect.Route, connect.Observe
	return t.engine.statementBy(ctx, t.policy, &input, t.clock()...)
}
