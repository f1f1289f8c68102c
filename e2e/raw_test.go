package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/e2e/stack"
)

const (
	protocol32 = 3<<16 | 2
	// protocolGrease is 3.9999, which libpq 19 asks for to see that servers know how to say no.
	protocolGrease = 3<<16 | 9999
)

// trust is the TLS configuration of a client that knows the gateway's authority.
func trust(t *testing.T, protocols ...string) *tls.Config {
	t.Helper()
	authority, err := os.ReadFile(shared.gateway.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: protocols, MinVersion: tls.VersionTLS12}
}

// raw is a client that says what it is told to.
type raw struct {
	*pgproto3.Frontend
	conn net.Conn
}

// asked negotiates TLS by SSLRequest, direct begins with it.
func asked(t *testing.T, g *stack.Gateway) raw {
	t.Helper()
	conn := dialGateway(t, g)
	if got := sslRequest(t, conn); got != 'S' {
		t.Fatalf("SSLRequest is answered with %q", got)
	}
	return overTLS(tls.Client(conn, trust(t)))
}

func directly(t *testing.T, g *stack.Gateway) raw {
	t.Helper()
	return overTLS(tls.Client(dialGateway(t, g), trust(t, "postgresql")))
}

func overTLS(conn *tls.Conn) raw { return raw{pgproto3.NewFrontend(conn, conn), conn} }

func (r raw) write(t *testing.T, b []byte) {
	t.Helper()
	if _, err := r.conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// send sends one message of the protocol.
func (r raw) send(t *testing.T, message pgproto3.FrontendMessage) {
	t.Helper()
	r.Send(message)
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
}

// next receives a message, which must be an M.
func next[M pgproto3.BackendMessage](t *testing.T, r raw) M {
	t.Helper()
	message, err := r.Receive()
	if err != nil {
		t.Fatal(err)
	}
	m, ok := message.(M)
	if !ok {
		t.Fatalf("got %T %+v, want %T", message, message, m)
	}
	return m
}

// refused receives an error and the end of the connection.
func (r raw) refused(t *testing.T, sqlstate string) *pgproto3.ErrorResponse {
	t.Helper()
	e := *next[*pgproto3.ErrorResponse](t, r)
	if e.Severity != "FATAL" || e.Code != sqlstate {
		t.Errorf("got %s %s %q, want FATAL %s", e.Severity, e.Code, e.Message, sqlstate)
	}
	if m, err := r.Receive(); err == nil {
		t.Errorf("after the error there is %T", m)
	}
	return &e
}

// in reads on to the first ReadyForQuery and returns the key.
func (r raw) in(t *testing.T) pgproto3.BackendKeyData {
	t.Helper()
	var key pgproto3.BackendKeyData
	for {
		message, err := r.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			t.Fatalf("%s %s", m.Code, m.Message)
		case *pgproto3.NegotiateProtocolVersion:
			t.Fatal("the version is negotiated again")
		case *pgproto3.BackendKeyData:
			key = pgproto3.BackendKeyData{ProcessID: m.ProcessID, SecretKey: slices.Clone(m.SecretKey)}
		case *pgproto3.ReadyForQuery:
			return key
		}
	}
}

// analyst is the start of a session that is proved by a token.
func analyst(version uint32, pairs ...string) []byte {
	return startupOf(version, append([]string{"user", stack.Analyst, "database", stack.App}, pairs...)...)
}

func (r raw) token(t *testing.T) {
	t.Helper()
	next[*pgproto3.AuthenticationCleartextPassword](t, r)
	r.send(t, &pgproto3.PasswordMessage{Password: shared.tokens[stack.Analyst]})
}

// one runs a statement that yields a row.
func (r raw) one(t *testing.T) {
	t.Helper()
	r.send(t, &pgproto3.Query{String: "SELECT 1"})
	if got, want := answers(t, r.Frontend), "RowDescription DataRow CommandComplete Z=I"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
