package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/e2e/stack"
)

// The gateways here trust this address; who dials as usual has another one.
const trustedProxy = "127.0.0.2"

// dialFrom dials a gateway from one of this machine's loopback addresses.
func dialFrom(g *stack.Gateway, address string) (*net.TCPConn, error) {
	from := net.TCPAddr{IP: net.ParseIP(address)}
	return net.DialTCP("tcp", &from, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: g.Port})
}

// proxyHeader is the header of version 2 for a client.
func proxyHeader(client string) []byte {
	from := netip.MustParseAddrPort(client)
	to, family := netip.MustParseAddr("192.0.2.7"), byte(0x11)
	if from.Addr().Is6() {
		to, family = netip.MustParseAddr("2001:db8::7"), 0x21
	}
	body := append(from.Addr().AsSlice(), to.AsSlice()...)
	body = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(body, from.Port()), 5432)
	head := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x21, family)
	return append(binary.BigEndian.AppendUint16(head, uint16(len(body))), body...)
}

// balancer passes on to a gateway what comes, from an address of its own and behind a header that names a client.
func balancer(t *testing.T, g *stack.Gateway, address, client string) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	working.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			working.Go(func() { passOn(conn, g, address, client) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		working.Wait()
	})
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// passOn ends when both sides have.
func passOn(near net.Conn, g *stack.Gateway, address, client string) {
	defer func() { _ = near.Close() }()
	far, err := dialFrom(g, address)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	if _, err := far.Write(proxyHeader(client)); err != nil {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(near, far)
		_ = near.Close()
	})
	_, _ = io.Copy(far, near)
	_ = far.CloseWrite()
	answers.Wait()
}

// proxied is a gateway behind a balancer, and a login as the service through it.
func proxied(t *testing.T, sources ...string) (*stack.Gateway, func(client string) login) {
	t.Helper()
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.ProxyProtocol.Trusted = []string{trustedProxy}
		c.Authentication.Rules[0].Sources = sources // of the service
	})
	return g, func(client string) login {
		return login{gateway: g, account: stack.Service, options: map[string]string{"port": balancer(t, g, trustedProxy, client)}}
	}
}

// TestProxyProtocol: rules, the list of sessions and every line of the audit log go by the address in the header.
func TestProxyProtocol(t *testing.T) {
	g, through := proxied(t, "203.0.113.0/24", "2001:db8::/32")
	for client, address := range map[string]string{
		"203.0.113.9:4711": "203.0.113.9", "[2001:db8::9]:4711": "2001:db8::9", "[::ffff:203.0.113.10]:4711": "203.0.113.10",
	} {
		t.Run(client, func(t *testing.T) {
			conn := through(client).connect(t)
			execute(t, conn, "SELECT 'through'")
			list := sessions(t, g).Sessions
			if len(list) != 1 || list[0].Client != address {
				t.Errorf("the sessions are %+v, want one from %s", list, address)
			}
			statement := "SELECT count(*) FROM orders a, orders b, orders c"
			ran := make(chan error, 1)
			go func() {
				_, err := conn.Exec(t.Context(), statement)
				ran <- err
			}()
			runs(t, statement)
			if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
				t.Error(err)
			}
			if got := sqlstate(t, <-ran); got != "57014" {
				t.Errorf("SQLSTATE %q, want 57014", got)
			}
			_ = conn.Close(t.Context())
			seen := map[string]bool{}
			for _, e := range ended(t, g, t.Name()) {
				if e.Client != "" {
					seen[e.Type] = true
				}
				if e.Client != "" && e.Client != address {
					t.Errorf("%s from %s, want %s", e.Type, e.Client, address)
				}
			}
			if !seen["session_start"] || !seen["statement"] || !seen["cancel"] {
				t.Errorf("only %v have the client's address", seen)
			}
		})
	}
	for name, l := range map[string]login{
		"another network": through("198.51.100.9:4711"), "a loopback address": through("127.0.0.1:4711"), "not through the proxy": {gateway: g, account: stack.Service},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := l.open(t); sqlstate(t, err) != "28P01" {
				t.Errorf("got %v, want 28P01", err)
			}
		})
	}
}

// TestProxyProtocolRefused: who must send a header and does not is not answered, nor is who must not and does.
func TestProxyProtocolRefused(t *testing.T) {
	g, _ := proxied(t)
	ssl := []byte{0, 0, 0, 8, 4, 210, 22, 47}
	header := proxyHeader("203.0.113.9:4711")
	for name, test := range map[string]struct {
		from string
		sent []byte
	}{
		"trusted, no header":             {trustedProxy, ssl},
		"trusted, no header, no TLS":     {trustedProxy, startup("user", stack.Service, "database", stack.App)},
		"trusted, no header, direct TLS": {trustedProxy, []byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}},
		"trusted, version 1":             {trustedProxy, append([]byte("PROXY TCP4 203.0.113.9 192.0.2.7 4711 5432\r\n"), ssl...)},
		"trusted, two headers":           {trustedProxy, slices.Concat(header, header, ssl)},
		"not trusted, a header":          {"127.0.0.1", slices.Concat(header, ssl)},
		"a neighbour, a header":          {"127.0.0.3", slices.Concat(header, ssl)},
	} {
		t.Run(name, func(t *testing.T) {
			if answer := answerTo(t, g, test.from, test.sent); answer != "" {
				t.Errorf("answered with %q", answer)
			}
		})
	}
	value(t, login{gateway: g, account: stack.Service}.connect(t), "SELECT 'needs no header'")
	eventually(t, 10*time.Second, func() error { // they are counted behind the close
		if got := counted(t, g, `sallyport_admission_failures_total{reason="proxy_header"}`); got != 4 {
			return fmt.Errorf("%d headers are counted as wrong, want 4", got)
		}
		return nil
	})
}

// answerTo is what a gateway says to some bytes until it closes.
func answerTo(t *testing.T, g *stack.Gateway, from string, sent []byte) string {
	t.Helper()
	conn, err := dialFrom(g, from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil { // admission would take 15
		t.Fatal(err)
	}
	_, _ = conn.Write(sent)
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is kept")
	}
	return string(answer)
}

// counted is the value of a counter.
func counted(t *testing.T, g *stack.Gateway, series string) int {
	t.Helper()
	_, body := ask(t, g, http.MethodGet, "/metrics", "")
	match := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\d+)$`).FindStringSubmatch(body)
	if match == nil {
		t.Fatalf("there is no %s", series)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestProxyProtocolThrottle: who guesses slows down the network in the header, not those who come by the same proxy.
func TestProxyProtocolThrottle(t *testing.T) {
	const delayed, free = `sallyport_logins_throttled_total{result="delayed"}`, 20
	g, through := proxied(t)
	guess := through("203.0.113.9:4711")
	guesses := 0
	for ; counted(t, g, delayed) == 0 && guesses < 2*free; guesses++ {
		guess.account, guess.password = fmt.Sprintf("stranger-%d", guesses), "wrong"
		if _, err := guess.open(t); sqlstate(t, err) != "28P01" {
			t.Fatalf("got %v, want 28P01", err)
		}
	}
	if guesses <= free || guesses == 2*free {
		t.Fatalf("%d guesses were needed to be delayed, want some more than %d", guesses, free)
	}
	before := counted(t, g, delayed)
	through("198.51.100.9:4711").connect(t)
	login{gateway: g, account: stack.Service}.connect(t)
	if got := counted(t, g, delayed); got != before {
		t.Errorf("%d logins from elsewhere are delayed", got-before)
	}
	through("203.0.113.200:4711").connect(t)
	if got := counted(t, g, delayed); got != before+1 {
		t.Errorf("%d logins from the network of the guesser are delayed, want 1", got-before)
	}
}

// TestProxyProtocolReload: SIGHUP changes who is trusted, for those who come then.
func TestProxyProtocolReload(t *testing.T) {
	const next = "127.0.0.3"
	g, through := proxied(t, "203.0.113.0/24", "127.0.0.0/8")
	running := through("203.0.113.9:4711").connect(t)
	old := through("203.0.113.9:4711")
	fresh := old
	fresh.options = map[string]string{"port": balancer(t, g, next, "203.0.113.9:4711")}
	if _, err := fresh.open(t); err == nil {
		t.Error("a header is taken before its sender is trusted")
	}
	config, err := os.ReadFile(g.Config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, g.Config, strings.Replace(string(config), trustedProxy, next, 1))
	if err := g.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		conn, err := fresh.open(t)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
	if _, err := old.open(t); err == nil {
		t.Error("a header is taken from who is trusted no more")
	}
	if got := answerTo(t, g, trustedProxy, append([]byte{0, 0, 0, 8, 4, 210, 22, 47}, 'x')); got == "" {
		t.Error("who is trusted no more still needs a header")
	}
	value(t, running, "SELECT 'unharmed'")
}
