package gateway

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
)

// grant is what the connect decision gave, and later what was opened for it.
type grant struct {
	authz.ConnectDecision
	input     authz.ConnectInput
	policy    *authz.Policy // not newer than the one that decided
	database  Database
	vaultRole string
	shadow    *shadowed // the session to the second policy; nil: there is none

	backendRole string // the database role: the lease's, or the client's own
	leaseHash   string // "": the client's own credential has no lease

	hour *hourly       // nil: no limit per hour
	pace *rate.Limiter // nil: no limit per second
}

// askConnect is one of the ways to ask policy about a connection.
type askConnect func(ctx context.Context, input *authz.ConnectInput) (*authz.ConnectDecision, error)

// authorize asks policy about the connection, and finds the Vault role that is issued a credential for it.
func (s *session) authorize(ctx context.Context, a *admitted, id authn.Identity) (grant, error) {
	g, err := s.permit(ctx, a, id, s.config.Policy.Connect)
	if err != nil {
		return g, err
	}
	var ok bool
	if g.vaultRole, ok = g.database.VaultRoles[g.Role]; !ok {
		return g, &sessionError{
			reason: ReasonPolicyFailed, err: fmt.Errorf("policy gave the role %q, for which database %q has no Vault role", g.Role, a.startup.database),
		}
	}
	return g, nil
}

// permit asks policy about the connection. Whether a database exists is not told to who may not ask.
func (s *session) permit(ctx context.Context, a *admitted, id authn.Identity, ask askConnect) (grant, error) {
	g := grant{
		policy: s.config.Policy.Policy(), // the one that decides, or an older one: then the first statement asks again
		input:  authz.ConnectInput{Version: authz.ContractVersion, Action: "connect", Identity: policyIdentity(id), Session: s.policySession(a)},
	}
	if _, err := requestOf(a.startup); err != nil {
		return g, err
	}
	d, err := ask(ctx, &g.input)
	if err != nil {
		return g, fail(ReasonPolicyFailed, err)
	}
	g.ConnectDecision = *d
	g.shadow = s.config.Shadow.connected(g.input, d)
	if !d.Allow {
		return g, &sessionError{reason: ReasonPolicyDenied, detail: strings.Join(d.Reasons, "\n"), hint: "Decision " + s.id + "."}
	}
	if replication := wantsReplication(a.startup); replication != "" && !d.Observe {
		return g, failf(ReasonUnsupported, "replication connections are not permitted")
	}
	database, ok := s.config.Databases[a.startup.database]
	if !ok {
		return g, failf(ReasonUnknownDatabase, "database %q does not exist", a.startup.database)
	}
	if g.database = database; g.Route != "" {
		if g.database, ok = database.Routes[g.Route]; !ok {
			return g, &sessionError{
				reason: ReasonPolicyFailed, err: fmt.Errorf("policy gave the route %q, which database %q does not have", g.Route, a.startup.database),
			}
		}
	}
	return g, nil
}

func policyIdentity(id authn.Identity) authz.Identity {
	groups := id.Groups
	if groups == nil {
		groups = []string{}
	}
	return authz.Identity{User: id.User, Method: string(id.Method), Issuer: id.Issuer, Subject: id.Subject, Name: id.Name, Groups: groups}
}

func auditIdentity(id authn.Identity) audit.Identity {
	return audit.Identity{
		User: id.User, Method: string(id.Method), Issuer: id.Issuer, Subject: id.Subject, Certificate: id.Certificate, Name: id.Name,
		Groups: id.Groups, Expires: id.Expires,
	}
}

// policySession is the session as policies see it while it connects.
func (s *session) policySession(a *admitted) authz.Session {
	asked, _ := requestOf(a.startup) // authorize has refused what is wrong with it
	return authz.Session{
		Reason: asked.reason, RequestedRole: asked.role,
		ID: s.id, Database: a.startup.database, ClientAddress: addressOf(s.client).String(),
		Application: clip(a.startup.parameter("application_name")), Replication: wantsReplication(a.startup), SearchPath: []string{},
	}
}

// recordRefusal writes the connect decision of a session that came to nothing: refused by policy, or for want of what policy gave.
// claimed says that nobody has proved to be the identity.
func (s *session) recordRefusal(id authn.Identity, g grant, claimed bool) {
	s.record(&audit.Connect{
		StatedReason: g.input.Session.Reason, RequestedRole: g.input.Session.RequestedRole, Claimed: claimed,
		Session: s.id, Identity: auditIdentity(id), Allow: g.Allow, Reasons: g.Reasons, PolicyRevision: g.Revision, Role: g.Role,
		VaultRole: g.vaultRole, Route: g.Route, Observe: g.Observe, Obligations: g.Obligations(), BackendRole: g.backendRole, LeaseIDHash: g.leaseHash,
	})
}
