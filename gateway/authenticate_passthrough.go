package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
)

// PassesThrough says whether a credential that comes by a method can be used at a backend that may ask for another one. It must be the
// backend's answer to the credential that lets the client in: one that knows the gateway by its certificate would let in everybody.
func PassesThrough(method authn.Method, may backend.Method) bool {
	switch may {
	case "", backend.MethodSCRAM:
		return method == authn.MethodPassPassword || method == authn.MethodPassSCRAM
	case backend.MethodSCRAMPlus: // the client's channel ends at the gateway
		return method == authn.MethodPassPassword
	case backend.MethodMD5:
		return method == authn.MethodPassPassword || method == authn.MethodPassMD5
	}
	return false
}

// authenticatePassThrough has the client prove itself to the backend, by its own PostgreSQL credential. Policy is asked before, about
// who the client says it is: nothing of a client that policy refuses reaches PostgreSQL. But such a client does not learn that, for it
// has proved nothing. It is asked for its proof by the gateway, and hears that the password is wrong.
func (s *session) authenticatePassThrough(ctx context.Context, a *admitted, claimed authn.Identity) (proof, error) {
	g, err := s.permit(ctx, a, claimed, s.config.Policy.ConnectClaimed)
	var denied *sessionError
	switch {
	case err != nil:
		if denied = asSessionError(err); denied.reason == ReasonPolicyFailed || denied.reason == ReasonParameter {
			return proof{}, denied // whoever asks
		}
		s.recordRefusal(claimed, g, true)
	case !PassesThrough(claimed.Method, g.database.Backend.Authentication):
		return proof{}, s.noBackend(&backend.Error{Stage: backend.StageConfig, Err: fmt.Errorf(
			"a credential that comes by %s cannot be used where the backend may ask for %q", claimed.Method, g.database.Backend.Authentication,
		)})
	}
	p, err := s.passing(ctx, a, claimed.Method)
	if err != nil {
		return proof{}, err
	}
	defer clear(p.secret)
	leave, err := s.server.unproven.enter(ctx, networkOf(addressOf(s.client)))
	if err != nil {
		return proof{}, err
	}
	defer leave()
	if denied != nil {
		s.server.unproven.keepPace(ctx)
		return proof{}, s.wrong(a, p, denied)
	}
	o, err := s.openOwn(ctx, a, claimed, &g, p)
	return proof{identity: claimed, grant: g, opened: o}, err
}

// openOwn opens the backend session as the client's own role, by which the client is proved. What is wrong with its parameters is said
// only then: it depends on what policy says of the role.
func (s *session) openOwn(ctx context.Context, a *admitted, id authn.Identity, g *grant, p *passing) (*opened, error) {
	g.backendRole = id.User
	parameters, refused := backendParameters(a.startup, *g, s.id)
	if refused != nil {
		parameters = nil
	}
	if err := s.enterDatabase(ctx, g.database); err != nil {
		return nil, err
	}
	began := time.Now()
	o, err := s.openBackend(ctx, *g, hosts.Opening{Credential: p.credential, Parameters: parameters})
	s.server.unproven.took(began, p.asked)
	if err != nil {
		failure := s.notOpened(a, p, err)
		if proved := stageOf(err) == backend.StageParameters && failure.code() != "28P01"; proved {
			s.recordRefusal(id, *g, false)
		}
		return nil, failure
	}
	if refused != nil {
		s.recordRefusal(id, *g, false)
		return nil, refused
	}
	return o, nil
}

// notOpened says why there is no backend session for the client. The backend's refusal of its credential is a wrong password. Whatever
// else goes wrong between its claim and its proof looks the same to the client, for it may depend on the role; the log has the rest.
func (s *session) notOpened(a *admitted, p *passing, err error) *sessionError {
	var own *sessionError
	if errors.As(err, &own) {
		return own // the client's doing: it has gone, or does not speak the protocol
	}
	var failure *backend.Error
	if !errors.As(err, &failure) {
		return fail(ReasonInternal, err)
	}
	if strings.HasPrefix(failure.SQLSTATE, "28") {
		return s.wrong(a, p, fail(ReasonAuthentication, err))
	}
	unavailable := failure.Unavailable() && !strings.HasPrefix(failure.SQLSTATE, "08") // that is what it says of a broken exchange
	if failure.Stage == backend.StageAuthenticate && !unavailable {
		s.config.Metrics.BackendConnectFailures.Inc()
		return s.wrong(a, p, fail(ReasonBackendRefused, err))
	}
	return s.noBackend(err)
}

func stageOf(err error) backend.Stage {
	var failure *backend.Error
	if errors.As(err, &failure) {
		return failure.Stage
	}
	return ""
}

// wrong ends a login as a wrong password would: after the client was asked for its proof, with the one answer. The reason stays what it
// is for the log, the metrics and the audit.
func (s *session) wrong(a *admitted, p *passing, why *sessionError) *sessionError {
	if p.asked.IsZero() && p.pretend != nil {
		if err := p.pretend(); err != nil && !provenWrong(asSessionError(err)) {
			return asSessionError(err)
		}
	}
	answer := rejected(a, why)
	answer.reason, answer.sqlstate = why.reason, "28P01"
	return answer
}
