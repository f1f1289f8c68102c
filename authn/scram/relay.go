package scram

import (
	"errors"
	"strings"
)

// ErrBindable says that the client could bind the channel and was not offered to (gs2 flag y). It cannot be relayed: the server behind
// us offers SCRAM-SHA-256-PLUS to whoever comes over TLS, and must take the flag for the sign of somebody in between who took that off
// the list (RFC 5802 section 6). That somebody is us. The client hears 28000.
var ErrBindable = errors.New("the client could bind the channel, which cannot be relayed")

// Relay follows an exchange that a client has with another server, through us. It holds the client's messages to the grammar, so that
// only they reach that server, and decides nothing: whether the proof is right is the server's to say. It is of one connection, and
// not safe for concurrent use.
type Relay struct {
	state state
	nonce string // the client's
	want  clientFinal
}

// First takes client-first-message, once. The error is ErrBindable or an ErrProtocol.
func (r *Relay) First(in []byte) error {
	current := r.state
	r.state = ended
	if current != expectMechanism {
		return malformed("client-first-message comes twice")
	}
	first, err := parseClientFirst(in, channel{})
	switch {
	case err != nil:
		return err
	case !strings.HasPrefix(first.gs2Header, "n,"):
		return ErrBindable
	}
	r.nonce, r.want.binding = first.nonce, channel{}.input(first.gs2Header)
	r.state = expectFirst
	return nil
}

// Nonce is the client's, which the server's begins with.
func (r *Relay) Nonce() string { return r.nonce }

// Challenge takes the server's server-first-message, of which only the nonce matters here: what else must be in it is the concern of
// whoever talks to the server. The error is an ErrProtocol.
func (r *Relay) Challenge(in []byte) error {
	current := r.state
	r.state = ended
	nonce, _, _ := strings.Cut(string(in), ",")
	nonce, ok := strings.CutPrefix(nonce, "r=")
	if current != expectFirst || !ok || len(nonce) <= len(r.nonce) || !strings.HasPrefix(nonce, r.nonce) || !isPrintable(nonce) {
		return malformed("the server's nonce does not go on from the client's")
	}
	r.want.nonce = nonce
	r.state = expectFinal
	return nil
}

// Final takes client-final-message, once. The error is an ErrProtocol.
func (r *Relay) Final(in []byte) error {
	current := r.state
	r.state = ended
	if current != expectFinal {
		return malformed("client-final-message out of order")
	}
	return r.want.check(in)
}
