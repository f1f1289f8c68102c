package gateway

import (
	"crypto/md5" // #nosec -- the protocol has no other
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/gateway/backend"
)

// fakePostgres is a server to log in to, over TLS. play is what it does with a session after its StartupMessage.
type fakePostgres struct {
	config  backend.Config // to reach it
	dialled atomic.Int32
	open    atomic.Int32
	tls     *tls.Config
	play    func(p *fakeLogin)
}

// fakeLogin is one session of it.
type fakeLogin struct {
	*pgproto3.Backend
	startup *pgproto3.StartupMessage
}

func newFakePostgres(t testing.TB, play func(p *fakeLogin)) *fakePostgres {
	t.Helper()
	authority, err := certs.New("test CA")
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := authority.Issue(certs.Request{CommonName: "localhost", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.CertPEM())
	f := &fakePostgres{play: play, tls: &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"postgresql"}}} // #nosec
	f.config = backend.Config{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Database: "app", TLS: &tls.Config{RootCAs: roots}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	return f
}

func (f *fakePostgres) serve(conn net.Conn) {
	f.dialled.Add(1)
	f.open.Add(1)
	defer f.open.Add(-1)
	defer func() { _ = conn.Close() }()
	var request [8]byte
	if _, err := io.ReadFull(conn, request[:]); err != nil {
		return
	}
	_, _ = conn.Write([]byte{'S'})
	secure := tls.Server(conn, f.tls)
	b := pgproto3.NewBackend(secure, secure)
	m, err := b.ReceiveStartupMessage()
	if startup, ok := m.(*pgproto3.StartupMessage); ok && err == nil {
		f.play(&fakeLogin{Backend: b, startup: startup})
		for { // until the gateway has had enough
			m, err := b.Receive()
			if _, goodbye := m.(*pgproto3.Terminate); goodbye || err != nil {
				return
			}
		}
	}
}

// say sends messages; what comes of it the gateway's side tells.
func (p *fakeLogin) say(messages ...pgproto3.BackendMessage) {
	for _, m := range messages {
		p.Send(m)
	}
	_ = p.Flush()
}

func (p *fakeLogin) refuse(code string) {
	p.say(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: "the backend's own words"})
}

// greet lets in.
func (p *fakeLogin) greet(superuser string) {
	p.say(&pgproto3.AuthenticationOk{}, status("server_encoding", "UTF8"), status("client_encoding", "UTF8"),
		status("standard_conforming_strings", "on"), status("is_superuser", superuser), status("session_authorization", p.startup.Parameters["user"]),
		&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: []byte("1234")}, &pgproto3.ReadyForQuery{TxStatus: 'I'})
}

func status(name, value string) pgproto3.BackendMessage {
	return &pgproto3.ParameterStatus{Name: name, Value: value}
}

// scram goes through SCRAM-SHA-256 for a password; right says whether the client has it. By default PostgreSQL over TLS is played.
func (p *fakeLogin) scram(password string) (right bool) {
	p.say(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}})
	_ = p.SetAuthType(pgproto3.AuthTypeSASL)
	m, err := p.Receive()
	initial, ok := m.(*pgproto3.SASLInitialResponse)
	if err != nil || !ok {
		return false
	}
	client, _ := scram.SHA256.NewClientUnprepped("", password, "")
	stored, _ := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "0123456789abcdef", Iters: 4096})
	server, _ := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	server.WithNonceGenerator(func() string { return "abcdefghijklmnopqrstuvwx" }) // as long as PostgreSQL's
	conversation := server.NewConversation()
	challenge, err := conversation.Step(string(initial.Data))
	if err != nil { // among them SCRAM-SHA-256-PLUS: these tests relay
		p.refuse("08P01")
		return false
	}
	p.say(&pgproto3.AuthenticationSASLContinue{Data: []byte(challenge)})
	_ = p.SetAuthType(pgproto3.AuthTypeSASLContinue)
	m, err = p.Receive()
	response, ok := m.(*pgproto3.SASLResponse)
	if err != nil || !ok {
		return false
	}
	answer, err := conversation.Step(string(response.Data))
	if err != nil || !conversation.Valid() {
		p.refuse("28P01")
		return false
	}
	p.say(&pgproto3.AuthenticationSASLFinal{Data: []byte(answer)})
	return true
}

// md5 asks for an MD5 response for a password.
func (p *fakeLogin) md5(password string) (right bool) {
	salt := [4]byte{1, 2, 3, 4}
	p.say(&pgproto3.AuthenticationMD5Password{Salt: salt})
	_ = p.SetAuthType(pgproto3.AuthTypeMD5Password)
	m, err := p.Receive()
	response, ok := m.(*pgproto3.PasswordMessage)
	if err != nil || !ok {
		return false
	}
	if response.Password != md5Response(p.startup.Parameters["user"], password, salt) {
		p.refuse("28P01")
		return false
	}
	return true
}

func md5Response(user, password string, salt [4]byte) string {
	sum := md5.Sum([]byte(password + user)) // #nosec
	sum = md5.Sum(append([]byte(hex.EncodeToString(sum[:])), salt[:]...))
	return "md5" + hex.EncodeToString(sum[:])
}
