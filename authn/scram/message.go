package scram

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxMessageBytes is PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH (src/backend/libpq/auth-sasl.c).
const maxMessageBytes = 1024

// clientFirst is what later steps need of client-first-message (RFC 5802 section 7).
type clientFirst struct {
	gs2Header string // with both commas
	nonce     string
}

// clientFinal is what client-final-message must repeat, to the byte.
type clientFinal struct {
	binding string // the value of c=
	nonce   string // the value of r=
	bound   bool   // the binding holds channel data
}

// parseClientFirst checks client-first-message: gs2-cbind-flag "," [authzid] "," n=user "," r=nonce *("," extension).
// Compare read_client_first_message in auth-scram.c.
func parseClientFirst(in []byte, ch channel) (clientFirst, error) {
	if err := checkText(in); err != nil {
		return clientFirst{}, err
	}
	fields := strings.Split(string(in), ",")
	if len(fields) < 4 {
		return clientFirst{}, malformed("client-first-message has too few attributes")
	}
	flag, authzid, user, nonce := fields[0], fields[1], fields[2], fields[3]
	if err := ch.checkFlag(flag); err != nil {
		return clientFirst{}, err
	}
	switch {
	case strings.HasPrefix(authzid, "a="):
		return clientFirst{}, fmt.Errorf("%w: authorization identity", ErrUnsupported)
	case authzid != "":
		return clientFirst{}, malformed("unexpected attribute before the user name")
	case strings.HasPrefix(user, "m="):
		return clientFirst{}, fmt.Errorf("%w: mandatory extension", ErrUnsupported)
	case !strings.HasPrefix(user, "n="):
		return clientFirst{}, malformed("user name missing")
	case !strings.HasPrefix(nonce, "r=") || !isPrintable(nonce[2:]):
		return clientFirst{}, malformed("nonce missing or not printable")
	}
	if err := checkExtensions(fields[4:]); err != nil {
		return clientFirst{}, err
	}
	return clientFirst{gs2Header: flag + "," + authzid + ",", nonce: nonce[2:]}, nil
}

// check checks client-final-message: c=binding "," r=nonce *("," extension) "," p=proof. Everything but the proof's value is
// decided here, and nothing here depends on whether the user exists. Compare read_client_final_message.
func (want clientFinal) check(in []byte) error {
	if err := checkText(in); err != nil {
		return err
	}
	fields := strings.Split(string(in), ",")
	if len(fields) < 3 {
		return malformed("client-final-message has too few attributes")
	}
	last := len(fields) - 1
	binding, ok := strings.CutPrefix(fields[0], "c=")
	switch {
	case !ok:
		return malformed("channel binding attribute missing")
	case binding != want.binding && want.bound:
		return ErrBinding
	case binding != want.binding:
		return malformed("unexpected channel binding attribute")
	case fields[1] != "r="+want.nonce:
		return malformed("nonce does not match")
	}
	if err := checkExtensions(fields[2:last]); err != nil {
		return err
	}
	encoded, ok := strings.CutPrefix(fields[last], "p=")
	if !ok {
		return malformed("proof missing")
	}
	if proof, err := decodeBase64(encoded); err != nil || len(proof) != keyBytes {
		return malformed("proof is not base64 of the right length")
	}
	return nil
}

// checkText bounds a message and refuses what no SCRAM message contains.
func checkText(in []byte) error {
	switch {
	case len(in) == 0:
		return malformed("empty message")
	case len(in) > maxMessageBytes:
		return malformed("message too long")
	case bytes.IndexByte(in, 0) >= 0 || !utf8.Valid(in):
		return malformed("message is not text")
	}
	return nil
}

// checkExtensions lets optional extensions pass unread, as RFC 5802 section 5.1 has it, if they look like ones: a letter that is
// not one of the attributes the standard defines, "=", and a value.
func checkExtensions(fields []string) error {
	for _, field := range fields {
		if len(field) < 3 || !isLetter(field[0]) || field[1] != '=' || strings.IndexByte("acimnprsve", field[0]) >= 0 {
			return malformed("malformed or misplaced attribute")
		}
	}
	return nil
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// isPrintable is RFC 5802's printable, at least one of them: ASCII from 0x21 to 0x7E but the comma.
func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < 0x21 || text[i] > 0x7e || text[i] == ',' {
			return false
		}
	}
	return text != ""
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrProtocol, what) }
