package backend

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"
)

// named is a resolver that knows one host, whose addresses are these. It is asked over UDP, in one question each.
func named(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	serving.Go(func() {
		var query [512]byte
		for {
			n, client, err := server.ReadFrom(query[:])
			if err != nil {
				return
			}
			_, _ = server.WriteTo(resolved(query[:n], addresses), client)
		}
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// resolved is a query with its answer (RFC 1035): the addresses, to who asks for those of IPv4, and nothing to all others.
func resolved(query []byte, addresses []string) []byte {
	const header, typeA = 12, 1
	name := bytes.IndexByte(query[header:], 0) + 1
	question := query[header : header+name+4]
	if binary.BigEndian.Uint16(question[name:]) != typeA {
		addresses = nil
	}
	answer := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0}, question...)
	for _, address := range addresses {
		answer = append(answer, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 60, 0, 4) // the name of the question, a minute, four bytes
		answer = append(answer, netip.MustParseAddr(address).AsSlice()...)
	}
	return answer
}

// listen plays a script to whoever comes to an address, and says how many came.
func listen(t *testing.T, id identity, address string, port int, play script) (listening int, came func() int) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	var scripts sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range conns {
			_ = conn.Close()
		}
		mu.Unlock()
		scripts.Wait()
	})
	scripts.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			scripts.Go(func() {
				defer func() { _ = conn.Close() }()
				play(&fake{raw: conn, conn: conn, id: id})
			})
		}
	})
	return listener.Addr().(*net.TCPAddr).Port, func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(conns)
	}
}

// TestOpenElsewhere: of the addresses of a host the next one is tried when nobody answers at the one before, each for as long as the connect
// timeout, and not when somebody has answered there.
func TestOpenElsewhere(t *testing.T) {
	const patience = time.Second // enough for a login on a busy machine
	good := func(f *fake) {
		if f.authenticated() {
			f.greet(goodParameters())
			f.stall()
		}
	}
	silent := func(f *fake) { f.stall() }
	network := 0
	for name, test := range map[string]struct {
		scripts []script // nil: nobody is there
		reached int      // which of them opens the session; -1: none
		stage   Stage
		tried   int // how many of those who are there
	}{
		"the first one":                   {[]script{good, good}, 0, "", 1},
		"nobody at the first":             {[]script{nil, good}, 1, "", 1},
		"the first is silent":             {[]script{silent, good}, 1, "", 2},
		"silent in the handshake":         {[]script{func(f *fake) { f.readSSLRequest(); f.write([]byte{'S'}); f.stall() }, good}, 1, "", 2},
		"silent, nobody, good":            {[]script{silent, nil, good}, 2, "", 2},
		"nobody, silent, good":            {[]script{nil, silent, good}, 2, "", 2},
		"all are silent":                  {[]script{silent, silent}, -1, StageTLS, 2},
		"silent, and nobody":              {[]script{silent, nil}, -1, StageDial, 1},
		"it offers no TLS":                {[]script{func(f *fake) { f.readSSLRequest(); f.write([]byte{'N'}); f.stall() }, good}, -1, StageTLS, 1},
		"it goes away":                    {[]script{func(f *fake) { f.readSSLRequest() }, good}, -1, StageTLS, 1},
		"it cannot connect now":           {[]script{func(f *fake) { f.began(); f.say('E', "SFATAL\x00VFATAL\x00C57P03\x00Mstarting\x00\x00") }, good}, -1, StageAuthenticate, 1},
		"it is silent after it was asked": {[]script{func(f *fake) { f.began(); f.stall() }, good}, -1, StageAuthenticate, 1},
	} {
		network++
		at := fmt.Sprintf("127.9.%d.", network) // of nobody else, so that ports are free at all of them
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id := newIdentity(t, fakeHost)
			var addresses []string
			var counts []func() int
			port := 0
			for i, play := range test.scripts {
				addresses = append(addresses, at+strconv.Itoa(i+1))
				if play != nil {
					var came func() int
					port, came = listen(t, id, addresses[i], port, play)
					counts = append(counts, came)
				}
			}
			cfg := Config{Host: fakeHost, Port: port, Database: "app", TLS: id.trust(), ConnectTimeout: patience, resolver: named(t, addresses...)}
			session, err := open(t, cfg)
			if test.reached >= 0 {
				if err != nil || session.Address != net.JoinHostPort(addresses[test.reached], strconv.Itoa(port)) || session.Host != fakeHost {
					t.Fatalf("%+v: %v", session, err)
				}
			} else if failure, ok := errors.AsType[*Error](err); !ok || failure.Stage != test.stage {
				t.Errorf("got %v, want an error at %s", err, test.stage)
			}
			tried := 0
			for _, came := range counts {
				tried += came()
			}
			if tried != test.tried {
				t.Errorf("%d were tried, want %d", tried, test.tried)
			}
		})
	}
}

// TestOpenElsewhereEnds: whoever waits no longer has no other address tried, and one that was named is the only one.
func TestOpenElsewhereEnds(t *testing.T) {
	id := newIdentity(t, fakeHost)
	port, first := listen(t, id, "127.9.0.1", 0, func(f *fake) { f.stall() })
	_, second := listen(t, id, "127.9.0.2", port, func(f *fake) { f.stall() })
	cfg := Config{Host: fakeHost, Port: port, Database: "app", TLS: id.trust(), ConnectTimeout: 10 * time.Second, resolver: named(t, "127.9.0.1", "127.9.0.2")}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, cfg, fakeUser, Password(fakePassword), nil); err == nil {
		t.Error("a silent server opens a session")
	}
	cfg.ConnectTimeout, cfg.Address = 200*time.Millisecond, net.JoinHostPort("127.9.0.1", strconv.Itoa(port))
	if _, err := open(t, cfg); err == nil {
		t.Error("a silent server opens a session")
	}
	if first() != 2 || second() != 0 {
		t.Errorf("the first was tried %d times, the second %d times", first(), second())
	}
}
