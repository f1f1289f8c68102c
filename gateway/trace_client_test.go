package gateway

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	xdgscram "github.com/xdg-go/scram"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/gateway/wire"
)

// tracedClient is a client that does what a test says, step by step, every message of which is traced.
type tracedClient struct {
	t       testing.TB
	around  *surroundings
	trace   *tracer
	conn    net.Conn // raw, then TLS
	reached bool     // ReadyForQuery has come
}

// connect opens a connection, with nothing said yet.
func (s *surroundings) connect(g *serving) *tracedClient { return s.over(g.t, g.dial()) }

func (s *surroundings) over(t testing.TB, conn net.Conn) *tracedClient {
	trace := &tracer{endPoint: s.serving.EndPoint, names: []string{s.issuer.url, "<issuer>"}}
	return &tracedClient{t: t, around: s, trace: trace, conn: conn}
}

// ask sends SSLRequest or GSSENCRequest and reads the answer's byte.
func (c *tracedClient) ask(code uint32) byte {
	c.t.Helper()
	c.trace.sentPacket(code, nil)
	c.write(startPacket(code, nil))
	var answer [1]byte
	if _, err := io.ReadFull(c.conn, answer[:]); err != nil {
		c.t.Fatal(err)
	}
	c.trace.note("B", string(answer[:]))
	return answer[0]
}

// begin does what most clients do first: SSLRequest, TLS, StartupMessage.
func (c *tracedClient) begin(words ...string) {
	c.t.Helper()
	c.ask(codeSSL)
	c.handshake(nil)
	c.startup(protocol30, words...)
}

// handshake makes the connection TLS. certificate may be nil.
func (c *tracedClient) handshake(certificate *tls.Certificate, protocols ...string) {
	c.t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true, NextProtos: protocols} // #nosec -- the binding says whose certificate it was
	if certificate != nil {
		cfg.Certificates = []tls.Certificate{*certificate}
	}
	secure := tls.Client(c.conn, cfg)
	if err := secure.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.conn = secure
	state := secure.ConnectionState()
	if state.Version != tls.VersionTLS13 {
		c.t.Errorf("TLS version %#x", state.Version)
	}
	what := "TLS 1.3"
	if state.NegotiatedProtocol != "" {
		what += ", ALPN " + state.NegotiatedProtocol
	}
	if certificate != nil {
		what += ", client certificate CN=" + certificate.Leaf.Subject.CommonName
	}
	c.trace.note("-", what)
}

// certificate is one for a name, of the authority that the gateway trusts.
func (c *tracedClient) certificate(name string) *tls.Certificate {
	c.t.Helper()
	certPEM, keyPEM, err := c.around.authority.Issue(certs.Request{CommonName: name, Client: true})
	if err != nil {
		c.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		c.t.Fatal(err)
	}
	return &pair
}

// startup sends a StartupMessage of these names and values.
func (c *tracedClient) startup(version uint32, words ...string) {
	c.t.Helper()
	c.trace.sentPacket(version, hello(words...))
	c.write(startPacket(version, hello(words...)))
}

func (c *tracedClient) write(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *tracedClient) send(kind byte, parts ...[]byte) {
	c.t.Helper()
	c.trace.sent(kind, bytes.Join(parts, nil))
	c.write(wire.AppendMessage(nil, kind, parts...))
}

// receive reads one message. ok is false at the end of the connection, which is traced too.
func (c *tracedClient) receive() (kind byte, body []byte, ok bool) {
	c.t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatalf("the gateway says nothing after:\n%s", strings.Join(c.trace.lines, "\n"))
		}
		c.trace.note("B", "closes")
		return 0, nil, false
	}
	body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	if _, err := io.ReadFull(c.conn, body); err != nil {
		c.t.Fatal(err)
	}
	c.trace.received(head[0], body)
	return head[0], body, true
}

// demand reads a message that must be an authentication request, and returns its data.
func (c *tracedClient) demand() []byte {
	c.t.Helper()
	kind, body, ok := c.receive()
	if !ok || kind != wire.Authentication || len(body) < 4 {
		c.t.Fatalf("no authentication request:\n%s", strings.Join(c.trace.lines, "\n"))
	}
	return body[4:]
}

// saslInitial answers AuthenticationSASL.
func (c *tracedClient) saslInitial(mechanism string, data []byte) {
	c.t.Helper()
	length := binary.BigEndian.AppendUint32(nil, uint32(len(data))) // #nosec -- a test's length
	if data == nil {
		length = []byte{0xff, 0xff, 0xff, 0xff}
	}
	c.send(wire.Password, []byte(mechanism), []byte{0}, length, data)
}

func (c *tracedClient) password(text string) {
	c.t.Helper()
	c.send(wire.Password, []byte(text), []byte{0})
}

// conversation is a SCRAM client with the nonce that the tracer knows. bound is what it takes for the gateway's certificate.
func conversation(t testing.TB, password string, bound []byte) *xdgscram.ClientConversation {
	t.Helper()
	client, err := xdgscram.SHA256.NewClient("", password, "")
	if err != nil {
		t.Fatal(err)
	}
	client.WithNonceGenerator(func() string { return clientNonce })
	if bound == nil {
		return client.NewConversation()
	}
	return client.NewConversationWithChannelBinding(xdgscram.ChannelBinding{Type: xdgscram.ChannelBindingTLSServerEndpoint, Data: bound})
}

// scram goes through SCRAM, as far as the gateway does.
func (c *tracedClient) scram(mechanism string, client *xdgscram.ClientConversation) {
	c.t.Helper()
	c.demand()
	first, err := client.Step("")
	if err != nil {
		c.t.Fatal(err)
	}
	c.saslInitial(mechanism, []byte(first))
	c.scramFinal(client)
}

// scramFinal goes on from server-first-message, and believes no server signature that is not one.
func (c *tracedClient) scramFinal(client *xdgscram.ClientConversation) {
	c.t.Helper()
	final, err := client.Step(string(c.demand()))
	if err != nil {
		c.t.Fatal(err)
	}
	c.send(wire.Password, []byte(final))
	kind, body, ok := c.receive()
	if !ok || kind != wire.Authentication {
		return
	}
	if _, err := client.Step(string(body[4:])); err != nil || !client.Valid() {
		c.t.Errorf("the gateway does not know the password either: %v", err)
	}
}

// leave reads to ReadyForQuery, says goodbye, and reads to the end.
func (c *tracedClient) leave() {
	c.t.Helper()
	for {
		kind, _, ok := c.receive()
		if !ok {
			break
		}
		if kind == wire.ReadyForQuery {
			c.reached = true
			c.send(wire.Terminate)
		}
	}
	_ = c.conn.Close()
}
