package authz

import (
	"context"
	"errors"
)

// Trial is a session under a policy that was not in force for it: who it would have been to that policy, and what its statements would
// have been told. It is not safe for concurrent use.
type Trial struct {
	engine *Engine
	input  ConnectInput

	policy  *Policy // what was asked about the connection
	connect *ConnectDecision
	err     error
}

// ErrNotAdmitted is the answer about a statement of a session that the policy would not have had.
var ErrNotAdmitted = errors.New("the policy does not allow the connection")

// Trial begins a session's trial.
func (e *Engine) Trial(input ConnectInput) *Trial { return &Trial{engine: e, input: input} }

// Connect decides about the connection, once for each policy that the engine has in use.
func (t *Trial) Connect(ctx context.Context) (*ConnectDecision, error) {
	if current := t.engine.Policy(); current != t.policy {
		t.policy = current
		t.connect, t.err = t.engine.connectBy(ctx, current, &t.input)
	}
	return t.connect, t.err
}

// Statement decides about a statement as the policy would in a session that it had allowed itself: the role and observe of the input
// are its own connect decision's.
func (t *Trial) Statement(ctx context.Context, input StatementInput) (*StatementDecision, error) {
	connect, err := t.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if !connect.Allow {
		return nil, ErrNotAdmitted
	}
	input.Session.Role, input.Session.Observe = connect.Role, connect.Observe
	return t.engine.statementBy(ctx, t.policy, &input)
}
