package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// admitted is a client that has said hello: over TLS, with a StartupMessage whose layout is right.
type admitted struct {
	conn    *tls.Conn
	startup *startup
}

// errCancelled ends a connection that was only a cancel request: there is never an answer.
var errCancelled = errors.New("the connection was a cancel request")

// admit reads the first bytes of a connection. Each of SSLRequest and GSSENCRequest is answered once; plaintext clients hear that TLS
// is required, before any authentication (protocol: first bytes).
func (s *session) admit(ctx context.Context) (*admitted, error) {
	var sawSSL, sawGSS bool
	for {
		p, err := readPacket(s.conn)
		if err != nil {
			return nil, fail(ReasonClientGone, err)
		}
		switch p.code {
		case codeCancel:
			s.server.cancelRequest(ctx, p.body, s.conn.RemoteAddr())
			return nil, errCancelled
		case codeGSS:
			if sawGSS || len(p.body) != 0 {
				return nil, failf(ReasonProtocol, "invalid GSSENCRequest")
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

// admitTLS answers an SSLRequest and reads the StartupMessage within TLS.
func (s *session) admitTLS(ctx context.Context) (*admitted, error) {
	if buffered(s.conn) { // CVE-2021-23214: what comes before the answer is not the client's, or not a PostgreSQL client's
		return nil, failf(ReasonProtocol, "received unencrypted data after SSL request")
	}
	if _, err := s.conn.Write([]byte{'S'}); err != nil {
		return nil, fail(ReasonClientGone, err)
	}
	conn := tls.Server(s.conn, s.config.TLS)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fail(ReasonClientGone, fmt.Errorf("TLS handshake: %w", err))
	}
	s.secure = conn
	p, err := readPacket(conn)
	if err != nil {
		return nil, fail(ReasonClientGone, err)
	}
	switch p.code {
	case codeCancel:
		s.server.cancelRequest(ctx, p.body, s.conn.RemoteAddr())
		return nil, errCancelled
	case codeSSL, codeGSS:
		return nil, failf(ReasonProtocol, "encryption is already established")
	}
	hello, err := parseStartup(p)
	if err != nil {
		return nil, err
	}
	return &admitted{conn: conn, startup: hello}, nil
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
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT) //nolint:gosec // a descriptor fits
		waiting = err == nil && n > 0
	})
	return waiting
}
