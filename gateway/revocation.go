package gateway

import (
	"context"
	"errors"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/refusals"
)

// Ended is a session that was ended from outside.
type Ended struct {
	ID, User string
	// Gone: its backend session is closed and its credential given back, or Vault is being asked to. Otherwise that is still under way.
	Gone bool
}

// ErrNoRefusals says that no list of refusals is configured.
var ErrNoRefusals = errors.New("no list of refusals is configured")

// End ends a session of somebody who has logged in: its client hears 57P01. It waits for the session's end until ctx ends. ok is false when
// there is none.
func (s *Server) End(ctx context.Context, id string) (ended Ended, ok bool) {
	all := s.end(ctx, func(session *session) bool { return session.id == id })
	if len(all) == 0 {
		return Ended{}, false
	}
	return all[0], true
}

// Refuse lets somebody in no more and ends all sessions that it has, those on their way to be one too. The list has the refusal before a
// session is ended: who comes back at once is refused. On an error that is refusals.ErrNotKept the sessions are ended all the same.
func (s *Server) Refuse(ctx context.Context, r refusals.Refusal) ([]Ended, error) {
	list := s.config().Refusals
	if list == nil {
		return nil, ErrNoRefusals
	}
	err := list.Add(r)
	if err != nil && !errors.Is(err, refusals.ErrNotKept) {
		return nil, err
	}
	return s.end(ctx, func(session *session) bool {
		id := session.identity
		return r.Matches(id.User, id.Issuer, id.Subject)
	}), err
}

// end ends the sessions that match, and waits for their ends until ctx ends. match is called with the lock held.
func (s *Server) end(ctx context.Context, match func(*session) bool) []Ended {
	s.mu.Lock()
	var found []*session
	for session := range s.sessions {
		if match(session) {
			session.stop(fail(ReasonKilled, nil))
			found = append(found, session)
		}
	}
	s.mu.Unlock()
	all := make([]Ended, len(found))
	for i, session := range found {
		all[i] = Ended{ID: session.id, User: session.user}
		select {
		case <-session.gone:
			all[i].Gone = true
		case <-ctx.Done():
		}
	}
	return all
}

// admissible says whether nobody has refused an identity. It is asked once the session is among those that end finds: whoever refuses it
// at this moment is in time either for the question or to end the session.
func (s *session) admissible(id authn.Identity) error {
	if s.config.Refusals == nil {
		return nil
	}
	if _, refused := s.config.Refusals.Find(id.User, id.Issuer, id.Subject); refused {
		return &sessionError{reason: ReasonRefused, hint: "Session " + s.id + ". Ask the gateway's operators."}
	}
	return nil
}

// stopped is why somebody else has ended the session; nil: nobody has.
func stopped(ctx context.Context) *sessionError {
	var cause *sessionError
	if errors.As(context.Cause(ctx), &cause) {
		return cause
	}
	return nil
}

// beforeRelay is what a client hears that was ended before its relay: one that is refused hears that, whichever came first.
func (s *session) beforeRelay(cause *sessionError) *sessionError {
	if cause.reason != ReasonKilled {
		return cause
	}
	s.server.mu.Lock()
	id := s.identity
	s.server.mu.Unlock()
	var refused *sessionError
	if errors.As(s.admissible(id), &refused) {
		return refused
	}
	return cause
}
