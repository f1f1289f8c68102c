package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/gateway/wire"
)

// tracer writes down a session as its client sees it: one line a message, who sent it (F, the client; B, the gateway), its type, its
// fields. It decodes the bytes itself and shows what is left over. What is random is checked and then named: <server nonce> is what the
// gateway put behind the client's nonce, and in a later message exactly that again.
type tracer struct {
	lines    []string
	names    []string // values that differ from run to run, and what stands for them, in pairs
	endPoint []byte   // tls-server-end-point of the gateway's certificate

	asked uint32 // the last authentication request: it says what a 'p' is
	nonce string // the client's and the gateway's, from the first message that has both
}

// clientNonce is what the traced clients send: that of RFC 7677's example.
const clientNonce = "rOprNGfwEbeRWgbNEkqO"

// serverNonceBytes is what the gateway adds to it: 18 bytes in base64, as PostgreSQL does.
const serverNonceBytes = 24

func (t *tracer) note(sender, name string, fields ...string) {
	line := strings.Join(append([]string{sender, name}, fields...), " ")
	t.lines = append(t.lines, strings.NewReplacer(t.names...).Replace(line))
}

// body is what is not decoded yet of a message.
type body []byte

func (b *body) text() string {
	before, after, found := bytes.Cut(*b, []byte{0})
	if *b = after; !found {
		return string(before) + "!unterminated"
	}
	return string(before)
}

func (b *body) number() uint32 {
	if len(*b) < 4 {
		*b = nil
		return 0xdeadbeef
	}
	n := binary.BigEndian.Uint32(*b)
	*b = (*b)[4:]
	return n
}

// texts reads strings up to the empty one.
func (b *body) texts() (list []string) {
	for len(*b) > 0 {
		text := b.text()
		if text == "" {
			break
		}
		list = append(list, fmt.Sprintf("%q", text))
	}
	return list
}

// pairs reads names and values up to the empty name. A value may be empty.
func (b *body) pairs() (list []string) {
	for len(*b) > 0 {
		name := b.text()
		if name == "" {
			break
		}
		list = append(list, fmt.Sprintf("%s=%q", name, b.text()))
	}
	return list
}

func (b *body) rest() string {
	rest := string(*b)
	*b = nil
	return rest
}

// sentPacket notes what a client sends before the session has a protocol.
func (t *tracer) sentPacket(code uint32, b body) {
	switch code {
	case codeSSL:
		t.note("F", "SSLRequest")
	case codeGSS:
		t.note("F", "GSSENCRequest")
	default:
		version := fmt.Sprintf("%d.%d", code>>16, code&0xffff)
		t.note("F", "StartupMessage", append([]string{version}, b.pairs()...)...)
	}
	t.excess(b)
}

// sent notes a message of the client's.
func (t *tracer) sent(kind byte, b body) {
	switch {
	case kind == wire.Terminate:
		t.note("F", "Terminate")
	case kind != wire.Password:
		t.note("F", "message "+string(kind), fmt.Sprintf("%q", b.rest()))
	case t.asked == pgproto3.AuthTypeSASL:
		mechanism, length := b.text(), int32(b.number()) // #nosec -- the sign is the point: the field is an Int32
		if length == -1 {
			t.note("F", "SASLInitialResponse", mechanism, "without data")
			break
		}
		t.note("F", "SASLInitialResponse", mechanism, t.sasl(b.rest()))
	case t.asked == pgproto3.AuthTypeSASLContinue:
		t.note("F", "SASLResponse", t.sasl(b.rest()))
	default:
		t.note("F", "PasswordMessage", digest.ReplaceAllString(b.text(), "md5<digest>"))
	}
	t.excess(b)
}

var digest = regexp.MustCompile(`^md5[0-9a-f]{32}$`)

// received notes a message of the gateway's.
func (t *tracer) received(kind byte, b body) {
	switch kind {
	case wire.Authentication:
		t.authentication(&b)
	case wire.NegotiateProtocolVersion:
		version, count := b.number(), b.number()
		fields := []string{fmt.Sprintf("%d.%d", version>>16, version&0xffff), fmt.Sprintf("%d unknown", count)}
		for range min(count, 10) {
			fields = append(fields, fmt.Sprintf("%q", b.text()))
		}
		t.note("B", "NegotiateProtocolVersion", fields...)
	case wire.ErrorResponse:
		t.note("B", "ErrorResponse", b.texts()...)
	case wire.ParameterStatus:
		t.note("B", "ParameterStatus", fmt.Sprintf("%q %q", b.text(), b.text()))
	case wire.BackendKeyData:
		pid := "<process id>"
		if n := b.number(); n == 0 || n > 1<<31-1 {
			pid = fmt.Sprint(n)
		}
		t.note("B", "BackendKeyData", pid, fmt.Sprintf("<%d bytes>", len(b.rest())))
	case wire.ReadyForQuery:
		t.note("B", "ReadyForQuery", b.rest())
	default:
		t.note("B", "message "+string(kind), fmt.Sprintf("%q", b.rest()))
	}
	t.excess(b)
}

func (t *tracer) authentication(b *body) {
	t.asked = b.number()
	switch t.asked {
	case pgproto3.AuthTypeOk:
		t.note("B", "AuthenticationOk")
	case pgproto3.AuthTypeCleartextPassword:
		t.note("B", "AuthenticationCleartextPassword")
	case pgproto3.AuthTypeMD5Password:
		t.note("B", "AuthenticationMD5Password", fmt.Sprintf("<%d bytes of salt>", len(b.rest())))
	case pgproto3.AuthTypeSASL:
		t.note("B", "AuthenticationSASL", b.texts()...)
	case pgproto3.AuthTypeSASLContinue:
		t.note("B", "AuthenticationSASLContinue", t.sasl(b.rest()))
	case pgproto3.AuthTypeSASLFinal:
		t.note("B", "AuthenticationSASLFinal", t.sasl(b.rest()))
	default:
		t.note("B", "Authentication", fmt.Sprint(t.asked))
	}
}

// excess shows what a message holds beyond its fields.
func (t *tracer) excess(b body) {
	if len(b) > 0 {
		t.lines[len(t.lines)-1] += fmt.Sprintf(" EXCESS %q", string(b))
	}
}

// sasl shows the text of a SASL message with its random attributes named.
func (t *tracer) sasl(text string) string {
	switch { // OAUTHBEARER's
	case strings.HasPrefix(text, "{"):
		return text
	case strings.Contains(text, "\x01"):
		return fmt.Sprintf("%q", text)
	}
	attributes := strings.Split(text, ",")
	for i, attribute := range attributes {
		key, value, _ := strings.Cut(attribute, "=")
		switch key {
		case "r":
			attributes[i] = "r=" + t.named(value)
		case "c":
			attributes[i] = "c=" + t.binding(value)
		case "p", "v":
			if raw, err := base64.StdEncoding.DecodeString(value); err == nil && len(raw) == 32 {
				attributes[i] = key + "=" + map[string]string{"p": "<proof>", "v": "<server signature>"}[key]
			}
		}
	}
	return fmt.Sprintf("%q", strings.Join(attributes, ","))
}

// named names the gateway's part of a nonce if it is as long as it should be, and what it was before.
func (t *tracer) named(nonce string) string {
	if t.nonce == "" && strings.HasPrefix(nonce, clientNonce) && len(nonce) == len(clientNonce)+serverNonceBytes {
		t.nonce = nonce
	}
	if nonce == t.nonce {
		return clientNonce + "<server nonce>"
	}
	return nonce
}

// binding shows what c= says: the GS2 header, and whose certificate.
func (t *tracer) binding(encoded string) string {
	raw, err := base64.StdEncoding.DecodeString(encoded)
	header, data, found := bytes.Cut(raw, []byte(",,"))
	if err != nil || !found || len(data) == 0 {
		return encoded
	}
	whose := "<another certificate>"
	if bytes.Equal(data, t.endPoint) {
		whose = "<the gateway's certificate>"
	}
	return "base64(" + string(header) + ",," + whose + ")"
}
