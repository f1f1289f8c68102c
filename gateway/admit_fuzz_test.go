package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/gateway/metrics"
)

// stranger is a connection whose client has sent all it ever will, and reads nothing. What it was told is kept.
type stranger struct {
	reading
	heard bytes.Buffer
}

func (s *stranger) Write(b []byte) (int, error)    { return s.heard.Write(b) }
func (*stranger) Close() error                     { return nil }
func (*stranger) SetDeadline(time.Time) error      { return nil }
func (*stranger) SetReadDeadline(time.Time) error  { return nil }
func (*stranger) SetWriteDeadline(time.Time) error { return nil }
func (*stranger) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

// beforeTLS is all that a client may hear that has not got through a TLS handshake, but for the error at the end: N to a GSSENCRequest,
// S to an SSLRequest, and records of TLS (alert, handshake).
var beforeTLS = regexp.MustCompile(`(?s)^N?S?(?:[\x15\x16]\x03.*)?$`)

// FuzzAdmit throws first bytes at a gateway. No client is admitted without TLS, none is asked anything, and memory is bounded by what a
// StartupMessage may be.
func FuzzAdmit(f *testing.F) {
	ssl, gss := startPacket(codeSSL, nil), startPacket(codeGSS, nil)
	start := startPacket(protocol30, hello("user", "ana", "database", "app"))
	f.Add(start)
	f.Add(ssl)
	f.Add(bytes.Join([][]byte{gss, ssl}, nil))
	f.Add(bytes.Join([][]byte{gss, gss}, nil))
	f.Add(bytes.Join([][]byte{gss, start}, nil))
	f.Add(startPacket(codeCancel, make([]byte, 8)))
	f.Add(startPacket(codeCancel, make([]byte, 36)))
	f.Add(startPacket(2<<16, nil))
	f.Add([]byte{0, 0, 0x27, 0x15, 0, 3, 0, 0})
	f.Add([]byte("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"))
	f.Add(append(ssl, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"...))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	serverTLS, _ := testCertificate(f)
	cfg := &Config{Serving: servingOf(serverTLS), Metrics: metrics.New(Labels()...), Logger: slog.New(slog.DiscardHandler)}
	server := &Server{keys: &cancelKeys{sessions: map[uint32]*session{}}}
	server.current.Store(cfg)
	f.Fuzz(func(t *testing.T, in []byte) {
		conn := &stranger{reading: reading{Reader: bytes.NewReader(in)}}
		s := newSession(server, cfg, conn)
		a, err := s.admit(context.Background())
		if a != nil || err == nil {
			t.Fatalf("admitted without TLS: %+v", a)
		}
		var e *sessionError
		if !errors.Is(err, errCancelled) && !errors.As(err, &e) {
			t.Errorf("%v is no session error", err)
		}
		heard := conn.heard.Bytes()
		if !beforeTLS.Match(heard) {
			t.Errorf("a client without TLS heard %q", heard)
		}
		if e != nil && e.fatal() != nil {
			checkOneError(t, e.fatal())
		}
		if withTLS := bytes.Contains(heard, []byte("S")) || bytes.HasPrefix(in, []byte{tlsHandshake}); conn.most > maxStartupPacket && !withTLS {
			t.Errorf("%d bytes were asked for at once", conn.most)
		}
	})
}

// checkOneError: exactly one FATAL, whole.
func checkOneError(t *testing.T, b []byte) {
	t.Helper()
	r := bytes.NewReader(b)
	m, err := pgproto3.NewFrontend(r, nil).Receive()
	if e, ok := m.(*pgproto3.ErrorResponse); !ok || e.Severity != "FATAL" || len(e.Code) != 5 || r.Len() != 0 {
		t.Errorf("%q is no error: %v", b, err)
	}
}
