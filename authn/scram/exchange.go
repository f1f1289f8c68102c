package scram

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	xdgscram "github.com/xdg-go/scram"
)

var (
	// ErrFailed says that the exchange was well formed and proved nothing: an unknown user or a wrong password, which cannot be
	// told apart. The client hears 28P01.
	ErrFailed = errors.New("SCRAM authentication failed")
	// ErrProtocol says that the client broke the protocol. The client hears 08P01. The text never quotes a message.
	ErrProtocol = errors.New("malformed SCRAM message")
	// ErrUnsupported is an ErrProtocol for what the standard allows and PostgreSQL does not do: an authorization identity, a
	// mandatory extension. The client may hear 0A000.
	ErrUnsupported = fmt.Errorf("%w: unsupported feature", ErrProtocol)
	// ErrNegotiation says that the client believes that channel binding was not offered, although it was: somebody between it and us
	// may have taken SCRAM-SHA-256-PLUS off the list (RFC 5802 section 6). The client hears 28000 and this text, which is
	// PostgreSQL's.
	ErrNegotiation = errors.New("SCRAM channel binding negotiation error")
	// ErrBinding says that the client is bound to another certificate than the one this connection was served: somebody ends its
	// TLS before us. The client hears 28000 and this text, which is PostgreSQL's.
	ErrBinding = errors.New("SCRAM channel binding check failed")
)

type state int

const (
	expectMechanism state = iota
	expectFirst
	expectFirstAfterEmpty
	expectFinal
	ended
)

// Exchange is the conversation of one connection. It is not safe for concurrent use and cannot be used again.
type Exchange struct {
	conversation *xdgscram.ServerConversation
	doomed       bool // the user is unknown: whatever the proof, it fails
	state        state
	channel      channel
	want         clientFinal // what client-final-message must repeat
	valid        bool
}

// Mechanisms are the SASL mechanisms to offer on this connection, in order of preference: the list of AuthenticationSASL.
func (e *Exchange) Mechanisms() []string {
	if e.channel.offered() {
		return []string{MechanismPlus, Mechanism}
	}
	return []string{Mechanism}
}

// Select takes the mechanism that SASLInitialResponse names. It comes once, before the first Step. The error is an ErrProtocol; a
// mechanism that was not offered on this connection is one.
func (e *Exchange) Select(mechanism string) error {
	if e.state != expectMechanism || !slices.Contains(e.Mechanisms(), mechanism) {
		e.state = ended
		return malformed("client selected an invalid mechanism")
	}
	e.state = expectFirst
	e.channel.selected = mechanism == MechanismPlus
	return nil
}

// Reject has the exchange go on to its end and fail there, whatever the client proves: for a rule that lets nobody in. Salt and
// iterations stay the user's, so that nothing shows which rule it was, and a right password is refused like a wrong one.
func (e *Exchange) Reject() { e.doomed = true }

// Step takes the data of SASLInitialResponse (client-first-message) and then of SASLResponse (client-final-message), and returns
// what to send back: SASLContinue's data when done is false, SASLFinal's when it is true. A nil in means that SASLInitialResponse
// came without data; the answer is empty and the client gets to send its first message once more (RFC 4422 section 3).
//
// An error ends the exchange; it is ErrFailed, ErrNegotiation, ErrBinding or an ErrProtocol, and out is nil. No e= message is sent, as PostgreSQL sends none.
// Messages are at most 1024 bytes. in is not kept.
func (e *Exchange) Step(in []byte) (out []byte, done bool, err error) {
	current := e.state
	e.state = ended // until a step succeeds: an exchange that broke once stays broken
	switch {
	case e.conversation == nil || current == ended:
		return nil, true, malformed("the exchange is over")
	case current == expectMechanism:
		return nil, true, malformed("no mechanism was selected")
	case current == expectFirst && in == nil:
		e.state = expectFirstAfterEmpty
		return []byte{}, false, nil
	case current == expectFinal:
		out, err = e.final(in)
		return out, true, err
	default:
		out, err = e.first(in)
		if err != nil {
			return nil, true, err
		}
		e.state = expectFinal
		return out, false, nil
	}
}

// Valid tells whether the client has proved its password. It is false until the last Step has returned without error.
func (e *Exchange) Valid() bool { return e.valid }

func (e *Exchange) first(in []byte) ([]byte, error) {
	first, err := parseClientFirst(in, e.channel)
	if err != nil {
		return nil, err
	}
	out, err := e.conversation.Step(string(in))
	if err != nil {
		return nil, fmt.Errorf("%w: client-first-message", ErrProtocol)
	}
	nonce, _, _ := strings.Cut(strings.TrimPrefix(out, "r="), ",")
	if len(nonce) <= len(first.nonce) || !strings.HasPrefix(nonce, first.nonce) {
		return nil, fmt.Errorf("%w: no server nonce", ErrFailed)
	}
	e.want = clientFinal{binding: e.channel.input(first.gs2Header), nonce: nonce, bound: e.channel.selected}
	return []byte(out), nil
}

// final checks the proof. The library's comparison takes constant time, and the mock goes through the same one; only then does
// being doomed count, so that a verifier that somehow fits the mock opens nothing.
func (e *Exchange) final(in []byte) ([]byte, error) {
	if err := e.want.check(in); err != nil {
		return nil, err
	}
	out, err := e.conversation.Step(string(in))
	if err != nil || !e.conversation.Valid() || e.doomed {
		return nil, ErrFailed
	}
	e.valid = true
	return []byte(out), nil
}
