package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/tlsutil"
)

// admitted is a client that has said hello: over TLS, with a StartupMessage whose layout is right.
type admitted struct {
	conn    *tls.Conn
	startup *startup
}

// errCancelled ends a connection that was only a cancel request: there is never an answer.
var errCancelled = errors.New("the connection was a cancel request")

// admit reads the first bytes of a connection, those that a proxy puts in front of them too. Each of SSLRequest and GSSENCRequest is answered once; plaintext clients hear that TLS
// is required, before any authentication (protocol: first bytes).
func (s *session) admit(ctx context.Context) (*admitted, error) {
	if err := s.admitProxied(); err != nil {
		return nil, err
	}
	var first [1]byte
	if _, err := io.ReadFull(s.conn, first[:]); err != nil {
		return nil, fail(ReasonClientGone, err)
	}
	if first[0] == tlsHandshake {
		return s.admitDirect(ctx, first[0])
	}
	rest := io.MultiReader(bytes.NewReader(first[:]), s.conn) // for the first packet only: it is not read ahead
	var sawSSL, sawGSS bool
	for {
		p, err := readPacket(rest)
		rest = s.conn
		if err != nil {
			return nil, fail(ReasonClientGone, err)
		}
		switch p.code {
		case codeCancel:
			s.server.cancelRequest(ctx, p.body, s.client)
			return nil, errCancelled
		case codeGSS:
			if sawGSS || len(p.body) != 0 {
				return nil, failf(ReasonProtocol, "invalid GSSENCRequest")
			}
			if buffered(s.conn) { // as behind an SSLRequest
				return nil, failf(ReasonProtocol, "received unencrypted data after GSSAPI encryption request")
			}
			sawGSS = true
			if _, err := s.conn.Write([]byte{'N'}); err != nil {
				return nil, fail(ReasonClientGone, err)
			}
		case codeSSL:
			if sawSSL || len(p.body) != 0 {
				return nil, failf(ReasonProtocol, "invalid SSLRequest")
			}
			return s.admitTLS(ctx)
		default:
			if _, err := parseStartup(p); err != nil {
				return nil, err
			}
			return nil, fail(ReasonNotEncrypted, nil)
		}
	}
}

// admitTLS answers an SSLRequest.
func (s *session) admitTLS(ctx context.Context) (*admitted, error) {
	if buffered(s.conn) { // CVE-2021-23214: what comes before the answer is not the client's, or not a PostgreSQL client's
		return nil, failf(ReasonProtocol, "received unencrypted data after SSL request")
	}
	if _, err := s.conn.Write([]byte{'S'}); err != nil {
		return nil, fail(ReasonClientGone, err)
	}
	conn, err := s.handshake(ctx, s.conn)
	if err != nil {
		return nil, err
	}
	return s.admitSecure(ctx, conn)
}

// tlsHandshake is the first byte of a TLS record that carries a ClientHello (RFC 8446, 5.1): the length of a packet that begins so
// would be out of bounds.
const tlsHandshake = 0x16

// admitDirect begins with TLS at once (libpq's sslnegotiation=direct). The client must then say by ALPN that it means PostgreSQL, or
// another protocol's client could be led here; one that does not hears nothing in the clear.
func (s *session) admitDirect(ctx context.Context, first byte) (*admitted, error) {
	conn, err := s.handshake(ctx, &prefixed{Conn: s.conn, prefix: []byte{first}})
	if err != nil {
		return nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol != tlsutil.ALPN {
		return nil, fail(ReasonClientGone, errors.New("direct TLS without ALPN"))
	}
	return s.admitSecure(ctx, conn)
}

// prefixed is a connection of which something was read already.
type prefixed struct {
	net.Conn
	prefix []byte
}

// NetConn is what TLS is on once the prefix is read.
func (p *prefixed) NetConn() net.Conn { return p.Conn }

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.prefix) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.prefix)
	p.prefix = p.prefix[n:]
	return n, nil
}

// handshake serves TLS with the certificate of the moment, and remembers what binds a login to it.
func (s *session) handshake(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
	serving := s.config.Serving()
	secure := tls.Server(conn, serving.Config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fail(ReasonClientGone, fmt.Errorf("TLS handshake: %w", err))
	}
	s.secure, s.serving = secure, serving
	return secure, nil
}

// admitSecure reads the StartupMessage within TLS.
func (s *session) admitSecure(ctx context.Context, conn *tls.Conn) (*admitted, error) {
	p, err := readPacket(conn)
	if err != nil {
		return nil, fail(ReasonClientGone, err)
	}
	switch p.code {
	case codeCancel:
		s.server.cancelRequest(ctx, p.body, s.client)
		return nil, errCancelled
	case codeSSL, codeGSS:
		return nil, failf(ReasonProtocol, "encryption is already established")
	}
	hello, err := parseStartup(p)
	if err != nil {
		return nil, err
	}
	s.hello = *hello
	return &admitted{conn: conn, startup: &s.hello}, nil
}

// buffered says whether bytes are waiting on the socket that nobody was asked to send.
func buffered(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	waiting := false
	_ = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT) // #nosec -- a descriptor fits
		waiting = err == nil && n > 0
	})
	return waiting
}
