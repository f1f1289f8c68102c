package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// opened is a backend session and the credential that was issued for it. Who holds it closes the one and then revokes the other.
type opened struct {
	lease   credentials.Lease
	session *backend.Session
	config  backend.Config
	pins    map[string]string
}

// open gets a credential and opens the backend session with it. On failure nothing of either is left.
func (s *session) open(ctx context.Context, a *admitted, id authn.Identity, g *grant) (*opened, error) {
	parameters, err := startupParameters(a.startup, *g, g.database, s.id)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	lease, err := s.config.Credentials.Issue(ctx, g.vaultRole)
	s.config.Metrics.CredentialIssueDuration.Observe(time.Since(began).Seconds())
	if err != nil {
		return nil, s.noCredential(err)
	}
	o := &opened{lease: lease, config: g.database.Backend}
	s.lease = &lease
	g.backendRole, g.leaseHash = lease.Username, lease.IDHash()
	o.config.AllowSuperuser = g.Observe
	if replication := wantsReplication(a.startup); replication != "" {
		parameters = append(parameters, backend.Parameter{Name: "replication", Value: replication})
	}
	began = time.Now()
	o.session, err = backend.Open(ctx, o.config, lease.Username, backend.Password(lease.Password), parameters)
	if err != nil {
		return nil, s.noBackend(err)
	}
	s.config.Metrics.BackendConnectDuration.Observe(time.Since(began).Seconds())
	s.backend = o
	o.config.Address = o.session.Address // a cancel must reach this very server
	o.pins = pinned(o.session.Parameters)
	if err := s.append(&audit.Connect{
		StatedReason: g.input.Session.Reason, RequestedRole: g.input.Session.RequestedRole,
		Session: s.id, Identity: auditIdentity(id), Allow: true, Reasons: g.Reasons, PolicyRevision: g.Revision, Role: g.Role,
		VaultRole: g.vaultRole, Observe: g.Observe, Enforcement: g.database.enforcement(), Obligations: g.Obligations(),
		SearchPath: g.database.searchPath(), BackendHost: o.session.Host, BackendDatabase: o.config.Database,
		BackendRole: lease.Username, BackendPID: o.session.PID, LeaseIDHash: g.leaseHash, LeaseExpires: lease.Expires,
	}); err != nil {
		return nil, err
	}
	return o, nil
}

// noCredential says that Vault gave nothing. The client learns whose fault it is, the log why.
func (s *session) noCredential(err error) error {
	kind := "unavailable"
	var refused *credentials.Error
	if errors.As(err, &refused) && refused.Kind == credentials.Refused {
		kind = "refused"
	}
	s.config.Metrics.CredentialIssueFailures.Inc(kind)
	return &sessionError{
		reason: ReasonCredentials, err: err, detail: "Vault is " + map[string]string{
			"unavailable": "unavailable to the gateway.", "refused": "refusing to issue a credential to the gateway.",
		}[kind],
		hint: "Try again later, or tell the gateway's operators; session " + s.id + ".",
	}
}

// noBackend says that the database did not open a session: never in its own words, which would be about a role the client does not know.
func (s *session) noBackend(err error) error {
	s.config.Metrics.BackendConnectFailures.Inc()
	reason := ReasonBackendUnavailable
	var refused *backend.Error
	if errors.As(err, &refused) && !refused.Unavailable() {
		reason = ReasonBackendRefused
	}
	return &sessionError{reason: reason, err: err, hint: "Tell the gateway's operators; session " + s.id + "."}
}

// pinned are the reported settings that must not change while the session lasts (protocol: after authentication, tripwires).
func pinned(reported []backend.Parameter) map[string]string {
	pins := map[string]string{"standard_conforming_strings": "on", "client_encoding": "UTF8", "is_superuser": "off"}
	for _, p := range reported {
		if p.Name == "session_authorization" || p.Name == "search_path" {
			pins[p.Name] = p.Value
		}
	}
	return pins
}
