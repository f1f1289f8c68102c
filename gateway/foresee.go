package gateway

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
)

// foresee asks about the facts of a text nobody has sent before, while the worker still finds out how the text is called: the longer half
// of judging it is done by then. Nothing is decided here. What the names mean and what policy says are remembered where everybody finds them, and
// decide asks again, as if nothing had been foreseen; whatever has changed by then has another answer.
//
// It leaves alone what would not be remembered, or has to be waited for. A policy that had no answer in time is not asked ahead
// again: its client would wait twice.
func (j *judge) foresee(ctx context.Context, facts *statement.Sheet) {
	policy := j.policy.Policy()
	if !policy.ByFacts() || policy == j.unforeseen || j.namesMayHaveMoved() {
		return
	}
	if j.catalog != nil {
		snapshot, ok := j.catalog.Now(time.Now())
		if !ok {
			return
		}
		facts = snapshot.Resolve(facts, j.input.Session.SearchPath)
	}
	if hasUnknown(facts) { // about these the catalog is asked anew
		return
	}
	j.input.Statement = facts
	if _, err := j.policy.Statement(ctx, &j.input); err != nil {
		j.unforeseen = policy
	}
}
