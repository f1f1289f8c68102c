package gateway

import (
	"crypto/tls"
	"net"
	"runtime"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/backend"
)

// BenchmarkIdleSession tells what a session that waits for its client costs beyond the two connections within TLS that it is made of: heap
// and stacks, in bytes. Client and PostgreSQL are in the process both times.
func BenchmarkIdleSession(b *testing.B) {
	const sessions = 300
	around := newSurroundings(b)
	g := around.start(b, authn.Rule{Method: authn.MethodMD5})
	for b.Loop() {
		bare := memoryOf(sessions, func() func() { return around.bareConnections(b) })
		whole := memoryOf(sessions, func() func() { return g.idleSession(b) })
		b.ReportMetric(float64(whole-bare)/sessions, "bytes/session")
	}
}

// memoryOf says what n things take that open makes and what it returns ends.
func memoryOf(n int, open func() (end func())) int64 {
	var ends []func()
	ends = append(ends, open()) // what is made once
	before := memory()
	for range n {
		ends = append(ends, open())
	}
	took := memory() - before
	for _, end := range ends {
		end()
	}
	return took
}

// memory is what is in use once stacks have shrunk, by half in each collection.
func memory() int64 {
	for range 6 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse) // #nosec -- less than all there is
}

// bareConnections are the client's and the backend's, without a session.
func (s *surroundings) bareConnections(b *testing.B) (end func()) {
	b.Helper()
	session, err := backend.Open(b.Context(), s.config.Databases["app"].Backend, leaseUser, backend.Password(leasePassword), nil)
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	client, server := tls.Client(dialled, &tls.Config{InsecureSkipVerify: true}), tls.Server(accepted, s.serving.Config) // #nosec
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		b.Fatal(err)
	}
	if err := <-shaken; err != nil {
		b.Fatal(err)
	}
	return func() { _, _, _ = client.Close(), server.Close(), session.Conn.Close() }
}

// idleSession has logged in.
func (s *serving) idleSession(b *testing.B) (end func()) {
	b.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		b.Fatal(err)
	}
	secure := s.secureOver(conn)
	if _, err := secure.Write(startPacket(protocol30, hello("user", knownUser, "database", "app"))); err != nil {
		b.Fatal(err)
	}
	frontend := pgproto3.NewFrontend(secure, secure)
	for {
		m, err := frontend.Receive()
		if err != nil {
			b.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.ErrorResponse:
			b.Fatal(m.Message)
		case *pgproto3.ReadyForQuery:
			return func() { _ = secure.Close() }
		case *pgproto3.AuthenticationMD5Password:
			_, _ = secure.Write(answerMD5(m))
		}
	}
}
