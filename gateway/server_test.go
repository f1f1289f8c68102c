package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/credentials"
	"github.com/sallyport/sallyport/gateway/metrics"
)

// serverConfig is a configuration with which clients get as far as the proof of who they are. Nobody knows anybody.
func serverConfig(t *testing.T) Config {
	t.Helper()
	serverTLS, _ := testCertificate(t)
	passwords, err := scram.NewServer(scram.Config{
		Lookup: func(string) (scram.Verifier, bool) { return scram.Verifier{}, false }, MockSecret: make([]byte, 32), Iterations: 4096,
	})
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(audit.Config{Path: filepath.Join(t.TempDir(), "audit.log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return Config{
		Serving: servingOf(serverTLS), Rules: authn.Rules{{Method: authn.MethodSCRAM}}, SCRAM: passwords, Policy: &authz.Engine{}, Statements: &statement.Pool{},
		Databases: map[string]Database{"app": {Credentials: &credentials.Vault{}}}, Audit: log,
		Metrics: metrics.New(Labels()...),
	}
}

// serving is a server on a port of its own.
type serving struct {
	t       testing.TB
	server  *Server
	address string
	served  chan error
}

func serve(t testing.TB, cfg Config) *serving {
	t.Helper()
	server, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &serving{t: t, server: server, address: l.Addr().String(), served: make(chan error, 1)}
	go func() { s.served <- server.Serve(context.Background(), l) }()
	t.Cleanup(server.Close)
	return s
}

func (s *serving) dial() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// hello goes as far as TLS and a StartupMessage.
func (s *serving) hello() *tls.Conn { return s.helloOver(s.dial()) }

func (s *serving) helloOver(conn net.Conn) *tls.Conn {
	s.t.Helper()
	secure := s.secureOver(conn)
	if _, err := secure.Write(startPacket(protocol30, hello("user", "ana", "database", "app"))); err != nil {
		s.t.Fatal(err)
	}
	return secure
}

// secure goes as far as TLS.
func (s *serving) secure() *tls.Conn { return s.secureOver(s.dial()) }

// secureOver shows these certificates when it is asked for one.
func (s *serving) secureOver(conn net.Conn, certificates ...tls.Certificate) *tls.Conn {
	s.t.Helper()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	s.t.Cleanup(func() { _ = conn.Close() })
	_, _ = conn.Write(startPacket(codeSSL, nil))
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil || answer[0] != 'S' {
		s.t.Fatalf("answer %q, %v", answer, err)
	}
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true, Certificates: certificates}) // #nosec -- the test is about what comes after
}

// hangsUp says whether the server closes a connection without a word.
func hangsUp(conn net.Conn) bool {
	n, err := conn.Read(make([]byte, 1))
	return n == 0 && err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func (s *serving) stopped() error {
	s.t.Helper()
	select {
	case err := <-s.served:
		return err
	case <-time.After(10 * time.Second):
		s.t.Fatal("Serve does not return")
		return nil
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	_, err := New(Config{Databases: map[string]Database{"app": {VaultRoles: map[string]string{"readonly": "app-readonly"}}}})
	for _, what := range []string{"certificate", "rule", "SCRAM", "policy", "statement", "credentials of \"app\"", "audit", "metrics"} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v does not mention %s", err, what)
		}
	}
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "no database") {
		t.Errorf("%v does not mention the databases", err)
	}
}

func TestServerBoundsStrangers(t *testing.T) {
	cfg := serverConfig(t)
	cfg.Limits.PreAuthentication = 2
	s := serve(t, cfg)
	first := s.hello()
	if m, err := pgproto3.NewFrontend(first, first).Receive(); err != nil {
		t.Fatalf("got %v, %v", m, err)
	}
	second := s.hello()
	if m, err := pgproto3.NewFrontend(second, second).Receive(); err != nil {
		t.Fatalf("got %v, %v", m, err)
	}
	third := s.hello()
	if m, err := pgproto3.NewFrontend(third, third).Receive(); err != nil {
		t.Errorf("a newcomer is not served: %v, %v", m, err)
	}
	if !hangsUp(first) {
		t.Error("who has taken longest does not make room")
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if waiting := s.server.waiting.Len(); waiting > 2 {
		t.Errorf("%d strangers are served at once, want 2", waiting)
	}
}

func TestServerCloseEndsStrangers(t *testing.T) {
	s := serve(t, serverConfig(t))
	silent, secure := s.dial(), s.hello()
	client := pgproto3.NewFrontend(secure, secure)
	if _, err := client.Receive(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.server.Close()
	if m, err := client.Receive(); err != nil || word(m) != "FATAL 57P01" {
		t.Errorf("who was logging in hears %#v, %v", m, err)
	}
	if took := time.Since(began); took > 2*farewellTime {
		t.Errorf("Close took %v", took)
	}
	if !hangsUp(silent) {
		t.Error("a silent client is kept")
	}
	if err := s.stopped(); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returns %v", err)
	}
	s.server.Close() // again
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.server.Serve(t.Context(), l); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve after Close returns %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve after Close leaves the listener open: %v", err)
	}
}

func TestServerShutdown(t *testing.T) {
	s := serve(t, serverConfig(t))
	if err := s.server.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown without sessions: %v", err)
	}
	if err := s.stopped(); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returns %v", err)
	}
}

// TestServerShutdownLeavesRevocations: whoever drains hears when the last session has gone, not when the last credential has.
func TestServerShutdownLeavesRevocations(t *testing.T) {
	s := serve(t, serverConfig(t))
	revoked := make(chan struct{})
	s.server.background.Go(func() { <-revoked })
	if err := s.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	closed := make(chan struct{})
	go func() {
		s.server.Close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("Close does not wait for what is left to do")
	case <-time.After(50 * time.Millisecond):
	}
	close(revoked)
	<-closed
}

// TestServerDraining: who comes while the server drains hears why.
func TestServerDraining(t *testing.T) {
	s := serve(t, serverConfig(t))
	s.server.mu.Lock()
	s.server.draining = true
	s.server.mu.Unlock()
	conn := s.hello()
	m, err := pgproto3.NewFrontend(conn, conn).Receive()
	if e, ok := m.(*pgproto3.ErrorResponse); !ok || e.Code != "57P03" || e.Severity != "FATAL" {
		t.Errorf("got %#v, %v", m, err)
	}
}

func TestServerServeEndsWithItsContext(t *testing.T) {
	server, err := New(serverConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := server.Serve(ctx, l); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returns %v", err)
	}
}

// TestServerRefusesABadReload: the configuration before it stays.
func TestServerRefusesABadReload(t *testing.T) {
	s := serve(t, serverConfig(t))
	before := s.server.config()
	if err := s.server.Reload(Config{}); err == nil {
		t.Error("an empty configuration is taken")
	}
	if s.server.config() != before {
		t.Error("a bad reload changed the configuration")
	}
}

// TestServerSurvivesStrangers throws first bytes of all kinds at it; whoever comes next is served.
func TestServerSurvivesStrangers(t *testing.T) {
	s := serve(t, serverConfig(t))
	for _, b := range []string{
		"", "\x00", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02\x00\x01", string(startPacket(codeCancel, make([]byte, 8))),
		string(startPacket(codeCancel, nil)), string(startPacket(protocol30, nil)), string(startPacket(codeSSL, nil)) + "x",
	} {
		conn := s.dial()
		_, _ = conn.Write([]byte(b))
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
	conn := s.hello()
	m, err := pgproto3.NewFrontend(conn, conn).Receive()
	if a, ok := m.(*pgproto3.AuthenticationSASL); !ok || len(a.AuthMechanisms) == 0 {
		t.Errorf("got %#v, %v", m, err)
	}
}
