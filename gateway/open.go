package gateway

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// opened is a backend session and the credential that was issued for it. Who holds it closes the one and then revokes the other.
type opened struct {
	lease   credentials.Lease // zero when the client's own credential opened it
	session *backend.Session
	config  backend.Config // of the host that was chosen, with the address that was reached
	pins    pins
	cancels *hosts.Places // one of which a cancel takes
}

// connect is what is left to do for a client that is proved: policy is asked, the session joins its identity's others, a backend session
// is opened, and all of that is recorded. In pass-through the first and the third are done: it was the backend that proved the client.
func (s *session) connect(ctx context.Context, a *admitted, p proof) (g grant, o *opened, err error) {
	g, o = p.grant, p.opened
	passed := o != nil
	if !passed {
		if g, err = s.authorize(ctx, a, p.identity); err != nil {
			return g, nil, err
		}
	}
	if err := s.oblige(&g); err != nil {
		return g, nil, err
	}
	if !passed {
		if o, err = s.open(ctx, a, &g); err != nil {
			return g, nil, err
		}
	}
	return g, o, s.recordConnect(p.identity, g, o)
}

// open gets a credential and opens the backend session with it. On failure nothing of either is left.
func (s *session) open(ctx context.Context, a *admitted, g *grant) (*opened, error) {
	parameters, err := backendParameters(a.startup, *g, s.id)
	if err != nil {
		return nil, err
	}
	if err := s.enterDatabase(ctx, g.database); err != nil { // before there is a role, which would age
		return nil, err
	}
	began := time.Now()
	lease, err := g.database.Credentials.Take(ctx, g.vaultRole)
	s.config.Metrics.CredentialIssueDuration.Observe(time.Since(began).Seconds())
	if err != nil {
		return nil, s.noCredential(err)
	}
	s.countTaken(lease)
	if lease.ID != "" {
		s.lease, s.revoker, g.leaseHash = &lease, g.database.Credentials.Revoker(), lease.IDHash()
	}
	fresh := lease.ID != "" && lease.Certificate == nil
	var o *opened
	lease, err = openWith(ctx, lease, func(ctx context.Context) (credentials.Lease, error) {
		return g.database.Credentials.Take(ctx, g.vaultRole)
	}, func(lease credentials.Lease, credential backend.Credential) (err error) {
		g.backendRole = lease.Username
		o, err = s.openBackend(ctx, *g, hosts.Opening{Credential: credential, Certificate: lease.Certificate, Parameters: parameters, Fresh: fresh})
		return err
	})
	if err != nil {
		return nil, s.noBackend(err)
	}
	o.lease = lease
	return o, nil
}

// countTaken counts a credential by whether the session had to wait for it.
func (s *session) countTaken(lease credentials.Lease) {
	if lease.Stocked {
		s.config.Metrics.CredentialsTaken.Inc("stock")
		return
	}
	s.config.Metrics.CredentialsTaken.Inc("issuer")
}

// backendParameters is what the backend is sent beside user and database.
func backendParameters(client *startup, g grant, sessionID string) ([]backend.Parameter, error) {
	parameters, err := startupParameters(client, g, g.database, sessionID)
	if replication := wantsReplication(client); replication != "" {
		parameters = append(parameters, backend.Parameter{Name: "replication", Value: replication})
	}
	return parameters, err
}

// openBackend opens the backend session as the grant's role. It is closed at the session's end, whatever else happens.
func (s *session) openBackend(ctx context.Context, g grant, opening hosts.Opening) (*opened, error) {
	opening.User, opening.AllowSuperuser = g.backendRole, g.Observe
	began := time.Now()
	at, err := g.database.Hosts.Open(ctx, opening)
	if err != nil {
		return nil, err
	}
	s.config.Metrics.BackendConnectDuration.Observe(time.Since(began).Seconds())
	s.opened = opened{session: at.Session, config: at.Config, pins: pinned(at.Parameters), cancels: at.Cancels}
	s.backend = &s.opened
	return s.backend, nil
}

// recordConnect writes what was decided and opened. Until that is done the client does not hear that it is in.
func (s *session) recordConnect(id authn.Identity, g grant, o *opened) error {
	credential := audit.Credential(cmp.Or(string(o.lease.Source), string(audit.CredentialClient)))
	return s.append(&audit.Connect{
		StatedReason: g.input.Session.Reason, RequestedRole: g.input.Session.RequestedRole,
		Session: s.id, Identity: auditIdentity(id), Allow: true, Reasons: g.Reasons, PolicyRevision: g.Revision, Role: g.Role,
		VaultRole: g.vaultRole, Observe: g.Observe, Enforcement: g.database.enforcement(), Obligations: g.Obligations(),
		Route: g.Route, SearchPath: g.database.searchPath(), BackendHost: o.session.Host, BackendAddress: o.session.Address, BackendDatabase: o.config.Database,
		BackendRole: g.backendRole, BackendPID: o.session.PID, Credential: credential, CredentialVersion: o.lease.Version, LeaseIDHash: g.leaseHash, LeaseExpires: o.lease.Expires,
	})
}

// noCredential says that the source of credentials gave nothing. The client learns whose fault it is, the log why.
func (s *session) noCredential(err error) error {
	failure, ok := errors.AsType[*credentials.Error](err)
	if !ok {
		failure = &credentials.Error{Kind: credentials.Unavailable, Err: err}
	}
	s.config.Metrics.CredentialIssueFailures.Inc(failure.Kind.String())
	return &sessionError{
		reason: ReasonCredentials, err: err, detail: failure.Explain(),
		hint: "Try again later, or tell the gateway's operators; session " + s.id + ".",
	}
}

// noBackend says that the database did not open a session: never in its own words, which would be about a role the client does not know.
func (s *session) noBackend(err error) *sessionError {
	s.config.Metrics.BackendConnectFailures.Inc()
	reason := ReasonBackendUnavailable
	var refused *backend.Error
	if errors.As(err, &refused) && !refused.Unavailable() {
		reason = ReasonBackendRefused
	}
	return &sessionError{reason: reason, err: err, hint: "Tell the gateway's operators; session " + s.id + "."}
}

// pins are the reported settings that must not change while the session lasts (protocol: after authentication, tripwires). Those with
// the same value in every session are not among them.
type pins []backend.Parameter

// alike are pinned to this in every session.
var alike = pins{{Name: "standard_conforming_strings", Value: "on"}, {Name: "client_encoding", Value: "UTF8"}, {Name: "is_superuser", Value: "off"}}

func pinned(reported []backend.Parameter) pins {
	var own pins
	for _, p := range reported {
		if p.Name == "session_authorization" || p.Name == "search_path" {
			own = append(own, p)
		}
	}
	return own
}

// moved says whether a report is of a pinned setting that has another value now.
func (own pins) moved(name, value []byte) bool {
	other := func(p backend.Parameter) bool { return p.Name == string(name) && p.Value != string(value) }
	return slices.ContainsFunc(alike, other) || slices.ContainsFunc(own, other)
}
