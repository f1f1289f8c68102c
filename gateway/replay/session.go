package replay

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
)

// session is a session of the log, as far as it has come.
type session struct {
	input      authz.ConnectInput
	trial      *authz.Trial // nil before its connect event
	searchPath []string
	lacks      string // why its statements cannot be judged again

	admitted, observe bool // by the policy that decides now
	route             string
	decisions         map[*statement.Sheet]known
}

// known is a decision that the session has had.
type known struct {
	decision Decision
	by       *authz.Policy
}

// maxKnown bounds the decisions that a session remembers: a program repeats itself, and each of a million statements takes a tenth of
// a millisecond to judge.
const maxKnown = 64

func newSession(e *event) *session {
	return &session{input: authz.ConnectInput{Session: authz.Session{
		ID: e.Session, Database: e.Database, ClientAddress: e.ClientAddress, Application: e.Application, Replication: e.Replication,
		SearchPath: []string{},
	}}}
}

// connected takes what the connect event says.
func (s *session) connected(cfg Config, e *event) {
	s.input.Identity = e.identity()
	s.trial = cfg.Policy.Trial(s.input)
	s.trial.At(e.Time)
	s.searchPath = e.SearchPath
	if s.searchPath == nil && cfg.SearchPath != nil {
		s.searchPath = cfg.SearchPath(s.input.Session.Database)
	}
	switch {
	case s.searchPath == nil:
		s.lacks = noSearchPath
	case isCut(s.searchPath):
		s.lacks = noSearchPath
	}
}

// regrouped has the session's identity be in the groups that an event says it is in from then on.
func (s *session) regrouped(ctx context.Context, cfg Config, e *event) {
	if isCut(e.Groups) {
		s.lacks = cutGroups
		return
	}
	s.input.Identity.Groups, s.decisions = e.Groups, nil
	s.trial = cfg.Policy.Trial(s.input)
	s.trial.At(e.Time)
	if now, err := s.trial.Connect(ctx); err == nil {
		s.admitted, s.route, s.observe = now.Allow, now.Route, now.Observe
	}
}

// decide asks about a statement, or remembers.
func (s *session) decide(ctx context.Context, policy *authz.Engine, when time.Time, sheet *statement.Sheet) Decision {
	current := policy.Policy()
	if k, ok := s.decisions[sheet]; ok && k.by == current {
		return k.decision
	}
	input := authz.StatementInput{Identity: s.input.Identity, Session: s.input.Session, Statement: sheet}
	input.Session.SearchPath = s.searchPath
	s.trial.At(when)
	d, err := s.trial.Statement(ctx, input)
	if err != nil {
		return failed(err)
	}
	decision := Decision{Decision: word(d.Allow), Reasons: d.Reasons}
	if d.Cacheable {
		if len(s.decisions) >= maxKnown || s.decisions == nil {
			s.decisions = make(map[*statement.Sheet]known)
		}
		s.decisions[sheet] = known{decision, current}
	}
	return decision
}
