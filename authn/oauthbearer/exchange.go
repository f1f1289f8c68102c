package oauthbearer

import (
	"context"
	"errors"
	"fmt"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/oidc"
)

var (
	// ErrFailed says that the exchange was well formed and proved nothing: a bad token, or a good one of somebody else. It wraps the
	// verifier's reason, which is for the log. The client hears 28000, "OAuth bearer authentication failed for user …".
	ErrFailed = errors.New("OAUTHBEARER authentication failed")
	// ErrDiscovery says that the client had no token and has now been told where to get one. The client hears the same as of
	// ErrFailed; it is no failed login and nothing to warn of.
	ErrDiscovery = errors.New("OAUTHBEARER discovery")
)

type state int

const (
	expectInitial state = iota
	expectInitialAfterEmpty
	expectAcknowledgement
	ended
)

// Exchange is the conversation of one connection. It is not safe for concurrent use and cannot be used again.
type Exchange struct {
	server   *Server
	user     string
	state    state
	outcome  error // what to end with once the client has acknowledged the refusal
	identity authn.Identity
}

// Step takes the data of SASLInitialResponse, and if that was no good token the data of the SASLResponse behind it. When done is
// false, out is SASLContinue's data. When done is true and err nil, the client is who Identity says; there is no SASLFinal. A nil in
// means that SASLInitialResponse came without data; the answer is empty and the client gets to send it once more.
//
// An error ends the exchange; out is nil. It is ErrFailed, ErrDiscovery, an ErrProtocol, or, when no token can be judged, the
// verifier's own (oidc.ErrUnavailable, ctx's): the client did nothing wrong then and is not told that its token is bad. in is not
// kept; the token in it is copied only for the verifier.
func (e *Exchange) Step(ctx context.Context, in []byte) (out []byte, done bool, err error) {
	current := e.state
	e.state = ended // until a step succeeds: an exchange that broke once stays broken
	switch {
	case e.server == nil || current == ended:
		return nil, true, malformed("the exchange is over")
	case current == expectInitial && in == nil:
		e.state = expectInitialAfterEmpty
		return []byte{}, false, nil
	case current == expectAcknowledgement:
		return nil, true, e.acknowledged(in)
	default:
		return e.initial(ctx, in)
	}
}

// Identity is who the client proved to be. ok is false until the last Step has returned without error.
func (e *Exchange) Identity() (identity authn.Identity, ok bool) {
	return e.identity, e.identity.User != ""
}

// Refused is what the exchange will end with, an ErrFailed or ErrDiscovery, from the moment the client is told; nil if it is not
// refused. A client that has heard need not acknowledge: count its failed login all the same.
func (e *Exchange) Refused() error { return e.outcome }

func (e *Exchange) initial(ctx context.Context, in []byte) ([]byte, bool, error) {
	authorization, err := parseInitial(in)
	if err != nil {
		return nil, true, err
	}
	if authorization == "" {
		return e.refuse(ErrDiscovery)
	}
	token, err := cutToken(authorization)
	if err != nil {
		return e.refuse(fmt.Errorf("%w: %w", ErrFailed, err))
	}
	identity, err := e.server.verifier.Verify(ctx, token, e.user)
	switch {
	case errors.Is(err, oidc.ErrRejected):
		return e.refuse(fmt.Errorf("%w: %w", ErrFailed, err))
	case err != nil:
		return nil, true, fmt.Errorf("verify token: %w", err)
	case identity.User != e.user || identity.User == "":
		return e.refuse(fmt.Errorf("%w: the token is another user's", ErrFailed))
	}
	identity.Method = authn.MethodOAUTHBEARER
	e.identity = identity
	return nil, true, nil
}

// refuse answers with the error document; outcome is for when the client has acknowledged it.
func (e *Exchange) refuse(outcome error) ([]byte, bool, error) {
	e.outcome, e.state = outcome, expectAcknowledgement
	return append([]byte(nil), e.server.refusal...), false, nil
}

// acknowledged ends a refused exchange. A client that says anything but that it has heard breaks the protocol (RFC 7628
// section 3.2.3).
func (e *Exchange) acknowledged(in []byte) error {
	if len(in) != 1 || in[0] != separator {
		return malformed("client did not acknowledge the refusal")
	}
	return e.outcome
}
