package gateway

import (
	"time"

	"github.com/sallyport/sallyport/authn"
)

// SessionInfo is a session as operators see it.
type SessionInfo struct {
	ID            string
	User          string
	Method        string
	Issuer        string
	Subject       string
	Database      string
	ClientAddress string
	Application   string
	Role          string
	BackendRole   string
	BackendPID    uint32
	BackendHost   string
	Route         string // that policy gave; "": the database's own hosts
	Observe       bool
	Enforcement   string // "observe": policy denies nothing here; else ""
	Started       time.Time
	Expires       time.Time // the identity's end; zero: none
	State         string    // "active", "idle", "idle in transaction", as in pg_stat_activity
	Statements    uint64
	StatedReason  string   // why the client says it came
	Obligations   []string // what policy obliges it to: "max_rows=100", "read_only"
}

// publish makes the session visible to operators.
func (s *session) publish(id authn.Identity, g grant, o *opened) {
	s.published = SessionInfo{
		ID: s.id, User: id.User, Method: string(id.Method), Issuer: id.Issuer, Subject: id.Subject, Database: s.admitted.startup.database,
		ClientAddress: hostOf(s.client), Application: clip(s.admitted.startup.parameter("application_name")),
		Role: g.Role, BackendRole: g.backendRole, BackendPID: o.session.PID, BackendHost: o.session.Host, Route: g.Route, Observe: g.Observe, Enforcement: g.database.enforcement(),
		Started: s.started, Expires: id.Expires, StatedReason: g.input.Session.Reason, Obligations: g.Obligations(),
	}
	s.info.Store(&s.published)
}

// describe is the session now; ok is false when it does not relay.
func (s *session) describe() (info SessionInfo, ok bool) {
	r, fixed := s.live.Load(), s.info.Load()
	if r == nil || fixed == nil {
		return SessionInfo{}, false
	}
	info = *fixed
	info.Statements = r.statements.Load()
	busy, status := r.queue.busy()
	switch {
	case busy:
		info.State = "active"
	case status == 'I':
		info.State = "idle"
	default:
		info.State = "idle in transaction"
	}
	return info, true
}
