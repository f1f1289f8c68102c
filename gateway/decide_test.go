package gateway

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authz"
)

// reloadedPolicy is replaced while it decides about the first statement: the old one allows everything, the new one nothing.
type reloadedPolicy struct {
	fakePolicy
	next  authz.Policy
	asked int
}

func (p *reloadedPolicy) Policy() *authz.Policy {
	if p.asked == 0 {
		return &p.policy
	}
	return &p.next
}

func (p *reloadedPolicy) Statement(context.Context, *authz.StatementInput) (*authz.StatementDecision, error) {
	p.asked++
	if p.asked == 1 {
		return &authz.StatementDecision{Allow: true, Cacheable: true, Revision: "old"}, nil
	}
	return &authz.StatementDecision{Reasons: []string{"no more"}, Cacheable: true, Revision: "new"}, nil
}

// TestRelayDecidesByOnePolicy: what is forwarded was allowed by the policy that is in use when the decision is made, not by the one before.
func TestRelayDecidesByOnePolicy(t *testing.T) {
	policy := &reloadedPolicy{}
	b := start(t, func(r *relay) { r.policy, r.grant.policy = policy, policy.Policy() })
	b.send(query("select 1"))
	b.receive(1)
	b.end()
	if got := b.log.statements[0].PolicyRevision; got != "new" {
		t.Errorf("decided by the %s policy", got)
	}
	if diff := cmp.Diff([]string{"query select 1 = deny → denied 42501"}, b.log.lines()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
