package backend

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
)

// The mechanisms of https://www.postgresql.org/docs/current/sasl-authentication.html that prove to us that the backend knows the
// role's password, without telling it.
const (
	scramSHA256     = "SCRAM-SHA-256"
	scramSHA256Plus = "SCRAM-SHA-256-PLUS"
)

// secureConn is what authentication needs of a *tls.Conn.
type secureConn interface {
	io.ReadWriter
	ConnectionState() tls.ConnectionState
}

// proveSCRAM answers the demand for SASL with SCRAM, and ends behind AuthenticationOk.
func proveSCRAM(conn secureConn, method Method, client *scram.Client) error {
	offered, err := readOffer(conn)
	if err != nil {
		return err
	}
	exchange, err := newExchange(conn, method, offered, client)
	if err != nil {
		return err
	}
	first, err := exchange.first()
	if err != nil {
		return err
	}
	if err := send(conn, &pgproto3.SASLInitialResponse{AuthMechanism: exchange.mechanism, Data: first}); err != nil {
		return err
	}
	challenge, err := readAuthentication(conn, pgproto3.AuthTypeSASLContinue)
	if err != nil {
		return err
	}
	final, err := exchange.final(challenge)
	if err != nil {
		return err
	}
	if err := send(conn, &pgproto3.SASLResponse{Data: final}); err != nil {
		return err
	}
	answer, err := readAuthentication(conn, pgproto3.AuthTypeSASLFinal)
	if err != nil {
		return err
	}
	if err := exchange.verify(answer); err != nil {
		return err
	}
	return readOk(conn)
}

// readOffer reads the SASL mechanisms that the backend offers.
func readOffer(r io.Reader) ([]string, error) {
	body, err := readAuthentication(r, pgproto3.AuthTypeSASL)
	if err != nil {
		return nil, err
	}
	var offer pgproto3.AuthenticationSASL
	if err := offer.Decode(append(binary.BigEndian.AppendUint32(nil, pgproto3.AuthTypeSASL), body...)); err != nil {
		return nil, fmt.Errorf("read AuthenticationSASL: %w", err)
	}
	return offer.AuthMechanisms, nil
}

// readOk reads AuthenticationOk.
func readOk(r io.Reader) error {
	body, err := readAuthentication(r, pgproto3.AuthTypeOk)
	if err == nil && len(body) != 0 {
		err = errors.New("read AuthenticationOk: trailing bytes")
	}
	return err
}

// readAuthentication reads an authentication request of exactly the wanted kind and returns what follows the kind. A backend that asks
// for anything else (the password itself, a hash of it, nothing at all) is not the one that was configured, or somebody sits in between.
func readAuthentication(r io.Reader, want uint32) ([]byte, error) {
	got, err := readMessage(r)
	if err != nil {
		return nil, err
	}
	switch {
	case got.kind == 'E':
		return nil, backendError(StageAuthenticate, got.body)
	case got.kind != 'R':
		return nil, fmt.Errorf("the backend sent message %q during authentication", got.kind)
	case len(got.body) < 4:
		return nil, errors.New("the backend sent an authentication request without a kind")
	}
	if kind := binary.BigEndian.Uint32(got.body); kind != want {
		return nil, fmt.Errorf("the backend asked for %s where only %s is accepted", methodName(kind), methodName(want))
	}
	return got.body[4:], nil
}

// methodName names an authentication request for the log.
func methodName(kind uint32) string {
	switch kind {
	case pgproto3.AuthTypeOk:
		return "nothing (AuthenticationOk)"
	case pgproto3.AuthTypeCleartextPassword:
		return "a cleartext password"
	case pgproto3.AuthTypeMD5Password:
		return "an MD5 password"
	case pgproto3.AuthTypeSASL:
		return "SASL"
	case pgproto3.AuthTypeSASLContinue:
		return "SASLContinue"
	case pgproto3.AuthTypeSASLFinal:
		return "SASLFinal"
	}
	return fmt.Sprintf("authentication kind %d", kind)
}

// send encodes and writes one message. The buffer held a proof, not the password; it is cleared all the same.
func send(w io.Writer, msg pgproto3.FrontendMessage) error {
	data, err := msg.Encode(nil)
	if err != nil {
		return fmt.Errorf("encode %T: %w", msg, err)
	}
	defer clear(data)
	return write(w, fmt.Sprintf("%T", msg), data)
}

// chooseMechanism takes channel binding whenever it is offered.
func chooseMechanism(offered []string, require bool) (string, error) {
	switch {
	case slices.Contains(offered, scramSHA256Plus):
		return scramSHA256Plus, nil
	case require:
		return "", errors.New("the backend does not offer SCRAM-SHA-256-PLUS")
	case slices.Contains(offered, scramSHA256):
		return scramSHA256, nil
	}
	return "", errors.New("the backend does not offer SCRAM-SHA-256")
}

// containsNUL guards what is handed to string parsers that know no NUL.
func containsNUL(data []byte) bool { return bytes.IndexByte(data, 0) >= 0 }
