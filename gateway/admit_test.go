package gateway

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/gateway/metrics"
	"github.com/sallyport/sallyport/tlsutil"
)

// testCertificate is a server certificate for localhost.
func testCertificate(t testing.TB) (*tls.Config, *tls.Config) {
	t.Helper()
	authority, err := certs.New("test CA")
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := authority.Issue(certs.Request{CommonName: "localhost", DNSNames: []string{"localhost"}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"postgresql"}},
		&tls.Config{InsecureSkipVerify: true} // #nosec -- the test is about what comes before and after
}

// startPacket is a packet with its length.
func startPacket(code uint32, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(binary.BigEndian.AppendUint32(b, code), body...)
}

// admitting runs admit against a client; what it says about an error is sent as a session would.
func admitting(t *testing.T, client func(conn net.Conn, cfg *tls.Config)) (*admitted, error) {
	t.Helper()
	_, a, err := admittingBehind(t, nil, client)
	return a, err
}

// admittingBehind does so for a gateway that trusts proxies.
func admittingBehind(t *testing.T, proxies []netip.Prefix, client func(conn net.Conn, cfg *tls.Config)) (*session, *admitted, error) {
	t.Helper()
	serverTLS, clientTLS := testCertificate(t)
	near, far := tcpPair(t)
	defer func() { _ = near.Close(); _ = far.Close() }()
	cfg := &Config{Serving: servingOf(serverTLS), Proxies: proxies, Metrics: metrics.New(Labels()...), Logger: slog.New(slog.DiscardHandler)}
	server := &Server{keys: &cancelKeys{sessions: map[uint32]*session{}}}
	server.current.Store(cfg)
	s := newSession(server, cfg, far)
	done := make(chan struct{})
	go func() { defer close(done); client(near, clientTLS) }()
	var a *admitted
	err := s.phase(context.Background(), 2*time.Second, func(ctx context.Context) (err error) { a, err = s.admit(ctx); return err })
	if err != nil && !errors.Is(err, errCancelled) {
		s.farewell(asSessionError(err))
	}
	_ = far.Close()
	<-done
	return s, a, err
}

// saying is a client that sends packets in the clear, each after the answer to the one before, then more within TLS. It notes what it
// hears in the clear.
func saying(plain [][]byte, secure []byte, heard *strings.Builder) func(conn net.Conn, cfg *tls.Config) {
	return func(conn net.Conn, cfg *tls.Config) {
		defer func() { _ = conn.Close() }()
		for _, b := range plain {
			_, _ = conn.Write(b)
			var answer [1]byte
			if n, _ := conn.Read(answer[:]); n == 1 {
				heard.WriteByte(answer[0])
			}
		}
		if secure != nil {
			secured := tls.Client(conn, cfg)
			_, _ = secured.Write(secure)
			_, _ = io.Copy(io.Discard, secured)
		}
	}
}

// outcomeOf is the SQLSTATE that a client is refused with, "" for an admitted one, "closed" for no word.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return ""
	case asSessionError(err).code() != "" && !errors.Is(err, errCancelled):
		return asSessionError(err).code()
	}
	return "closed"
}

func TestAdmit(t *testing.T) {
	start := startPacket(protocol30, hello("user", "ana", "database", "app"))
	ssl := startPacket(codeSSL, nil)
	gss := startPacket(codeGSS, nil)
	tests := map[string]struct {
		plain  [][]byte // sent in the clear, each after the answer to the one before
		secure []byte   // sent within TLS, if the last answer was S
		heard  string   // what the client hears in the clear
		want   string   // SQLSTATE, "" for an admitted client, "closed" for no word
	}{
		"TLS":                         {[][]byte{ssl}, start, "S", ""},
		"GSS, then TLS":               {[][]byte{gss, ssl}, start, "NS", ""},
		"no TLS":                      {[][]byte{start}, nil, "E", "28000"},
		"GSS, then no TLS":            {[][]byte{gss, start}, nil, "NE", "28000"},
		"GSS twice":                   {[][]byte{gss, gss}, nil, "NE", "08P01"},
		"SSLRequest behind the GSS":   {[][]byte{append(gss[:8:8], ssl...)}, nil, "E", "08P01"},
		"bytes behind the GSS":        {[][]byte{append(gss[:8:8], 0)}, nil, "E", "08P01"},
		"bytes behind the SSLRequest": {[][]byte{append(ssl[:8:8], start...)}, nil, "E", "08P01"},
		"SSLRequest within TLS":       {[][]byte{ssl}, ssl, "S", "08P01"},
		"GSSENCRequest within TLS":    {[][]byte{ssl}, gss, "S", "08P01"},
		"SSLRequest with a body":      {[][]byte{startPacket(codeSSL, []byte("x"))}, nil, "E", "08P01"},
		"protocol 2":                  {[][]byte{startPacket(2<<16, nil)}, nil, "E", "0A000"},
		"protocol 2 within TLS":       {[][]byte{ssl}, startPacket(2<<16, nil), "S", "0A000"},
		"length 0":                    {[][]byte{make([]byte, 8)}, nil, "", "closed"},
		"length 0x7fffffff":           {[][]byte{{0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0}}, nil, "", "closed"},
		"HTTP":                        {[][]byte{[]byte("GET / HTTP/1.1\r\n\r\n")}, nil, "", "closed"},
		"half a packet":               {[][]byte{start[:5]}, nil, "", "closed"},
		"nothing":                     {nil, nil, "", "closed"},
		"plaintext after the S":       {[][]byte{ssl, start}, nil, "S", "closed"},
		"a cancel request":            {[][]byte{startPacket(codeCancel, make([]byte, 8))}, nil, "", "closed"},
		"a cancel request within TLS": {[][]byte{ssl}, startPacket(codeCancel, make([]byte, 8)), "S", "closed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var heard strings.Builder
			a, err := admitting(t, saying(tt.plain, tt.secure, &heard))
			got := outcomeOf(err)
			if got != tt.want || heard.String() != tt.heard {
				t.Errorf("got %q (%v), heard %q; want %q, %q", got, err, heard.String(), tt.want, tt.heard)
			}
			if (a != nil) != (tt.want == "") {
				t.Errorf("admitted: %v", a)
			}
		})
	}
}

func TestAdmitHasADeadline(t *testing.T) {
	for name, sent := range map[string][]byte{"silence": nil, "one byte": {0}, "an SSLRequest and no handshake": startPacket(codeSSL, nil)} {
		t.Run(name, func(t *testing.T) {
			near, far := tcpPair(t)
			defer func() { _ = near.Close(); _ = far.Close() }()
			serverTLS, _ := testCertificate(t)
			cfg := &Config{Serving: servingOf(serverTLS), Metrics: metrics.New(Labels()...), Logger: slog.New(slog.DiscardHandler)}
			s := newSession(&Server{}, cfg, far)
			_, _ = near.Write(sent)
			err := s.phase(context.Background(), 50*time.Millisecond, func(ctx context.Context) error { _, err := s.admit(ctx); return err })
			if asSessionError(err).reason != ReasonDeadline {
				t.Errorf("ended by %v, want the deadline", err)
			}
		})
	}
}

// TestErrorBeforeTLSIsReadable shows that a client without TLS reads why it was refused.
func TestErrorBeforeTLSIsReadable(t *testing.T) {
	var got pgproto3.BackendMessage
	_, err := admitting(t, func(conn net.Conn, _ *tls.Config) {
		_, _ = conn.Write(startPacket(protocol30, hello("user", "ana")))
		got, _ = pgproto3.NewFrontend(conn, conn).Receive()
		_ = conn.Close()
	})
	if err == nil {
		t.Fatal("admitted without TLS")
	}
	m, ok := got.(*pgproto3.ErrorResponse)
	if !ok || m.Severity != "FATAL" || m.Code != "28000" || !strings.Contains(m.Message, "requires TLS") {
		t.Errorf("got %#v", got)
	}
}

// servingOf serves one configuration, as a reloader that never reloads.
func servingOf(cfg *tls.Config) func() *tlsutil.Serving {
	return func() *tlsutil.Serving { return &tlsutil.Serving{Config: cfg} }
}

func TestAdmitDirectTLS(t *testing.T) {
	tests := map[string]struct {
		protocols []string
		admitted  bool
	}{
		"ALPN postgresql":  {[]string{"postgresql"}, true},
		"no ALPN":          {nil, false},
		"another protocol": {[]string{"h2"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, err := admitting(t, func(conn net.Conn, cfg *tls.Config) {
				cfg.NextProtos = tt.protocols
				secure := tls.Client(conn, cfg)
				_, _ = secure.Write(startPacket(protocol30, hello("user", "ana", "database", "app")))
				_, _ = io.Copy(io.Discard, secure)
				_ = conn.Close()
			})
			if (a != nil) != tt.admitted {
				t.Errorf("admitted: %t (%v)", a != nil, err)
			}
			if err != nil && asSessionError(err).code() != "" {
				t.Errorf("the client hears %s before it has said what it wants", asSessionError(err).code())
			}
		})
	}
}
