package scram

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"

	xdgscram "github.com/xdg-go/scram"
	"github.com/xdg-go/stringprep"
)

const (
	// DefaultIterations is PostgreSQL's default (scram_iterations), and the floor of RFC 7677 section 4.
	DefaultIterations = 4096
	// minIterations is the floor of RFC 7677 section 4: less makes a stolen verifier cheap to guess.
	minIterations = 4096
	// maxIterations bounds what a verifier makes an honest client compute: a million take about half a second.
	maxIterations = 1_000_000
	// SaltBytes is the length of the salts we make: PostgreSQL's SCRAM_DEFAULT_SALT_LEN, so that ours look like its.
	SaltBytes = 16
	// minSaltBytes: a shorter salt lets one table of guesses serve many users.
	minSaltBytes = 8
	// maxSaltBytes keeps server-first-message well under what any client reads.
	maxSaltBytes = 64
	// keyBytes is the output of SHA-256 (SCRAM_SHA_256_KEY_LEN).
	keyBytes = 32
	// maxVerifierBytes is more than the longest valid verifier: the parser's work is bounded before it starts.
	maxVerifierBytes = 512
	// verifierScheme begins a SCRAM-SHA-256 verifier as PostgreSQL stores it in pg_authid.rolpassword.
	verifierScheme = "SCRAM-SHA-256$"
)

// ErrVerifier is returned by ParseVerifier. It never tells more than which part is wrong: the text is a secret.
var ErrVerifier = errors.New("malformed SCRAM-SHA-256 verifier")

// Verifier is what a server keeps of a password: enough to check it, not enough to log in elsewhere with it. It is a secret
// all the same: it can be guessed against offline, and its ServerKey lets its holder play the server. Printing, logging or
// marshalling a Verifier therefore shows only its iteration count; Encode gives the text to store.
type Verifier struct {
	Iterations int
	Salt       []byte
	StoredKey  []byte // 32 bytes
	ServerKey  []byte // 32 bytes
}

// ParseVerifier reads PostgreSQL's format, SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> with the last three in
// base64 (parse_scram_secret in src/backend/libpq/auth-scram.c). It is stricter: no sign, no leading zero, canonical base64,
// iterations of 4096 to a million, a salt of 8 to 64 bytes.
func ParseVerifier(text string) (Verifier, error) {
	if len(text) > maxVerifierBytes {
		return Verifier{}, fmt.Errorf("%w: too long", ErrVerifier)
	}
	rest, ok := strings.CutPrefix(text, verifierScheme)
	if !ok {
		return Verifier{}, fmt.Errorf("%w: unknown scheme", ErrVerifier)
	}
	head, keys, ok1 := strings.Cut(rest, "$")
	iterations, salt, ok2 := strings.Cut(head, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	if !ok1 || !ok2 || !ok3 {
		return Verifier{}, fmt.Errorf("%w: parts missing", ErrVerifier)
	}
	var v Verifier
	var err error
	if v.Iterations, err = strconv.Atoi(iterations); err != nil || strconv.Itoa(v.Iterations) != iterations {
		return Verifier{}, fmt.Errorf("%w: iterations are not a number", ErrVerifier)
	}
	for _, part := range []struct {
		name, text string
		into       *[]byte
	}{{"salt", salt, &v.Salt}, {"StoredKey", stored, &v.StoredKey}, {"ServerKey", server, &v.ServerKey}} {
		if *part.into, err = decodeBase64(part.text); err != nil {
			return Verifier{}, fmt.Errorf("%w: %s is not base64", ErrVerifier, part.name)
		}
	}
	if err := v.validate(); err != nil {
		return Verifier{}, err
	}
	return v, nil
}

// NewVerifier derives a verifier with a fresh random salt. Zero iterations mean DefaultIterations.
func NewVerifier(password string, iterations int) (Verifier, error) {
	salt := make([]byte, SaltBytes)
	rand.Read(salt) // never fails: crypto/rand
	return deriveVerifier(password, salt, iterations)
}

// NewStableVerifier derives a verifier whose salt depends on secret and user alone: it is the salt that a Server with this
// MockSecret shows for a user it does not know. For passwords kept in plain text, which have no salt of their own: a random one
// would change at every restart and on every replica, and tell the accounts that exist from those that do not.
func NewStableVerifier(secret []byte, user, password string, iterations int) (Verifier, error) {
	if len(secret) < minMockSecretBytes {
		return Verifier{}, errMockSecret
	}
	return deriveVerifier(password, mockSalt(secret, user), iterations)
}

func deriveVerifier(password string, salt []byte, iterations int) (Verifier, error) {
	if iterations == 0 {
		iterations = DefaultIterations
	}
	if password == "" {
		return Verifier{}, errors.New("derive verifier: empty password")
	}
	if iterations < minIterations || iterations > maxIterations {
		return Verifier{}, fmt.Errorf("derive verifier: %d iterations: must be %d to %d", iterations, minIterations, maxIterations)
	}
	client, err := xdgscram.SHA256.NewClientUnprepped("", prepare(password), "")
	if err != nil {
		return Verifier{}, errors.New("derive verifier: password is unusable")
	}
	stored, err := client.GetStoredCredentialsWithError(xdgscram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return Verifier{}, errors.New("derive verifier: key derivation failed")
	}
	return Verifier{Iterations: iterations, Salt: salt, StoredKey: stored.StoredKey, ServerKey: stored.ServerKey}, nil
}

// prepare is pg_saslprep (src/common/saslprep.c) with its callers' rule: a password that cannot be prepared is used as it is.
// A zero width space stands in both of RFC 3454's tables; PostgreSQL looks for spaces first, the library maps it to nothing.
func prepare(password string) string {
	prepared, err := stringprep.SASLprep.Prepare(strings.ReplaceAll(password, "\u200b", " "))
	if err != nil || prepared == "" {
		return password
	}
	return prepared
}

// Encode gives the verifier in PostgreSQL's format, fit for pg_authid or a userlist. It is a secret.
func (v Verifier) Encode() string {
	encode := base64.StdEncoding.EncodeToString
	return verifierScheme + strconv.Itoa(v.Iterations) + ":" + encode(v.Salt) + "$" + encode(v.StoredKey) + ":" + encode(v.ServerKey)
}

// validate tells whether v can take part in an exchange.
func (v Verifier) validate() error {
	switch {
	case v.Iterations < minIterations || v.Iterations > maxIterations:
		return fmt.Errorf("%w: %d iterations: must be %d to %d", ErrVerifier, v.Iterations, minIterations, maxIterations)
	case len(v.Salt) < minSaltBytes || len(v.Salt) > maxSaltBytes:
		return fmt.Errorf("%w: salt of %d bytes: must be %d to %d", ErrVerifier, len(v.Salt), minSaltBytes, maxSaltBytes)
	case len(v.StoredKey) != keyBytes || len(v.ServerKey) != keyBytes:
		return fmt.Errorf("%w: keys must be %d bytes", ErrVerifier, keyBytes)
	}
	return nil
}

// String shows no secret.
func (v Verifier) String() string {
	return verifierScheme + strconv.Itoa(v.Iterations) + ":[redacted]"
}

// Format shows no secret, whatever the verb.
func (v Verifier) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, v.String()) }

// LogValue shows no secret.
func (v Verifier) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText shows no secret; it keeps verifiers out of JSON and YAML.
func (v Verifier) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// decodeBase64 accepts the one canonical spelling. The library's decoder skips line breaks and ignores spare bits.
func decodeBase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}
