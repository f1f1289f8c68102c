package backend

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/certs"
)

const (
	fakeHost     = "db.test"
	fakeUser     = "v-app-1"
	fakePassword = "s3cret-of-the-lease"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// identity is a server certificate and the pool that trusts it.
type identity struct {
	certificate tls.Certificate
	roots       *x509.CertPool
	now         time.Time // when it is valid: a synctest bubble lives in the year 2000
}

// trust is the client's side of it.
func (id identity) trust() *tls.Config {
	return &tls.Config{RootCAs: id.roots, Time: func() time.Time { return id.now }}
}

func newIdentity(t testing.TB, names ...string) identity {
	t.Helper()
	authority, err := certs.New("test authority")
	if err != nil {
		t.Fatal(err)
	}
	certPEM, keyPEM, err := authority.Issue(certs.Request{
		CommonName: names[0], DNSNames: names, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return identity{certificate, newPool(t, authority.CertPEM()), time.Now()}
}

func newPool(t testing.TB, pem []byte) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in the PEM")
	}
	return pool
}

// fake is the server's side of one connection, over net.Pipe. Its methods fail silently: a client that goes away early is what many
// tests are about.
type fake struct {
	raw  net.Conn
	conn net.Conn // raw, or TLS over it
	id   identity
	sni  string // the name that the client asked for
}

// script is what a fake backend does with one connection.
type script func(f *fake)

// serve gives a Config whose Dial runs the script on the other end of a pipe.
func serve(t testing.TB, id identity, play script) Config {
	t.Helper()
	var scripts sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	t.Cleanup(func() {
		mu.Lock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		scripts.Wait()
	})
	return Config{
		Host: fakeHost, Database: "app", TLS: id.trust(),
		Dial: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			mu.Lock()
			conns = append(conns, client, server)
			mu.Unlock()
			buffered := newBuffered(server, &scripts)
			scripts.Go(func() {
				defer func() { _ = buffered.Close() }()
				play(&fake{raw: buffered, conn: buffered, id: id})
			})
			return client, nil
		},
	}
}

// buffered is a connection whose writes do not wait for the reader, as a socket's do not. Without that both ends of a pipe can be
// stuck writing: a server its session ticket, a client its first message.
type buffered struct {
	net.Conn
	queue chan []byte
}

func newBuffered(conn net.Conn, running *sync.WaitGroup) *buffered {
	b := &buffered{conn, make(chan []byte, 1<<14)}
	running.Go(func() {
		for data := range b.queue {
			_, _ = conn.Write(data)
		}
		_ = conn.Close()
	})
	return b
}

func (b *buffered) Write(data []byte) (int, error) {
	b.queue <- bytes.Clone(data)
	return len(data), nil
}

// SetWriteDeadline does nothing: a write is done at once, and crypto/tls sets a past deadline behind its close_notify.
func (b *buffered) SetWriteDeadline(time.Time) error { return nil }

// Close closes when everything has been read. It is called once, by the script's end.
func (b *buffered) Close() error {
	close(b.queue)
	return nil
}

// readSSLRequest reads the eight bytes of an SSLRequest.
func (f *fake) readSSLRequest() bool {
	var request [8]byte
	_, err := io.ReadFull(f.raw, request[:])
	return err == nil && binary.BigEndian.Uint32(request[4:]) == 80877103
}

// upgrade goes through SSLRequest and the handshake.
func (f *fake) upgrade() bool {
	if !f.readSSLRequest() {
		return false
	}
	f.write([]byte{'S'})
	return f.handshake("postgresql")
}

// handshake makes TLS, as a server that speaks these protocols.
func (f *fake) handshake(protocols ...string) bool {
	conn := tls.Server(f.raw, &tls.Config{Certificates: []tls.Certificate{f.id.certificate}, NextProtos: protocols})
	f.conn = conn
	if conn.Handshake() != nil {
		return false
	}
	f.sni = conn.ConnectionState().ServerName
	return true
}

func (f *fake) write(data []byte) { _, _ = f.conn.Write(data) }

// stall reads until the client goes away.
func (f *fake) stall() { _, _ = io.Copy(io.Discard, f.conn) }

// say sends one message.
func (f *fake) say(kind byte, body string) { f.write(frame(kind, body)) }

func frame(kind byte, body string) []byte {
	dst := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(body)+4))
	return append(dst, body...)
}

// request makes the body of an authentication request.
func request(kind uint32, data string) string {
	return string(binary.BigEndian.AppendUint32(nil, kind)) + data
}

// readStartup returns a StartupMessage's strings.
func (f *fake) readStartup() []string {
	var header [4]byte
	if _, err := io.ReadFull(f.conn, header[:]); err != nil {
		return nil
	}
	body := make([]byte, binary.BigEndian.Uint32(header[:])-4)
	if _, err := io.ReadFull(f.conn, body); err != nil || len(body) < 4 {
		return nil
	}
	return strings.Split(string(body[4:]), "\x00")
}

// readPassword returns the body of a 'p' message.
func (f *fake) readPassword() string {
	got, err := readMessage(f.conn)
	if err != nil || got.kind != 'p' {
		return ""
	}
	return string(got.body)
}

// began is everything up to the first authentication request.
func (f *fake) began() bool { return f.upgrade() && f.readStartup() != nil }

// offer asks for SASL with these mechanisms.
func (f *fake) offer(mechanisms ...string) {
	f.say('R', request(pgproto3.AuthTypeSASL, strings.Join(mechanisms, "\x00")+"\x00\x00"))
}

// scram plays a correct server for fakePassword with these iterations; edit may change what it says at step 1 and 2.
func (f *fake) scram(mechanisms []string, iterations int, edit func(step int, text string) string) bool {
	f.offer(mechanisms...)
	var initial pgproto3.SASLInitialResponse
	if initial.Decode([]byte(f.readPassword())) != nil {
		return false
	}
	conversation := f.conversation(initial.AuthMechanism, iterations)
	first, err := conversation.Step(string(initial.Data))
	if err != nil {
		f.say('E', "SFATAL\x00VFATAL\x00C28P01\x00M"+err.Error()+"\x00\x00")
		return false
	}
	f.say('R', request(pgproto3.AuthTypeSASLContinue, edit(1, first)))
	final, err := conversation.Step(f.readPassword())
	if err != nil {
		f.say('E', "SFATAL\x00VFATAL\x00C28P01\x00Mpassword authentication failed\x00\x00")
		return false
	}
	f.say('R', request(pgproto3.AuthTypeSASLFinal, edit(2, final)))
	return true
}

func (f *fake) conversation(mechanism string, iterations int) *scram.ServerConversation {
	client, _ := scram.SHA256.NewClientUnprepped("", fakePassword, "")
	stored, _ := client.WithMinIterations(1).GetStoredCredentialsWithError(scram.KeyFactors{Salt: "0123456789abcdef", Iters: iterations})
	server, _ := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if mechanism != scramSHA256Plus {
		return server.NewConversation()
	}
	sum := sha256.Sum256(f.id.certificate.Certificate[0])
	return server.NewConversationWithChannelBindingRequired(
		scram.ChannelBinding{Type: scram.ChannelBindingTLSServerEndpoint, Data: sum[:]})
}

// same changes nothing.
func same(_ int, text string) string { return text }

// authenticated is everything up to AuthenticationOk.
func (f *fake) authenticated() bool {
	if !f.began() || !f.scram([]string{scramSHA256Plus, scramSHA256}, 4096, same) {
		return false
	}
	f.say('R', request(pgproto3.AuthTypeOk, ""))
	return true
}

// status is a ParameterStatus.
func status(name, value string) []byte { return frame('S', name+"\x00"+value+"\x00") }

// goodParameters are what PostgreSQL 15 reports and Open looks at.
func goodParameters() []Parameter {
	return []Parameter{
		{"client_encoding", "UTF8"},
		{"server_encoding", "UTF8"},
		{"is_superuser", "off"},
		{"standard_conforming_strings", "on"},
		{"session_authorization", fakeUser},
	}
}

// greet sends parameters, a key and ReadyForQuery.
func (f *fake) greet(parameters []Parameter) {
	for _, p := range parameters {
		f.write(status(p.Name, p.Value))
	}
	f.say('K', "\x00\x00\x10\x92\x01\x02\x03\x04")
	f.say('Z', "I")
}

// drain reads until the client goes away, below TLS.
func (f *fake) drain() { _, _ = io.Copy(io.Discard, f.raw) }
