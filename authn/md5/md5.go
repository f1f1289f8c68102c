// Package md5 is the server side of PostgreSQL's MD5 password authentication (AuthenticationMD5Password,
// https://www.postgresql.org/docs/current/protocol-flow.html): the gateway sends four random bytes, the client answers with a hash
// of them and of a hash of its password.
//
// It is for drivers that know nothing better, inside TLS, where a rule asks for it. What is stored is all that a login needs, four
// bytes of salt come around again, and the hash is MD5; PostgreSQL has deprecated it.
//
// An unknown user gets a mock secret, goes through the same work and fails where a wrong password fails.
package md5

import (
	"crypto/md5" // #nosec G501 -- the protocol has no other
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const (
	// SaltBytes is the length of the salt in AuthenticationMD5Password.
	SaltBytes = 4
	// prefix begins a stored secret and a response alike (MD5_PASSWD_LEN in src/include/common/md5.h counts it).
	prefix = "md5"
	// hashBytes is MD5's sum in hexadecimal.
	hashBytes = 2 * md5.Size
)

var (
	// ErrFailed says that the response proved nothing: an unknown user or a wrong password, which cannot be told apart. The client
	// hears 28P01.
	ErrFailed = errors.New("MD5 authentication failed")
	// ErrSecret is returned by ParseSecret. It tells nothing of the text.
	ErrSecret = errors.New("malformed MD5 secret")
)

// Secret is what a server keeps of a password: MD5 of the password and the user's name, in hexadecimal. It is as good as the
// password for a login by this method. Printing, logging or marshalling a Secret shows nothing of it.
type Secret struct{ hash string }

// ParseSecret reads PostgreSQL's format: "md5" and 32 lower-case hexadecimal digits (get_password_type in src/backend/libpq/crypt.c).
func ParseSecret(text string) (Secret, error) {
	hash, ok := strings.CutPrefix(text, prefix)
	if !ok || len(hash) != hashBytes || strings.Trim(hash, "0123456789abcdef") != "" {
		return Secret{}, ErrSecret
	}
	return Secret{hash}, nil
}

// NewSecret derives a user's secret from a password. The user's name is the salt, so a renamed user needs a new one. The password is
// taken byte for byte, as PostgreSQL does here (pg_md5_encrypt in src/common/md5_common.c).
func NewSecret(user, password string) (Secret, error) {
	if password == "" {
		return Secret{}, errors.New("derive MD5 secret: empty password")
	}
	return Secret{digest(password, []byte(user))}, nil
}

// Encode gives the secret in PostgreSQL's format. It is a secret.
func (s Secret) Encode() string { return prefix + s.hash }

// String shows no secret.
func (s Secret) String() string { return prefix + "[redacted]" }

// Format shows no secret, whatever the verb.
func (s Secret) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, s.String()) }

// LogValue shows no secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText shows no secret; it keeps secrets out of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Config is what a Server needs. It is copied.
type Config struct {
	// Lookup finds a user's secret. It is called once per exchange, for every user, and must take the same time whether the user
	// exists or not.
	Lookup func(user string) (Secret, bool)
}

// Server begins exchanges. It is safe for concurrent use.
type Server struct {
	lookup func(string) (Secret, bool)
	mock   Secret // of users that do not exist; nothing of it is ever shown, so one does for all
}

// NewServer checks cfg and returns a Server.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Lookup == nil {
		return nil, errors.New("md5: no lookup of secrets")
	}
	return &Server{lookup: cfg.Lookup, mock: Secret{digest(rand.Text(), nil)}}, nil
}

// Knows says whether a user has a secret, and so may log in. It is not for clients to learn.
func (s *Server) Knows(user string) bool {
	secret, ok := s.lookup(user)
	return ok && len(secret.hash) == hashBytes
}

// Exchange is the conversation of one connection. It is not safe for concurrent use and cannot be used again.
type Exchange struct {
	salt     [SaltBytes]byte
	expected string
	doomed   bool // the user is unknown: whatever the response, it fails
	over     bool
	valid    bool
}

// Begin starts the exchange of one connection with a fresh random salt. user is the startup packet's.
func (s *Server) Begin(user string) *Exchange {
	e := &Exchange{}
	rand.Read(e.salt[:]) // never fails: crypto/rand
	s.prepare(e, user)
	return e
}

// prepare computes the one right response to e's salt. A user that does not exist costs the same.
func (s *Server) prepare(e *Exchange, user string) {
	secret, ok := s.lookup(user)
	if !ok || len(secret.hash) != hashBytes {
		secret, e.doomed = s.mock, true
	}
	e.expected = prefix + digest(secret.hash, e.salt[:])
}

// Salt is what AuthenticationMD5Password carries.
func (e *Exchange) Salt() [SaltBytes]byte { return e.salt }

// Check takes the string of PasswordMessage, without its NUL, once. The error is ErrFailed, whatever is wrong. in is not kept.
//
// The comparison takes the same time wherever the response differs (CVE-2026-6478 was a comparison that did not).
func (e *Exchange) Check(in []byte) error {
	same := subtle.ConstantTimeCompare(in, []byte(e.expected)) == 1
	if e.over || e.expected == "" || !same || e.doomed {
		e.over = true
		return ErrFailed
	}
	e.over, e.valid = true, true
	return nil
}

// Valid tells whether the client has proved its password. It is false until Check has returned without error.
func (e *Exchange) Valid() bool { return e.valid }

// IsResponse tells whether in has the form of a response, whatever it says: what has not is none of anybody's.
func IsResponse(in []byte) bool {
	_, err := ParseSecret(string(in)) // which happens to have the same form
	return err == nil
}

// digest is pg_md5_encrypt without its prefix: the hexadecimal MD5 of a text and a salt behind it.
func digest(text string, salt []byte) string {
	sum := md5.Sum(append([]byte(text), salt...)) // #nosec G401 -- the protocol has no other
	return hex.EncodeToString(sum[:])
}
