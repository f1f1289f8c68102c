package hosts

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/gateway/backend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manner is how a fake server takes a session.
type manner struct {
	refuse   string // the SQLSTATE with which it refuses
	silent   bool   // it says nothing, ever
	standby  bool
	readOnly bool // default_transaction_read_only
	old      bool // it reports neither, and has to be asked
	md5      bool // it asks for a proof, and takes any
}

// fakeServer is a PostgreSQL that lets everybody in by the certificate they have.
type fakeServer struct {
	listener net.Listener
	config   backend.Config
	tls      *tls.Config

	mu     sync.Mutex
	manner func(login int) manner // of the login with this number, from 1
	logins int
	open   int
	asked  []string
}

// world is the certificates that fake servers and their clients have in common.
type world struct {
	server, client tls.Certificate
	roots          *x509.CertPool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	authority, err := certs.New("test authority")
	if err != nil {
		t.Fatal(err)
	}
	issue := func(r certs.Request) tls.Certificate {
		cert, key, err := authority.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	w := &world{
		server: issue(certs.Request{CommonName: "db", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true}),
		client: issue(certs.Request{CommonName: "gateway", Client: true}), roots: x509.NewCertPool(),
	}
	w.roots.AppendCertsFromPEM(authority.CertPEM())
	return w
}

// host starts a server that takes every session in one manner, until that is changed.
func (w *world) host(t *testing.T, m manner) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{listener: l, manner: func(int) manner { return m }}
	f.tls = &tls.Config{Certificates: []tls.Certificate{w.server}, NextProtos: []string{"postgresql"}, MinVersion: tls.VersionTLS12}
	f.config = backend.Config{
		Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Database: "app", Authentication: backend.MethodCertificate,
		TLS: &tls.Config{RootCAs: w.roots, Certificates: []tls.Certificate{w.client}, MinVersion: tls.VersionTLS12}, ConnectTimeout: 5 * time.Second,
	}
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

// become changes how it takes sessions from now on.
func (f *fakeServer) become(m manner) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.manner = func(int) manner { return m }
}

func (f *fakeServer) counts() (logins, open int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logins, f.open
}

func (f *fakeServer) questions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

func (f *fakeServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	f.mu.Lock()
	f.logins++
	m := f.manner(f.logins)
	f.mu.Unlock()
	if m.silent {
		_, _ = io.Copy(io.Discard, conn)
		return
	}
	var request [8]byte
	if _, err := io.ReadFull(conn, request[:]); err != nil {
		return
	}
	_, _ = conn.Write([]byte{'S'})
	secure := tls.Server(conn, f.tls)
	b := pgproto3.NewBackend(secure, secure)
	m1, err := b.ReceiveStartupMessage()
	startup, ok := m1.(*pgproto3.StartupMessage)
	if err != nil || !ok {
		return
	}
	if m.refuse != "" {
		b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: m.refuse, Message: "refused"})
		_ = b.Flush()
		return
	}
	if m.md5 && !proved(b) {
		return
	}
	f.count(1)
	defer f.count(-1)
	f.greet(b, startup, m)
	f.answer(b, m)
}

// proved asks for a proof, and waits for it.
func proved(b *pgproto3.Backend) bool {
	b.Send(&pgproto3.AuthenticationMD5Password{Salt: [4]byte{1, 2, 3, 4}})
	if b.Flush() != nil || b.SetAuthType(pgproto3.AuthTypeMD5Password) != nil {
		return false
	}
	_, err := b.Receive()
	return err == nil
}

func (f *fakeServer) count(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open += n
}

func onOff(is bool) string {
	if is {
		return "on"
	}
	return "off"
}

func (f *fakeServer) greet(b *pgproto3.Backend, startup *pgproto3.StartupMessage, m manner) {
	b.Send(&pgproto3.AuthenticationOk{})
	reported := [][2]string{
		{"server_encoding", "UTF8"}, {"client_encoding", "UTF8"}, {"standard_conforming_strings", "on"}, {"is_superuser", "off"},
	}
	if !m.old {
		_, ours := startup.Parameters["default_transaction_read_only"]
		reported = append(reported, [2]string{"in_hot_standby", onOff(m.standby)}, [2]string{"default_transaction_read_only", onOff(m.readOnly || ours)})
	}
	for _, p := range reported {
		b.Send(&pgproto3.ParameterStatus{Name: p[0], Value: p[1]})
	}
	b.Send(&pgproto3.BackendKeyData{ProcessID: 7, SecretKey: []byte("1234")})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	_ = b.Flush()
}

// answer answers what a server that does not report is asked.
func (f *fakeServer) answer(b *pgproto3.Backend, m manner) {
	for {
		message, err := b.Receive()
		query, ok := message.(*pgproto3.Query)
		if err != nil || !ok {
			return
		}
		f.mu.Lock()
		f.asked = append(f.asked, query.String)
		f.mu.Unlock()
		answer := map[string]string{
			askReadOnly: onOff(m.standby || m.readOnly), askStandby: map[bool]string{true: "t", false: "f"}[m.standby],
		}[query.String]
		b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("a"), DataTypeOID: 25}}})
		b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(answer)}})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SHOW")})
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		_ = b.Flush()
	}
}

// set makes a Set of servers.
func set(t *testing.T, target Target, servers ...*fakeServer) *Set {
	t.Helper()
	var cfg Config
	for _, f := range servers {
		cfg.Hosts = append(cfg.Hosts, f.config)
	}
	cfg.Target = target
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// at is where a session was opened: the index of the server, -1 with an error.
func at(t *testing.T, s *Set, o Opening) (int, error) {
	t.Helper()
	if o.Credential == nil {
		o.Credential = backend.Password("")
	}
	o.User = "v-app-1"
	opened, err := s.Open(t.Context(), o)
	if err != nil {
		return -1, err
	}
	defer opened.discard()
	for i, host := range s.cfg.Hosts {
		if host.Port == opened.Config.Port {
			return i, nil
		}
	}
	t.Fatal("opened somewhere else")
	return -1, nil
}
