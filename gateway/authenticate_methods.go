package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/certificate"
	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/authn/oauthbearer"
	"github.com/sallyport/sallyport/authn/oidc"
)

// authenticateCertificate takes the certificate that the client showed in the handshake. The words are PostgreSQL's
// (ClientAuthentication, libpq/auth.c).
func (s *session) authenticateCertificate(a *admitted) (authn.Identity, error) {
	if s.config.Mapper == nil {
		return authn.Identity{}, rejected(a, errors.New("no certificates are mapped"))
	}
	identity, err := s.config.Mapper.Verify(a.conn.ConnectionState().VerifiedChains, a.startup.user)
	switch {
	case errors.Is(err, certificate.ErrNone):
		return identity, &sessionError{
			reason: ReasonAuthentication, sqlstate: "28000", message: "connection requires a valid client certificate", err: err,
		}
	case err != nil:
		return identity, &sessionError{
			reason: ReasonAuthentication, sqlstate: "28000", err: err,
			message: fmt.Sprintf("certificate authentication failed for user %q", a.startup.user),
		}
	}
	return identity, nil
}

// authenticateMD5 runs AuthenticationMD5Password.
func (s *session) authenticateMD5(a *admitted, server *md5.Server) (authn.Identity, error) {
	exchange := server.Begin(a.startup.user)
	if err := s.sendAuthentication(a, &pgproto3.AuthenticationMD5Password{Salt: exchange.Salt()}); err != nil {
		return authn.Identity{}, err
	}
	response, err := readPasswordString(a.conn)
	if err != nil {
		return authn.Identity{}, err
	}
	defer clear(response)
	if err := exchange.Check(response); err != nil || !exchange.Valid() {
		return authn.Identity{}, rejected(a, err)
	}
	return authn.Identity{User: a.startup.user, Method: authn.MethodMD5, Subject: a.startup.user}, nil
}

// authenticateBearer runs OAUTHBEARER (RFC 7628). A client without a token hears where to get one, and comes again with it.
func (s *session) authenticateBearer(ctx context.Context, a *admitted, server *oauthbearer.Server) (authn.Identity, error) {
	mechanisms := []string{oauthbearer.Mechanism}
	if err := s.sendAuthentication(a, &pgproto3.AuthenticationSASL{AuthMechanisms: mechanisms}); err != nil {
		return authn.Identity{}, err
	}
	_, in, err := readSASLInitial(a.conn, mechanisms, oauthbearer.MaxMessageBytes)
	if err != nil {
		return authn.Identity{}, err
	}
	exchange := server.Begin(a.startup.user)
	for {
		out, done, err := exchange.Step(ctx, in)
		clear(in)
		if err != nil {
			return authn.Identity{}, bearerFailure(a, err)
		}
		if done {
			identity, ok := exchange.Identity()
			if !ok {
				return authn.Identity{}, rejected(a, oauthbearer.ErrFailed)
			}
			return identity, nil
		}
		if err := s.sendAuthentication(a, &pgproto3.AuthenticationSASLContinue{Data: out}); err != nil {
			return authn.Identity{}, err
		}
		if in, err = readPassword(a.conn, oauthbearer.MaxMessageBytes); err != nil {
			if refused := exchange.Refused(); refused != nil {
				return authn.Identity{}, bearerFailure(a, refused) // it has heard why, and need not say so
			}
			return authn.Identity{}, err
		}
	}
}

// bearerFailure says what PostgreSQL 18 says (auth-oauth.c). That a client had no token yet is no failed login.
func bearerFailure(a *admitted, err error) error {
	failed := &sessionError{
		reason: ReasonAuthentication, sqlstate: "28000", err: err,
		message: fmt.Sprintf("OAuth bearer authentication failed for user %q", a.startup.user),
	}
	switch {
	case errors.Is(err, oauthbearer.ErrDiscovery):
		failed.reason = ReasonDiscovery
	case errors.Is(err, oauthbearer.ErrUnsupported):
		return &sessionError{reason: ReasonProtocol, sqlstate: "0A000", message: "the OAUTHBEARER message asks for what is not supported", err: err}
	case errors.Is(err, oauthbearer.ErrProtocol):
		return &sessionError{reason: ReasonProtocol, message: "malformed OAUTHBEARER message", err: err}
	case errors.Is(err, oidc.ErrUnavailable):
		failed.sqlstate, failed.message = "57P03", "tokens cannot be verified now: the identity provider is unavailable"
	}
	return failed
}
