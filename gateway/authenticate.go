package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/gateway/wire"
)

const (
	// maxSASLMessage is PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH (libpq/sasl.h) with room for the mechanism's name.
	maxSASLMessage = 1024 + 64
	// maxPasswordMessage is PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH (libpq/auth.h). A password that is too long to be a token is read, so
	// that it fails like any other.
	maxPasswordMessage = 65535
)

// proof is what authentication found out. In pass-through the backend does: then it is open, by a grant that was given before.
type proof struct {
	identity authn.Identity
	grant    grant
	opened   *opened // nil: policy and backend are still to be asked
}

// authenticate proves who the client is, by the first rule that matches. The method is chosen before anything is known of the user,
// and every failure looks the same. Who comes after many that failed waits before it is asked anything.
func (s *session) authenticate(ctx context.Context, a *admitted) (proof, error) {
	source := addressOf(s.client)
	rule, ok := s.config.Rules.Match(a.startup.user, a.startup.database, source)
	if !ok {
		rule = authn.Rule{Method: authn.MethodReject}
	}
	s.rule = rule
	if err := s.throttle(ctx, source, a.startup.user); err != nil {
		return proof{}, err
	}
	p, err := s.authenticateBy(ctx, a, rule)
	s.tell(source, a.startup.user, err)
	s.server.countLogin(rule.Method, err)
	return p, err
}

// authenticateBy runs a rule: the certificate that it demands, then its method.
func (s *session) authenticateBy(ctx context.Context, a *admitted, rule authn.Rule) (proof, error) {
	var shown authn.Identity
	if rule.Certificate || rule.Method == authn.MethodCertificate {
		identity, err := s.authenticateCertificate(a)
		if err != nil || rule.Method == authn.MethodCertificate {
			return proof{identity: identity}, err
		}
		shown = identity
	}
	if rule.Method.PassesThrough() {
		claimed, err := combined(a, authn.Identity{User: a.startup.user, Method: rule.Method, Subject: a.startup.user}, shown)
		if err != nil {
			return proof{}, err
		}
		return s.authenticatePassThrough(ctx, a, claimed)
	}
	identity, err := s.authenticateHere(ctx, a, rule)
	if err == nil {
		identity, err = combined(a, identity, shown)
	}
	return proof{identity: identity}, err
}

// combined is an identity with the certificate that was demanded besides, if one was.
func combined(a *admitted, identity, shown authn.Identity) (authn.Identity, error) {
	if shown.Method == "" {
		return identity, nil
	}
	both, err := identity.WithCertificate(shown)
	if err != nil {
		return both, rejected(a, err)
	}
	return both, nil
}

// authenticateHere runs a method that needs no backend. One that nothing is configured for refuses everybody, after the work that a
// password takes.
func (s *session) authenticateHere(ctx context.Context, a *admitted, rule authn.Rule) (authn.Identity, error) {
	verifier, oauth := s.config.Issuers[rule.Issuer], s.config.OAuth[rule.Issuer]
	switch {
	case rule.Method == authn.MethodSCRAM:
		return s.authenticateSCRAM(a, s.config.SCRAM.Begin(a.startup.user, s.serving.EndPoint))
	case rule.Method == authn.MethodMD5 && s.config.MD5 != nil:
		return s.authenticateMD5(a, s.config.MD5)
	case rule.Method == authn.MethodOIDC && verifier != nil:
		return s.authenticateToken(ctx, a, verifier)
	case rule.Method == authn.MethodOAUTHBEARER && oauth != nil:
		return s.authenticateBearer(ctx, a, oauth)
	}
	return authn.Identity{}, s.reject(a)
}

// rejected is the one answer to every login that fails.
func rejected(a *admitted, err error) *sessionError {
	return &sessionError{
		reason: ReasonAuthentication, err: err,
		message: fmt.Sprintf("password authentication failed for user %q", a.startup.user),
	}
}

// reject asks for a password and refuses it, right or wrong, in the same way: the server's signature, which only a right one is
// answered with, would make a rule that rejects the place to try passwords.
func (s *session) reject(a *admitted) error {
	exchange := s.config.SCRAM.Begin(a.startup.user, s.serving.EndPoint)
	exchange.Reject()
	if _, err := s.authenticateSCRAM(a, exchange); err != nil {
		return err
	}
	return rejected(a, errors.New("no rule permits this login"))
}

// authenticateToken asks for a password and takes it for an OIDC token.
func (s *session) authenticateToken(ctx context.Context, a *admitted, verifier *oidc.Verifier) (authn.Identity, error) {
	if err := s.sendAuthentication(a, &pgproto3.AuthenticationCleartextPassword{}); err != nil {
		return authn.Identity{}, err
	}
	password, err := readPasswordString(a.conn)
	if err != nil {
		return authn.Identity{}, err
	}
	defer clear(password)
	identity, err := verifier.Verify(ctx, string(password), a.startup.user)
	if errors.Is(err, oidc.ErrUnavailable) {
		return identity, &sessionError{reason: ReasonAuthentication, sqlstate: "57P03", message: "tokens cannot be verified now: the identity provider is unavailable", err: err}
	}
	if err != nil {
		return identity, rejected(a, err)
	}
	return identity, nil
}

// authenticateSCRAM runs SCRAM-SHA-256 (https://www.postgresql.org/docs/current/sasl-authentication.html).
func (s *session) authenticateSCRAM(a *admitted, exchange *scram.Exchange) (authn.Identity, error) {
	if err := s.sendAuthentication(a, &pgproto3.AuthenticationSASL{AuthMechanisms: exchange.Mechanisms()}); err != nil {
		return authn.Identity{}, err
	}
	mechanism, in, err := readSASLInitial(a.conn, exchange.Mechanisms(), maxSASLMessage)
	if err != nil {
		return authn.Identity{}, err
	}
	if err := exchange.Select(mechanism); err != nil {
		return authn.Identity{}, scramFailure(a, err)
	}
	for {
		out, done, err := exchange.Step(in)
		if err != nil {
			return authn.Identity{}, scramFailure(a, err)
		}
		if done {
			if !exchange.Valid() {
				return authn.Identity{}, rejected(a, scram.ErrFailed)
			}
			user := a.startup.user
			return authn.Identity{User: user, Method: authn.MethodSCRAM, Subject: user}, s.sendAuthentication(a, &pgproto3.AuthenticationSASLFinal{Data: out})
		}
		if err := s.sendAuthentication(a, &pgproto3.AuthenticationSASLContinue{Data: out}); err != nil {
			return authn.Identity{}, err
		}
		if in, err = readPassword(a.conn, maxSASLMessage); err != nil {
			return authn.Identity{}, err
		}
	}
}

func scramFailure(a *admitted, err error) error {
	switch {
	case errors.Is(err, scram.ErrUnsupported):
		return &sessionError{reason: ReasonProtocol, sqlstate: "0A000", message: "the SCRAM message asks for what is not supported", err: err}
	case errors.Is(err, scram.ErrNegotiation), errors.Is(err, scram.ErrBinding):
		return &sessionError{reason: ReasonAuthentication, sqlstate: "28000", message: err.Error(), err: err}
	case errors.Is(err, scram.ErrBindable):
		return &sessionError{
			reason: ReasonUnsupported, sqlstate: "28000", err: err,
			message: "SCRAM cannot be passed through for a client that could bind the channel: connect with channel_binding=disable",
		}
	case errors.Is(err, scram.ErrProtocol):
		return &sessionError{reason: ReasonProtocol, message: "malformed SCRAM message", err: err}
	}
	return rejected(a, err)
}

// sendAuthentication sends one authentication message. The first of a connection goes behind the answer to the version asked for.
func (s *session) sendAuthentication(a *admitted, m pgproto3.BackendMessage) error {
	b, err := m.Encode(s.appendNegotiation(nil, a))
	if err != nil {
		return fail(ReasonInternal, err)
	}
	if _, err := a.conn.Write(b); err != nil {
		return fail(ReasonClientGone, err)
	}
	return nil
}

// appendNegotiation answers the version asked for, once, before the first authentication message. For a client that is asked for
// nothing, because it has shown a certificate, that is AuthenticationOk.
func (s *session) appendNegotiation(dst []byte, a *admitted) []byte {
	if body := a.startup.negotiation(); body != nil && !s.negotiated {
		dst = wire.AppendMessage(dst, wire.NegotiateProtocolVersion, body)
	}
	s.negotiated = true
	return dst
}

// readPassword reads the one message that a client may send while it authenticates: 'p', whatever is in it. The caller clears it.
func readPassword(conn net.Conn, limit int) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, fail(ReasonClientGone, err)
	}
	if head[0] != wire.Password {
		return nil, failf(ReasonProtocol, "expected password response, got message type %d", head[0])
	}
	length := int64(binary.BigEndian.Uint32(head[1:])) - 4
	if length < 0 || length > int64(limit) {
		return nil, failf(ReasonProtocol, "invalid password packet size")
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, fail(ReasonClientGone, err)
	}
	return body, nil
}

// readPasswordString reads a PasswordMessage: one string and its NUL. The caller clears it.
func readPasswordString(conn net.Conn) ([]byte, error) {
	body, err := readPassword(conn, maxPasswordMessage)
	if err != nil {
		return nil, err
	}
	password, rest, found := bytes.Cut(body, []byte{0})
	if !found || len(rest) != 0 {
		return nil, failf(ReasonProtocol, "invalid password packet")
	}
	return password, nil
}

// readSASLInitial reads SASLInitialResponse: the mechanism and its first message; nil when the client sent none yet.
func readSASLInitial(conn net.Conn, offered []string, limit int) (mechanism string, data []byte, err error) {
	body, err := readPassword(conn, limit)
	if err != nil {
		return "", nil, err
	}
	name, rest, found := bytes.Cut(body, []byte{0})
	mechanism = string(name)
	known := false
	for _, m := range offered {
		known = known || m == mechanism
	}
	if !found || !known || len(rest) < 4 {
		return "", nil, failf(ReasonProtocol, "client selected an invalid SASL authentication mechanism")
	}
	length := int32(binary.BigEndian.Uint32(rest)) // #nosec -- the sign is the point: the field is an Int32
	data = rest[4:]
	if length == -1 && len(data) == 0 {
		return mechanism, nil, nil
	}
	if length < 0 || int(length) != len(data) {
		return "", nil, failf(ReasonProtocol, "invalid SASL message length")
	}
	return mechanism, data, nil
}

// addressOf is an address without its port; the zero Addr matches no rule that names networks.
func addressOf(a net.Addr) netip.Addr {
	address, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap()
}
