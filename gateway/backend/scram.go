package backend

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

const (
	// maxSCRAM is the length that PostgreSQL's own server accepts for a SASL message of SCRAM (auth-scram.c).
	maxSCRAM = 1024
	// minIterations is RFC 7677's floor and PostgreSQL's default: below it a captured exchange is cheap to search.
	minIterations = 4096
	// maxIterations is about a quarter of a second of work. The number is the backend's to say and the work is ours to do, before it
	// has proved anything (CVE-2026-42198).
	maxIterations = 1_000_000
	// minServerNonce is shorter than any real server's (PostgreSQL: 24 characters); a nonce of none makes replay possible.
	minServerNonce = 16
	// minSalt is shorter than PostgreSQL's 16 bytes.
	minSalt = 8
)

// exchange is the client's side of one SCRAM-SHA-256 exchange, RFC 5802 and 7677. The library does the sums; what it leaves open is
// checked before: the most iterations, the shape of the server's first message, that the server added to the nonce.
type exchange struct {
	mechanism    string
	conversation *scram.ClientConversation
	nonce        string // ours
}

// newExchange chooses the mechanism and, for -PLUS, binds the exchange to the certificate that this connection was given.
func newExchange(conn secureConn, method Method, offered []string, client *scram.Client) (*exchange, error) {
	mechanism, err := chooseMechanism(offered, method == MethodSCRAMPlus)
	if err != nil {
		return nil, err
	}
	client = client.WithMinIterations(minIterations)
	if mechanism == scramSHA256 {
		return &exchange{mechanism: mechanism, conversation: client.NewConversationAdvertisingChannelBinding()}, nil
	}
	state := conn.ConnectionState()
	binding, err := scram.NewTLSServerEndpointBinding(&state)
	if err != nil {
		return nil, fmt.Errorf("bind channel: %w", err)
	}
	return &exchange{mechanism: mechanism, conversation: client.NewConversationWithChannelBinding(binding)}, nil
}

// newClient prepares the password as PostgreSQL does: SASLprep, and the bytes as they are if it cannot be applied
// (pg_saslprep in saslprep.c). The SCRAM user name stays empty: the server takes the one of the StartupMessage.
func newClient(password string) (*scram.Client, error) {
	if password == "" {
		return nil, errors.New("no password")
	}
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		client, err = scram.SHA256.NewClientUnprepped("", password, "")
	}
	if err != nil {
		return nil, errors.New("prepare password: failed") // the library's text might quote it
	}
	return client, nil
}

// first makes the client-first-message.
func (e *exchange) first() ([]byte, error) {
	text, err := e.conversation.Step("")
	if err != nil {
		return nil, fmt.Errorf("make client-first-message: %w", err)
	}
	at := strings.LastIndex(text, ",r=")
	if at < 0 {
		return nil, errors.New("make client-first-message: it has no nonce")
	}
	e.nonce = text[at+len(",r="):]
	return []byte(text), nil
}

// final answers the server-first-message.
func (e *exchange) final(challenge []byte) ([]byte, error) {
	if err := checkServerFirst(challenge, e.nonce); err != nil {
		return nil, fmt.Errorf("read server-first-message: %w", err)
	}
	text, err := e.conversation.Step(string(challenge))
	if err != nil {
		return nil, fmt.Errorf("answer server-first-message: %w", err)
	}
	return []byte(text), nil
}

// verify checks that the backend knows the password too.
func (e *exchange) verify(answer []byte) error {
	if len(answer) > maxSCRAM || containsNUL(answer) {
		return errors.New("read server-final-message: malformed")
	}
	if _, err := e.conversation.Step(string(answer)); err != nil {
		return fmt.Errorf("verify server signature: %s", printable(err.Error()))
	}
	if !e.conversation.Valid() {
		return errors.New("verify server signature: not valid")
	}
	return nil
}

// checkServerFinal accepts v=<a signature of SHA-256> and nothing behind it. Whether it is the right one is not seen here.
func checkServerFinal(answer []byte) error {
	if len(answer) > maxSCRAM || containsNUL(answer) {
		return errors.New("malformed")
	}
	signature, ok := strings.CutPrefix(string(answer), "v=")
	if _, err := base64.StdEncoding.Strict().DecodeString(signature); !ok || err != nil || len(signature) != base64.StdEncoding.EncodedLen(sha256.Size) {
		return errors.New("not a signature")
	}
	return nil
}

// checkServerFirst accepts r=<ours + theirs>,s=<base64>,i=<iterations> and nothing behind it, as libpq does (fe-auth-scram.c).
func checkServerFirst(challenge []byte, nonce string) error {
	if len(challenge) > maxSCRAM || containsNUL(challenge) {
		return errors.New("malformed")
	}
	fields := strings.Split(string(challenge), ",")
	if len(fields) != 3 {
		return errors.New("not three attributes")
	}
	theirs, isNonce := strings.CutPrefix(fields[0], "r="+nonce)
	salt, isSalt := strings.CutPrefix(fields[1], "s=")
	count, isCount := strings.CutPrefix(fields[2], "i=")
	if !isNonce || !isSalt || !isCount {
		return errors.New("not our nonce, a salt and an iteration count")
	}
	if len(theirs) < minServerNonce || strings.ContainsFunc(theirs, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return errors.New("the server added too little to the nonce, or what is not printable")
	}
	if decoded, err := base64.StdEncoding.DecodeString(salt); err != nil || len(decoded) < minSalt {
		return errors.New("the salt is malformed or too short")
	}
	iterations, err := strconv.Atoi(count)
	if err != nil {
		return errors.New("the iteration count is no number")
	}
	if iterations < minIterations || iterations > maxIterations {
		return fmt.Errorf("%d iterations are not between %d and %d", iterations, minIterations, maxIterations)
	}
	return nil
}
