// Package scram is the server side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677) as PostgreSQL speaks it: SASL messages in, SASL messages
// out, no sockets (https://www.postgresql.org/docs/current/sasl-authentication.html).
//
// The conversation itself is github.com/xdg-go/scram's. What that library leaves to its user, or does otherwise than PostgreSQL,
// is done around it:
//
//   - The account is the startup packet's user. The name inside the SCRAM message is ignored (libpq sends it empty).
//   - An unknown user gets a mock verifier, goes through the whole exchange and fails where a wrong password fails. The library
//     would answer e=unknown-user at once.
//   - Every message is checked against the grammar before the library sees it, with fixed errors: the library's errors quote
//     what the client sent.
//   - Channel binding is tls-server-end-point of the certificate that the session says it served; the library would hash the
//     client's. SCRAM-SHA-256-PLUS is offered exactly on connections that have such a hash, and what the client says of channel
//     binding must fit the mechanism it chose.
package scram

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	xdgscram "github.com/xdg-go/scram"
)

// The SASL mechanisms' names, as AuthenticationSASL lists them.
const (
	Mechanism     = "SCRAM-SHA-256"
	MechanismPlus = "SCRAM-SHA-256-PLUS" // with channel binding
)

// minMockSecretBytes: whoever guesses the mock secret can compute every mock salt and so tell which accounts are real.
const minMockSecretBytes = 16

var errMockSecret = fmt.Errorf("mock secret must be at least %d bytes", minMockSecretBytes)

// Config is what a Server needs. It is copied.
type Config struct {
	// Lookup finds a user's verifier. It is called once per exchange, for every user, and by Knows, and must take the same time whether the
	// user exists or not. What it returns is only read.
	Lookup func(user string) (Verifier, bool)
	// MockSecret makes the salts shown for users that do not exist. All replicas share it and it survives restarts: a salt that
	// changes gives the mock away. At least 16 random bytes.
	MockSecret []byte
	// Iterations is the count shown for users that do not exist; give real verifiers the same. Zero: DefaultIterations.
	Iterations int
}

// Server begins exchanges. It is safe for concurrent use.
type Server struct {
	lookup     func(string) (Verifier, bool)
	mockSecret []byte
	iterations int
	nonce      func() string // replaced by tests for published vectors
}

// NewServer checks cfg and returns a Server.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Lookup == nil {
		return nil, errors.New("scram: no lookup of verifiers")
	}
	if len(cfg.MockSecret) < minMockSecretBytes {
		return nil, fmt.Errorf("scram: %w", errMockSecret)
	}
	iterations := cfg.Iterations
	if iterations == 0 {
		iterations = DefaultIterations
	}
	if iterations < minIterations || iterations > maxIterations {
		return nil, fmt.Errorf("scram: %d iterations: must be %d to %d", iterations, minIterations, maxIterations)
	}
	return &Server{lookup: cfg.Lookup, mockSecret: append([]byte(nil), cfg.MockSecret...), iterations: iterations, nonce: newNonce}, nil
}

// Knows says whether a user has a verifier, and so may log in. It is not for clients to learn.
func (s *Server) Knows(user string) bool {
	found, ok := s.lookup(user)
	return ok && found.validate() == nil
}

// nonceBytes is PostgreSQL's SCRAM_RAW_NONCE_LEN (src/include/common/scram-common.h). A nonce of another length would tell who is
// asked by us and who by a PostgreSQL that the exchange is relayed to.
const nonceBytes = 18

func newNonce() string {
	var random [nonceBytes]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand
	return base64.StdEncoding.EncodeToString(random[:])
}

// Begin starts the exchange of one connection. user is the startup packet's. binding is tls-server-end-point (RFC 5929 section 4.1)
// of the certificate that this very connection was served; nil where there is none, and then SCRAM-SHA-256-PLUS is not offered.
// Begin comes before AuthenticationSASL: the Exchange knows what to offer, so that what was offered is what is checked.
func (s *Server) Begin(user string, binding []byte) *Exchange {
	// The mock is made for every user, so that the work is the same for all.
	verifier, doomed := s.mock(user), true
	if found, ok := s.lookup(user); ok && found.validate() == nil {
		verifier, doomed = found, false
	}
	ch := channel{data: bytes.Clone(binding)}
	return &Exchange{conversation: s.conversation(verifier, ch), doomed: doomed, channel: ch}
}

// MockChallenge is the server-first-message that a user who does not exist is given. For an exchange that is not to be relayed after
// all: what follows it is a Relay's to check, and fails.
func (s *Server) MockChallenge(user, clientNonce string) []byte {
	salt := base64.StdEncoding.EncodeToString(mockSalt(s.mockSecret, user))
	return fmt.Appendf(nil, "r=%s%s,s=%s,i=%d", clientNonce, s.nonce(), salt, s.iterations)
}

// conversation is one conversation of the library's that knows one verifier, whatever name it is asked for.
func (s *Server) conversation(v Verifier, ch channel) *xdgscram.ServerConversation {
	credentials := xdgscram.StoredCredentials{
		KeyFactors: xdgscram.KeyFactors{Salt: string(v.Salt), Iters: v.Iterations},
		StoredKey:  v.StoredKey,
		ServerKey:  v.ServerKey,
	}
	server, err := xdgscram.SHA256.NewServer(func(string) (xdgscram.StoredCredentials, error) { return credentials, nil })
	if err != nil {
		return nil // the library never does; Step fails on a nil conversation
	}
	server.WithNonceGenerator(s.nonce)
	return server.NewConversationWithChannelBinding(ch.library())
}

// mock is a verifier that no password fits, with a salt that looks like any other and is always the same for one user
// (scram_mock_salt and mock_scram_secret in src/backend/libpq/auth-scram.c).
func (s *Server) mock(user string) Verifier {
	return Verifier{
		Iterations: s.iterations,
		Salt:       mockSalt(s.mockSecret, user),
		StoredKey:  make([]byte, keyBytes),
		ServerKey:  make([]byte, keyBytes),
	}
}

func mockSalt(secret []byte, user string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(user))
	return mac.Sum(nil)[:SaltBytes]
}
