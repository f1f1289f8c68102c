package gateway

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/tlsutil"
)

// drippers is how many clients send a byte now and then, dripInterval how often: no read of the gateway's ever waits for long.
const (
	drippers     = 500
	dripInterval = 100 * time.Millisecond
)

// drips are the places at which a client can send one byte after another.
var drips = map[string]func(t *testing.T, conn net.Conn) (net.Conn, []byte){
	"first packet": func(_ *testing.T, conn net.Conn) (net.Conn, []byte) {
		return conn, startPacket(protocol30, make([]byte, maxStartupPacket-4))
	},
	"ClientHello": func(t *testing.T, conn net.Conn) (net.Conn, []byte) {
		asksForTLS(t, conn)
		return conn, clientHello()
	},
	"StartupMessage within TLS": func(t *testing.T, conn net.Conn) (net.Conn, []byte) {
		return within(t, conn), startPacket(protocol30, make([]byte, maxStartupPacket-4))
	},
	"proof": func(t *testing.T, conn net.Conn) (net.Conn, []byte) {
		secure := within(t, conn)
		_, _ = secure.Write(startPacket(protocol30, hello("user", knownUser, "database", "closed")))
		if _, err := pgproto3.NewFrontend(secure, nil).Receive(); err != nil {
			t.Error(err)
		}
		return secure, passwordMessage(strings.Repeat("x", maxSASLMessage))
	},
}

func asksForTLS(t *testing.T, conn net.Conn) {
	t.Helper()
	_, _ = conn.Write(startPacket(codeSSL, nil))
	var answer [1]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil || answer[0] != 'S' {
		t.Errorf("answer %q, %v", answer, err)
	}
}

func within(t *testing.T, conn net.Conn) *tls.Conn {
	t.Helper()
	asksForTLS(t, conn)
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // #nosec -- the test is about what comes after
	if err := secure.Handshake(); err != nil {
		t.Error(err)
	}
	return secure
}

// clientHello is what a TLS client says first.
func clientHello() []byte {
	said := &stranger{reading: reading{Reader: bytes.NewReader(nil)}}
	_ = tls.Client(said, &tls.Config{InsecureSkipVerify: true}).Handshake() // #nosec -- nobody is there
	return said.heard.Bytes()
}

// pipe is one end of a net.Pipe that has a client's address.
type pipe struct{ net.Conn }

func (pipe) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

// TestDrip: who sends a byte now and then is cut off at the phase's deadline, to the moment, wherever it is; nothing of it is left; and
// somebody who comes meanwhile is served.
func TestDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := serverConfig(t)
		cfg.Policy, cfg.SCRAM, cfg.Limits.PreAuthentication = newPolicy(t), knowingOne(t), 2*drippers
		config := cfg.Serving().Config.Clone()
		config.SessionTicketsDisabled = true // as tlsutil has it; a pipe has no buffer for them
		cfg.Serving = func() *tlsutil.Serving { return &tlsutil.Serving{Config: config} }
		server, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var running sync.WaitGroup
		for place, prepare := range drips {
			for range drippers / len(drips) {
				client, far := net.Pipe()
				server.accept(pipe{far})
				running.Go(func() {
					drip(prepare(t, client))
					if took := time.Since(began); took < defaultAdmission || took > defaultAdmission+dripInterval {
						t.Errorf("%s: cut off after %v", place, took)
					}
				})
			}
		}
		time.Sleep(defaultAdmission / 2)
		if waiting := waitingOn(server); waiting != drippers {
			t.Errorf("%d drip, want %d", waiting, drippers)
		}
		client, far := net.Pipe()
		server.accept(pipe{far})
		if got := proves(t, client); got != "FATAL 42501" {
			t.Errorf("somebody else hears %s", got)
		}
		running.Wait()
		synctest.Wait()
		if waiting := waitingOn(server); waiting != 0 {
			t.Errorf("%d wait still", waiting)
		}
		if !counts(cfg, fmt.Sprintf(`admission_failures_total{reason="deadline"} %d`, drippers)) {
			t.Error("not all of them are counted as too slow")
		}
		closed := time.Now()
		server.Close() // waits for every goroutine of a session; the bubble for all others
		if took := time.Since(closed); took != 0 {
			t.Errorf("%v later something of them was left", took)
		}
	})
}

func waitingOn(s *Server) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting.Len()
}

// drip sends a byte at a time until it cannot. What the gateway says is taken, as a socket's buffer would.
func drip(conn net.Conn, text []byte) {
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	for i := range text {
		if _, err := conn.Write(text[i : i+1]); err != nil {
			break
		}
		time.Sleep(dripInterval)
	}
	_ = conn.Close()
}

// knowingOne knows the one user.
func knowingOne(t *testing.T) *scram.Server {
	t.Helper()
	verifier, err := scram.NewVerifier(knownPassword, 0)
	if err != nil {
		t.Fatal(err)
	}
	return newSCRAM(t, func(user string) (scram.Verifier, bool) { return verifier, user == knownUser })
}

// proves goes through SCRAM, sees that the gateway knows the password, and returns what comes then.
func proves(t *testing.T, conn net.Conn) string {
	t.Helper()
	secure := within(t, conn)
	_, _ = secure.Write(startPacket(protocol30, hello("user", knownUser, "database", "closed")))
	client, scramClient := pgproto3.NewFrontend(secure, nil), conversation(t, knownPassword, nil)
	for {
		m, err := client.Receive()
		if err != nil {
			return err.Error()
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationSASL:
			first, _ := scramClient.Step("")
			_, _ = secure.Write(initialResponse("SCRAM-SHA-256", int32(len(first)), first)) // #nosec -- a test's length
		case *pgproto3.AuthenticationSASLContinue:
			final, _ := scramClient.Step(string(m.Data))
			_, _ = secure.Write(passwordMessage(final))
		case *pgproto3.AuthenticationSASLFinal:
			if _, err := scramClient.Step(string(m.Data)); err != nil {
				t.Errorf("the gateway's signature: %v", err)
			}
		default:
			go func() { _, _ = io.Copy(io.Discard, secure) }() // its close_notify
			return word(m)
		}
	}
}

// TestFlood: while connections come and drip without end, more than there are places for, others log in; afterwards nothing is left.
func TestFlood(t *testing.T) {
	around := newSurroundings(t)
	g := around.start(t, byPassword()...)
	around.logInFrom(g, "127.9.0.1")
	before := runtime.NumGoroutine()
	stop := make(chan struct{})
	var running sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		running.Wait()
	})
	defer end()
	for range 4 {
		running.Go(func() { flood(t, g.address, drippers/4, stop) })
	}
	until(t, "all places are taken", func() bool { return waitingOn(g.server) == defaultPreAuthentication })
	for range 3 {
		around.logInFrom(g, "127.9.0.1")
		if waiting := waitingOn(g.server); waiting > defaultPreAuthentication {
			t.Errorf("%d wait", waiting)
		}
	}
	end()
	// The client of Vault keeps a connection or two, which are goroutines of its own.
	until(t, "nothing is left", func() bool { return runtime.NumGoroutine() < before+10 && waitingOn(g.server) == 0 })
}

// flood holds so many connections and sends a byte on each, again and again; for each that is cut off it makes another.
func flood(t *testing.T, address string, most int, stop chan struct{}) {
	long := startPacket(protocol30, make([]byte, maxStartupPacket-4))
	held := map[net.Conn]int{} // how much of it was sent
	defer func() {
		for conn := range held {
			_ = conn.Close()
		}
	}()
	for {
		select {
		case <-stop:
			return
		default:
		}
		if len(held) < most {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			held[conn] = 0
		}
		for conn, sent := range held {
			if _, err := conn.Write(long[sent : sent+1]); err != nil || sent+1 == len(long) {
				_ = conn.Close()
				delete(held, conn)
				continue
			}
			held[conn]++
		}
	}
}

// logInFrom logs in from an address of this machine.
func (s *surroundings) logInFrom(g *serving, address string) {
	g.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := dialer.Dial("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := s.over(g.t, conn)
	c.begin("user", knownUser, "database", "app")
	c.scram("SCRAM-SHA-256", conversation(g.t, knownPassword, nil))
	if c.leave(); !c.reached {
		g.t.Errorf("not logged in:\n%s", strings.Join(c.trace.lines, "\n"))
	}
}
