package backend

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Method is what a backend may ask for, in pg_hba.conf's words.
type Method string

// The methods. A cleartext password is never sent, whatever is configured.
const (
	MethodSCRAM       Method = "scram-sha-256"      // bound to the channel when that is offered
	MethodSCRAMPlus   Method = "scram-sha-256-plus" // bound to the channel, or not at all
	MethodMD5         Method = "md5"                // for roles whose password is stored so; it proves nothing about the backend
	MethodCertificate Method = "cert"               // nothing: it knows us by the certificate that we show it
)

// Credential proves to a backend that the session is the role's: a Password that the gateway has, or the answers of one of its clients,
// RelayedSCRAM and RelayedMD5, who has it.
type Credential interface {
	// fits says why the credential is no answer to what the backend may ask.
	fits(method Method) error
	// prove goes from the backend's first demand to AuthenticationOk.
	prove(conn secureConn, method Method, user string) error
}

// Password is a password. However it is printed, logged or marshalled, it does not appear. It is the caller's to clear; the copies that
// the SCRAM library makes are the garbage collector's.
type Password []byte

func (p Password) fits(Method) error { return nil }

func (p Password) prove(conn secureConn, method Method, user string) error {
	switch method {
	case MethodCertificate:
		return readOk(conn)
	case MethodMD5:
		return proveMD5(conn, func(salt Salt) ([]byte, error) { return md5Response(user, p, salt), nil })
	}
	client, err := newClient(string(p))
	if err != nil {
		return err
	}
	return proveSCRAM(conn, method, client)
}

// String shows no password.
func (p Password) String() string { return "[redacted]" }

// Format shows no password, whatever the verb.
func (p Password) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, p.String()) }

// LogValue shows no password.
func (p Password) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText shows no password; it keeps it out of JSON and YAML.
func (p Password) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// RelayedSCRAM is a client of ours that proves itself to the backend by SCRAM-SHA-256. The messages are passed on as they are. The
// backend's are held to the bounds that they would have if they were for us; that its signature is right only the client can know.
// The client's are the caller's to check.
type RelayedSCRAM struct {
	First []byte // client-first-message, of a client that does not bind the channel: it ends at us
	Nonce string // the one in it
	// Final shows the client server-first-message and returns its client-final-message.
	Final func(challenge []byte) ([]byte, error)
	// Verify shows the client server-final-message. By then the backend has accepted it.
	Verify func(answer []byte) error
}

func (r RelayedSCRAM) fits(method Method) error {
	if method != MethodSCRAM {
		return fmt.Errorf("relayed SCRAM needs a backend that may ask for %s, not %s", MethodSCRAM, method)
	}
	if len(r.First) > maxSCRAM || containsNUL(r.First) || !strings.HasPrefix(string(r.First), "n,,") || r.Nonce == "" {
		return errors.New("client-first-message is none that could be relayed")
	}
	return nil
}

func (r RelayedSCRAM) prove(conn secureConn, _ Method, _ string) error {
	offered, err := readOffer(conn)
	if err != nil {
		return err
	}
	if !slices.Contains(offered, scramSHA256) {
		return errors.New("the backend does not offer SCRAM-SHA-256 without channel binding, which cannot be relayed")
	}
	if err := send(conn, &pgproto3.SASLInitialResponse{AuthMechanism: scramSHA256, Data: r.First}); err != nil {
		return err
	}
	challenge, err := readAuthentication(conn, pgproto3.AuthTypeSASLContinue)
	if err != nil {
		return err
	}
	if err := checkServerFirst(challenge, r.Nonce); err != nil {
		return fmt.Errorf("read server-first-message: %w", err)
	}
	final, err := r.Final(challenge)
	if err != nil {
		return err
	}
	if len(final) > maxSCRAM || containsNUL(final) {
		return errors.New("client-final-message is none that could be relayed")
	}
	if err := send(conn, &pgproto3.SASLResponse{Data: final}); err != nil {
		return err
	}
	answer, err := readAuthentication(conn, pgproto3.AuthTypeSASLFinal)
	if err != nil {
		return err
	}
	if err := checkServerFinal(answer); err != nil {
		return fmt.Errorf("read server-final-message: %w", err)
	}
	if err := readOk(conn); err != nil {
		return err
	}
	return r.Verify(answer)
}

// RelayedMD5 is a client of ours that proves itself to the backend by MD5.
type RelayedMD5 struct {
	// Answer shows the client the backend's salt and returns its response.
	Answer func(salt Salt) ([]byte, error)
}

func (r RelayedMD5) fits(method Method) error {
	if method != MethodMD5 {
		return fmt.Errorf("relayed MD5 needs a backend that may ask for %s, not %s", MethodMD5, method)
	}
	return nil
}

func (r RelayedMD5) prove(conn secureConn, _ Method, _ string) error { return proveMD5(conn, r.Answer) }
