package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/openid"
	"github.com/sallyport/sallyport/e2e/stack"
)

// TestFailuresLookTheSame: whoever fails to log in does not learn why.
func TestFailuresLookTheSame(t *testing.T) {
	analyst := shared.tokens[stack.Analyst]
	parts := strings.Split(analyst, ".")
	foreign, err := openid.Start(openid.Config{Listen: "127.0.0.1:0", Lifetime: time.Hour, Users: stack.People()})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	forged, err := openid.Agent{Issuer: foreign.Issuer(), Email: stack.Analyst, Password: stack.Password}.CodeFlow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	attempts := map[string]login{
		"wrong password":            {account: stack.Service, password: "wrong"},
		"token for SCRAM user":      {account: stack.Service, password: analyst},
		"unknown user":              {account: "nobody", password: "wrong"},
		"unknown user with a token": {account: "nobody@example.com", password: analyst},
		"another one's token":       {account: stack.Analyst, password: shared.tokens[stack.DBA]},
		"not a token":               {account: stack.Analyst, password: "x"},
		"changed payload":           {account: stack.Analyst, password: parts[0] + "." + strings.ToUpper(parts[1]) + "." + parts[2]},
		"no signature":              {account: stack.Analyst, password: parts[0] + "." + parts[1] + "."},
		"alg none":                  {account: stack.Analyst, password: "eyJhbGciOiJub25lIn0." + parts[1] + "."},
		"another issuer's token":    {account: stack.Analyst, password: forged.ID},
		"other spelling":            {account: "Analyst@example.com", password: analyst},
		"very long token":           {account: stack.Analyst, password: strings.Repeat("a.", 20000)},
	}
	for name, l := range attempts {
		t.Run(name, func(t *testing.T) {
			_, err := l.open(t)
			var pgErr *pgconn.PgError
			if !errors.As(err, &pgErr) {
				t.Fatalf("not an ErrorResponse: %v", err)
			}
			got := pgErr.Severity + " " + pgErr.Code + " " + strings.ReplaceAll(pgErr.Message, l.account, "USER") + pgErr.Detail + pgErr.Hint
			if want := `FATAL 28P01 password authentication failed for user "USER"`; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestTokenExpires: a session does not outlive the proof it began with.
func TestTokenExpires(t *testing.T) {
	provider := shared.services.OpenID
	provider.SetLifetime(3 * time.Second)
	tokens, err := shared.services.Login(t.Context(), stack.Analyst)
	provider.SetLifetime(12 * time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	l := login{account: stack.Analyst, password: tokens.ID, application: "expires"}
	conn := l.connect(t)
	role := backendRole(t, conn)
	var last error
	for end := time.Now().Add(90 * time.Second); last == nil && time.Now().Before(end); {
		_, last = conn.Exec(t.Context(), "SELECT count(*) FROM orders")
	}
	if got := sqlstate(t, last); got != "57P01" {
		t.Fatalf("SQLSTATE %q, want 57P01: %v", got, last)
	}
	roleGone(t, role, goneWithin)
	if _, err := l.open(t); sqlstate(t, err) != "28P01" {
		t.Errorf("an expired token: %v", err)
	}
}

// TestKeyRotation: tokens signed with a key the gateway has not seen yet.
func TestKeyRotation(t *testing.T) {
	g := ownGateway(t, nil) // has fetched no keys
	value(t, login{gateway: g, account: stack.Analyst}.connect(t), "SELECT 'ok'")
	if err := shared.services.OpenID.RotateKey(true); err != nil {
		t.Fatal(err)
	}
	tokens, err := shared.services.Login(t.Context(), stack.Analyst)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 90*time.Second, func() error { // the gateway may ask for keys once in a while only
		conn, err := login{gateway: g, account: stack.Analyst, password: tokens.ID}.open(t)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
	value(t, login{gateway: g, account: stack.Analyst}.connect(t), "SELECT 'ok'") // the old key is still published
}

func dial(t *testing.T) net.Conn {
	t.Helper()
	return dialGateway(t, shared.gateway)
}

func dialGateway(t *testing.T, g *stack.Gateway) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(g.Port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// sslRequest asks for TLS and returns the answer's byte.
func sslRequest(t *testing.T, conn net.Conn) byte {
	t.Helper()
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatal(err)
	}
	return answer[0]
}

// startup is a StartupMessage of protocol 3.0.
func startup(pairs ...string) []byte { return startupOf(3<<16, pairs...) }

// startupOf is a StartupMessage of any protocol version.
func startupOf(version uint32, pairs ...string) []byte {
	body := binary.BigEndian.AppendUint32(nil, version)
	for _, s := range pairs {
		body = append(append(body, s...), 0)
	}
	body = append(body, 0)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

// TestPlaintextRefused: without TLS there is an error and nothing else, least
// of all a request for a password.
func TestPlaintextRefused(t *testing.T) {
	conn := dial(t)
	if _, err := conn.Write(startup("user", stack.Service, "database", stack.App)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer) == 0 || answer[0] != 'E' || !strings.Contains(string(answer), "C28000\x00") || !strings.Contains(string(answer), "SFATAL\x00") {
		t.Errorf("got %q, want one FATAL 28000", answer)
	}
	if length := binary.BigEndian.Uint32(answer[1:5]); int(length)+1 != len(answer) {
		t.Errorf("more than one message: %q", answer)
	}
}

func TestTLS(t *testing.T) {
	authority, err := os.ReadFile(shared.gateway.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	for name, test := range map[string]struct {
		config *tls.Config
		good   bool
	}{
		"TLS 1.3":          {&tls.Config{MinVersion: tls.VersionTLS13}, true},
		"TLS 1.2":          {&tls.Config{MaxVersion: tls.VersionTLS12}, true},
		"TLS 1.1":          {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"ALPN postgresql":  {&tls.Config{NextProtos: []string{"postgresql"}}, true},
		"ALPN of the web":  {&tls.Config{NextProtos: []string{"h2"}}, false},
		"suite without AE": {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t)
			if got := sslRequest(t, conn); got != 'S' {
				t.Fatalf("SSLRequest is answered with %q", got)
			}
			test.config.RootCAs, test.config.ServerName = roots, "localhost"
			client := tls.Client(conn, test.config)
			if err := client.HandshakeContext(t.Context()); (err == nil) != test.good {
				t.Fatalf("handshake: %v", err)
			}
			if state := client.ConnectionState(); test.good && len(test.config.NextProtos) > 0 && state.NegotiatedProtocol != "postgresql" {
				t.Errorf("negotiated %q", state.NegotiatedProtocol)
			}
		})
	}
	t.Run("bytes behind SSLRequest", func(t *testing.T) {
		conn := dial(t)
		if _, err := conn.Write(append([]byte{0, 0, 0, 8, 4, 210, 22, 47}, startup("user", stack.Service)...)); err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(conn)
		if strings.Contains(string(answer), "R\x00\x00") {
			t.Errorf("authentication was begun without TLS: %q", answer)
		}
	})
}

// TestStartupRefused: parameters that ask for what the gateway does not do.
func TestStartupRefused(t *testing.T) {
	for name, l := range map[string]login{
		"replication=database": {account: stack.Analyst, options: map[string]string{"replication": "database"}},
		"replication=true":     {account: stack.Analyst, options: map[string]string{"replication": "true"}},
		"options":              {account: stack.Analyst, options: map[string]string{"options": "-c session_replication_role=replica"}},
		"role":                 {account: stack.Analyst, options: map[string]string{"role": "postgres"}},
		"search_path":          {account: stack.Analyst, options: map[string]string{"search_path": "public"}},
		"client_encoding":      {account: stack.Analyst, options: map[string]string{"client_encoding": "SJIS"}},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := l.open(t)
			if err == nil {
				path := value(t, conn, "SELECT current_setting('search_path') || current_setting('client_encoding') || current_user")
				t.Errorf("connected: %s", path)
				return
			}
			sqlstate(t, err)
		})
	}
}
