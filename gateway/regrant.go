package gateway

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
)

// stillGranted asks for the connect decision again when the policy has changed, or the identity's groups: who may no longer be here, or no
// longer as what it is here, has nothing to be judged. A policy that has no answer, as on a machine that is too busy, costs the statement
// and not the session: the next one asks again.
func (j *judge) stillGranted(ctx context.Context) (*denial, error) {
	current, groups := j.policy.Policy(), j.groups.Load()
	regrouped := groups != j.granted
	if current == j.grant.policy && !regrouped {
		return nil, nil
	}
	if regrouped {
		j.regroup(groups)
	}
	ctx, cancel := context.WithTimeout(ctx, j.timeouts.Decision)
	defer cancel()
	j.fresh = false
	d, err := j.policy.Connect(ctx, &j.grant.input)
	if err != nil {
		return j.undecided(err), nil
	}
	if regrouped {
		j.shadow = j.shadow.regrouped(j.grant.input, j.input, d)
	} else {
		j.shadow.decided(d)
	}
	if ended := j.withdrawn(d); ended != nil {
		_ = j.recordGrant(d, regrouped, true) // it ends in any case
		return nil, ended
	}
	if regrouped || !slices.Equal(d.Obligations(), j.grant.Obligations()) {
		if err := j.recordGrant(d, regrouped, false); err != nil {
			return unrecorded(), nil // and nothing has changed: the next statement asks again
		}
		if err := j.adopt(d); err != nil {
			return nil, err
		}
	}
	j.grant.policy, j.grant.Revision, j.granted = current, d.Revision, groups
	return nil, nil
}

// withdrawn is the end of a session that is no longer granted, or granted otherwise than can be changed while it runs: the database role
// is another one's, the backend another one, observe has decided about the backend's rights, and PostgreSQL was told at the start whether it only reads.
func (j *judge) withdrawn(d *authz.ConnectDecision) error {
	switch {
	case !d.Allow:
		return &sessionError{reason: ReasonGrantWithdrawn, detail: strings.Join(d.Reasons, "\n"), hint: "Decision " + j.id + "."}
	case d.Role != j.grant.Role || d.Route != j.grant.Route || d.Observe != j.grant.Observe || d.ReadOnly != j.grant.ReadOnly:
		return &sessionError{
			reason: ReasonGrantWithdrawn, message: "terminating connection because policy now grants something else",
			detail: "Another role, route, observe or read_only takes another session.", hint: "Connect again. Decision " + j.id + ".",
		}
	}
	return nil
}

// recordGrant writes that the session is granted something else.
func (j *judge) recordGrant(d *authz.ConnectDecision, regrouped, ended bool) error {
	err := j.log.Append(&audit.GrantChange{
		Session: j.id, Identity: j.identity, Allow: d.Allow, Reasons: d.Reasons, PolicyRevision: d.Revision, Role: d.Role, Observe: d.Observe,
		Obligations: d.Obligations(), Regrouped: regrouped, Ended: ended,
	})
	if err != nil {
		j.metrics.auditFailed()
		j.logger.Error("audit log does not take a change of a grant", "error", err)
	}
	return err
}

// adopt puts other limits in force from the next statement on. Those that a session begins with stay as they were: max_sessions, and a
// statement_timeout that PostgreSQL was told, unless the new one is shorter, which the gateway then keeps itself. The reporter reads the
// grant too, but none of these.
func (j *judge) adopt(d *authz.ConnectDecision) error {
	if j.regrant != nil {
		hour, pace, err := j.regrant(d)
		if err != nil {
			return err
		}
		j.hour, j.pace = hour, pace
	}
	g := &j.grant.ConnectDecision
	if !g.Observe {
		j.timeout = 0
		if tighter(d.StatementTimeout, j.told) != j.told {
			j.timeout = d.StatementTimeout
		}
	}
	g.MaxSession, g.IdleTimeout, g.StatementTimeout = d.MaxSession, d.IdleTimeout, d.StatementTimeout
	g.MaxRows, g.MaxBytes, g.MaxRowsPerHour, g.MaxBytesPerHour = d.MaxRows, d.MaxBytes, d.MaxRowsPerHour, d.MaxBytesPerHour
	g.BindValues, g.MaxSessions, g.MaxStatementsPerSecond = d.BindValues, d.MaxSessions, d.MaxStatementsPerSecond
	return nil
}

// regrant changes, for a session that relays, what is kept outside its relay: what its identity's sessions share, its clock, and what
// operators see of it.
func (s *session) regrant(c *clock, d *authz.ConnectDecision) (*hourly, *rate.Limiter, error) {
	hour, pace, err := s.share(d)
	if err != nil {
		return nil, nil, err
	}
	c.limit(d.MaxSession, d.IdleTimeout)
	if info := s.info.Load(); info != nil {
		changed := *info
		changed.Obligations = d.Obligations()
		s.info.Store(&changed)
	}
	return hour, pace, nil
}
