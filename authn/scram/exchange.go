package scram

import (
	"errors"
	"fmt"
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
)

type state int

const (
	expectFirst state = iota
	expectFirstAfterEmpty
	expectFinal
	ended
)

// Exchange is the conversation of one connection. It is not safe for concurrent use and cannot be used again.
type Exchange struct {
	conversation *xdgscram.ServerConversation
	doomed       bool // the user is unknown: whatever the proof, it fails
	state        state
	binding      string // what c= must be in client-final-message
	nonce        string // what r= must be in client-final-message
	valid        bool
}

// Step takes the data of SASLInitialResponse (client-first-message) and then of SASLResponse (client-final-message), and returns
// what to send back: SASLContinue's data when done is false, SASLFinal's when it is true. A nil in means that SASLInitialResponse
// came without data; the answer is empty and the client gets to send its first message once more (RFC 4422 section 3).
//
// An error ends the exchange; it is ErrFailed or an ErrProtocol, and out is nil. No e= message is sent, as PostgreSQL sends none.
// Messages are at most 1024 bytes. in is not kept.
func (e *Exchange) Step(in []byte) (out []byte, done bool, err error) {
	current := e.state
	e.state = ended // until a step succeeds: an exchange that broke once stays broken
	switch {
	case e.conversation == nil || current == ended:
		return nil, true, fmt.Errorf("%w: the exchange is over", ErrProtocol)
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
	first, err := parseClientFirst(in)
	if err != nil {
		return nil, err
	}
	out, err := e.conversation.Step(string(in))
	if err != nil {
		return nil, fmt.Errorf("%w: client-first-message", ErrProtocol)
	}
	e.nonce, _, _ = strings.Cut(strings.TrimPrefix(out, "r="), ",")
	if len(e.nonce) <= len(first.nonce) || !strings.HasPrefix(e.nonce, first.nonce) {
		return nil, fmt.Errorf("%w: no server nonce", ErrFailed)
	}
	e.binding = first.binding()
	return []byte(out), nil
}

// final checks the proof. The library's comparison takes constant time, and the mock goes through the same one; only then does
// being doomed count, so that a verifier that somehow fits the mock opens nothing.
func (e *Exchange) final(in []byte) ([]byte, error) {
	if err := checkClientFinal(in, e.binding, e.nonce); err != nil {
		return nil, err
	}
	out, err := e.conversation.Step(string(in))
	if err != nil || !e.conversation.Valid() || e.doomed {
		return nil, ErrFailed
	}
	e.valid = true
	return []byte(out), nil
}
