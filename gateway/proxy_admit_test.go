package gateway

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/gateway/audit"
)

// TestAdmitProxied: what comes behind a header is admitted or refused as ever.
func TestAdmitProxied(t *testing.T) {
	const client = "203.0.113.9:4711"
	header, nested := fromClient(client), fromClient("127.0.0.1:4711")
	start := startPacket(protocol30, hello("user", "ana", "database", "app"))
	ssl, gss := startPacket(codeSSL, nil), startPacket(codeGSS, nil)
	local := proxyHeader(commandLocal, 0, nil)
	tests := map[string]struct {
		plain  [][]byte
		secure []byte
		heard  string
		want   string // as in TestAdmit
		client string // "own": the connection's
	}{
		"TLS":                          {[][]byte{joined(header, ssl)}, start, "S", "", client},
		"GSS, then TLS":                {[][]byte{joined(header, gss), ssl}, start, "NS", "", client},
		"LOCAL, then TLS":              {[][]byte{joined(local, ssl)}, start, "S", "", "own"},
		"a cancel request":             {[][]byte{joined(header, startPacket(codeCancel, make([]byte, 8)))}, nil, "", "closed", client},
		"a cancel request within TLS":  {[][]byte{joined(header, ssl)}, startPacket(codeCancel, make([]byte, 8)), "S", "closed", client},
		"no TLS":                       {[][]byte{joined(header, start)}, nil, "E", "28000", client},
		"bytes behind the SSLRequest":  {[][]byte{joined(header, ssl, start)}, nil, "E", "08P01", client},
		"a byte behind the SSLRequest": {[][]byte{joined(header, ssl, []byte{0x16})}, nil, "E", "08P01", client},
		"a header twice":               {[][]byte{joined(header, header, ssl)}, nil, "", "closed", client},
		"headers of trusted proxies":   {[][]byte{joined(nested, header, ssl)}, nil, "", "closed", "127.0.0.1:4711"},
		"LOCAL, then a header":         {[][]byte{joined(local, header, ssl)}, nil, "", "closed", "own"},
		"a header behind SSLRequest":   {[][]byte{joined(header, ssl, header)}, nil, "E", "08P01", client},
		"a header after the S":         {[][]byte{joined(header, ssl), header}, nil, "S", "closed", client},
		"a header within TLS":          {[][]byte{joined(header, ssl)}, joined(header, start), "S", "closed", client},
		"version 1":                    {[][]byte{joined([]byte("PROXY TCP4 203.0.113.9 192.0.2.7 4711 5432\r\n"), ssl)}, nil, "", "closed", "own"},
		"UDP":                          {[][]byte{joined(proxyHeader(commandProxy, 0x12, addresses(client)), ssl)}, nil, "", "closed", "own"},
		"no header":                    {[][]byte{ssl}, nil, "", "closed", "own"},
		"no header and no TLS":         {[][]byte{start}, nil, "", "closed", "own"},
		"a cancel request, no header":  {[][]byte{startPacket(codeCancel, make([]byte, 8))}, nil, "", "closed", "own"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var heard strings.Builder
			s, a, err := admittingBehind(t, loopback(), saying(tt.plain, tt.secure, &heard))
			if got := outcomeOf(err); got != tt.want || heard.String() != tt.heard {
				t.Errorf("got %q (%v), heard %q; want %q, %q", got, err, heard.String(), tt.want, tt.heard)
			}
			if (a != nil) != (tt.want == "") {
				t.Errorf("admitted: %v", a)
			}
			if tt.client == "own" {
				tt.client = s.conn.RemoteAddr().String()
			}
			if got := s.client.String(); got != tt.client {
				t.Errorf("the client is %s, want %s", got, tt.client)
			}
			if host, _, _ := net.SplitHostPort(tt.client); a != nil && s.policySession(a).ClientAddress != host {
				t.Errorf("policy hears of %s, want %s", s.policySession(a).ClientAddress, host)
			}
		})
	}
}

// TestAdmitProxiedDirectTLS: the byte behind a header is the first of TLS; without one, it is wrong.
func TestAdmitProxiedDirectTLS(t *testing.T) {
	for name, tt := range map[string]struct {
		header   []byte
		admitted bool
	}{
		"a header":   {fromClient("[2001:db8::9]:4711"), true},
		"none":       {nil, false},
		"one, twice": {joined(fromClient("[2001:db8::9]:4711"), fromClient("[2001:db8::9]:4711")), false},
	} {
		t.Run(name, func(t *testing.T) {
			var answer []byte
			s, a, err := admittingBehind(t, loopback(), func(conn net.Conn, cfg *tls.Config) {
				_, _ = conn.Write(tt.header)
				cfg.NextProtos = []string{"postgresql"}
				heard := &hearing{Conn: conn}
				secure := tls.Client(heard, cfg)
				_, _ = secure.Write(startPacket(protocol30, hello("user", "ana", "database", "app")))
				_, _ = io.Copy(io.Discard, secure)
				answer = heard.all
				_ = conn.Close()
			})
			if (a != nil) != tt.admitted || (len(answer) > 0) != tt.admitted {
				t.Errorf("admitted: %t (%v), answered with %q", a != nil, err, answer)
			}
			if got := s.client.String(); tt.admitted && got != "[2001:db8::9]:4711" {
				t.Errorf("the client is %s", got)
			}
		})
	}
}

// hearing keeps what came.
type hearing struct {
	net.Conn
	all []byte
}

func (h *hearing) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.all = append(h.all, b[:n]...)
	return n, err
}

// TestProxyHeaderFromStrangers: to everybody else a header is a packet of an impossible length.
func TestProxyHeaderFromStrangers(t *testing.T) {
	ssl := startPacket(codeSSL, nil)
	for name, proxies := range map[string][]netip.Prefix{
		"nobody is trusted": nil,
		"another is":        {netip.MustParsePrefix("203.0.113.9/32"), netip.MustParsePrefix("::/1"), netip.MustParsePrefix("127.0.0.2/32")},
	} {
		for kind, header := range map[string][]byte{
			"PROXY": fromClient("203.0.113.9:4711"), "LOCAL": proxyHeader(commandLocal, 0, nil), "version 1": []byte("PROXY UNKNOWN\r\n"),
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				var heard strings.Builder
				s, a, err := admittingBehind(t, proxies, saying([][]byte{joined(header, ssl)}, nil, &heard))
				if !errors.Is(err, errPacketLength) || a != nil || heard.Len() != 0 {
					t.Errorf("admitted %v, ended by %v, heard %q", a, err, heard.String())
				}
				if s.client != s.conn.RemoteAddr() {
					t.Errorf("the client is %s", s.client)
				}
			})
		}
	}
}

// comingFrom is a connection that comes from an address.
type comingFrom struct {
	net.Conn
	address net.Addr
}

func (c comingFrom) RemoteAddr() net.Addr { return c.address }

// TestProxyHeaderHasADeadline: however slowly it comes, and whatever a proxy says first, admission takes as long as it may and no longer.
func TestProxyHeaderHasADeadline(t *testing.T) {
	header := fromClient("203.0.113.9:4711")
	for name, sent := range map[string][]byte{
		"a byte a second": header, "silence": nil, "half a header": header[:7], "a header and silence": header[:28:28], "half a body": header[:25],
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				proxy := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}
				s := newSession(&Server{}, &Config{Proxies: loopback(), Logger: slog.New(slog.DiscardHandler)}, comingFrom{far, proxy})
				wrote := make(chan struct{})
				go func() {
					defer close(wrote)
					for _, b := range sent {
						if _, err := near.Write([]byte{b}); err == nil && name == "a byte a second" {
							time.Sleep(time.Second)
						}
					}
				}()
				began := time.Now()
				err := s.phase(t.Context(), defaultAdmission, func(ctx context.Context) error { _, err := s.admit(ctx); return err })
				checkReason(t, err, ReasonDeadline)
				if took := time.Since(began); took != defaultAdmission {
					t.Errorf("ended after %v", took)
				}
				_, _ = near.Close(), far.Close()
				<-wrote
			})
		})
	}
}

// proxiedServer serves clients behind proxies on this machine. What it records is in the file that is returned.
func proxiedServer(t *testing.T, change func(*Config)) (s *serving, recorded string) {
	t.Helper()
	cfg := serverConfig(t)
	recorded = filepath.Join(t.TempDir(), "audit.log")
	log, err := audit.Open(audit.Config{Path: recorded})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	cfg.Audit, cfg.Proxies = log, loopback()
	if change != nil {
		change(&cfg)
	}
	return serve(t, cfg), recorded
}

// behind dials as a proxy does for a client.
func (s *serving) behind(client string) net.Conn {
	s.t.Helper()
	conn := s.dial()
	_, _ = conn.Write(fromClient(client))
	return conn
}

// login tries a password from an address, and returns the SQLSTATE.
func (s *serving) login(client, user string) string {
	s.t.Helper()
	config, err := pgconn.ParseConfig("postgres://" + s.address + "/app?sslmode=require")
	if err != nil {
		s.t.Fatal(err)
	}
	config.User, config.Password = user, "wrong"
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) { return s.behind(client), nil }
	_, err = pgconn.ConnectConfig(s.t.Context(), config)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		s.t.Fatalf("got %v, want an ErrorResponse", err)
	}
	return refused.Code
}

// recordedAs lists the client addresses of the events of a kind.
func recordedAs(t *testing.T, path, kind string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		var e struct {
			Type   string
			Client string `json:"client_address"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if e.Type == kind {
			list = append(list, e.Client)
		}
	}
	return list
}

// TestProxiedClientsAreThemselves: the throttle and the audit log know each by its own address, and nobody by the proxy's.
func TestProxiedClientsAreThemselves(t *testing.T) {
	throttler := strict(t)
	s, recorded := proxiedServer(t, func(c *Config) { c.Throttle = throttler })
	for _, client := range []string{"203.0.113.9:4711", "203.0.113.10:4711", "[2001:db8::9]:4711"} {
		if got := s.login(client, "nobody of "+client); got != "28P01" {
			t.Errorf("%s hears %s, want 28P01", client, got)
		}
	}
	s.server.Close() // all has been counted
	for client, waits := range map[string]bool{"203.0.113.9": true, "2001:db8::9": false, "198.51.100.1": false, "127.0.0.1": false} {
		if delay, ok := throttler.Wait(netip.MustParseAddr(client), "ana"); !ok || (delay > 0) != waits {
			t.Errorf("the next login from %s waits %v, %v", client, delay, ok)
		}
	}
	if got, want := recordedAs(t, recorded, "session_start"), []string{"203.0.113.9", "203.0.113.10", "2001:db8::9"}; !slices.Equal(got, want) {
		t.Errorf("recorded are %q, want %q", got, want)
	}
}

// TestProxiedCancel: the event names who sent the request.
func TestProxiedCancel(t *testing.T) {
	s, recorded := proxiedServer(t, nil)
	target := &session{id: "s", config: s.server.config(), logger: slog.New(slog.DiscardHandler)}
	key := s.server.keys.issue(target, protocol32)
	conn := s.behind("203.0.113.9:4711")
	_, _ = conn.Write(startPacket(codeCancel, cancelBody(key.pid, key.secret)))
	if !hangsUp(conn) {
		t.Error("a cancel request is answered")
	}
	if got := recordedAs(t, recorded, "cancel"); !slices.Equal(got, []string{"203.0.113.9"}) {
		t.Errorf("recorded are %q", got)
	}
}

// TestProxyHeaderRefusalsAreCounted: in the metrics, and in the log at level debug, which repeats nothing of what was sent.
func TestProxyHeaderRefusalsAreCounted(t *testing.T) {
	var logged strings.Builder
	s, recorded := proxiedServer(t, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	for _, b := range []string{
		"hunter2", "PROXY hunter2\r\n", proxySignature + "hunter2", string(proxyHeader(commandProxy, familyTCP4, []byte("hunter2"))),
	} {
		conn := s.dial()
		_, _ = conn.Write([]byte(b))
		_ = conn.(*net.TCPConn).CloseWrite()
		if !hangsUp(conn) {
			t.Errorf("%q is answered", b)
		}
	}
	looking := s.dial()
	_ = looking.(*net.TCPConn).CloseWrite()
	if !hangsUp(looking) {
		t.Error("who says nothing is answered")
	}
	s.server.Close()
	answer := httptest.NewRecorder()
	s.server.config().Metrics.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, want := range []string{`{reason="proxy_header"} 4`, `{reason="client_gone"} 1`, `{reason="protocol"} 0`} {
		if !strings.Contains(answer.Body.String(), "sallyport_admission_failures_total"+want) {
			t.Errorf("the metrics do not say %s", want)
		}
	}
	if got := strings.Count(logged.String(), "level=DEBUG msg=\"session ended\""); got != 5 || strings.Contains(logged.String(), "hunter2") || strings.Contains(logged.String(), "QUIT") {
		t.Errorf("%d ends are logged:\n%s", got, logged.String())
	}
	if got := recordedAs(t, recorded, "session_start"); got != nil {
		t.Errorf("recorded are %q", got)
	}
}

// TestProxyHeaderIsAwaitedAsAStranger: who has not sent its header yet is one of those that make room for others.
func TestProxyHeaderIsAwaitedAsAStranger(t *testing.T) {
	s, _ := proxiedServer(t, func(c *Config) { c.Limits.PreAuthentication = 1 })
	slow := s.dial()
	_, _ = slow.Write([]byte(proxySignature))
	if got := s.login("203.0.113.9:4711", "ana"); got != "28P01" {
		t.Errorf("a newcomer hears %s", got)
	}
	if !hangsUp(slow) {
		t.Error("who has taken longest does not make room")
	}
}

// TestProxiesAreReloaded: clients that come from then on are treated by the new list, those that are there by the one they came under.
func TestProxiesAreReloaded(t *testing.T) {
	s, _ := proxiedServer(t, nil)
	trusting := *s.server.config()
	waiting := s.dial()
	_, _ = waiting.Write([]byte(proxySignature[:5]))
	_ = s.login("203.0.113.9:4711", "ana") // they are accepted one after the other
	distrusting := trusting
	distrusting.Proxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}
	if err := s.server.Reload(distrusting); err != nil {
		t.Fatal(err)
	}
	if conn := s.behind("203.0.113.9:4711"); !hangsUp(conn) {
		t.Error("the header of who is trusted no more is taken")
	}
	_ = s.hello() // needs no header
	_, _ = waiting.Write(joined(fromClient("203.0.113.9:4711")[5:], startPacket(codeSSL, nil)))
	var answer [1]byte
	if _, err := io.ReadFull(waiting, answer[:]); err != nil || answer[0] != 'S' {
		t.Errorf("who came before is answered with %q, %v", answer, err)
	}
	if err := s.server.Reload(trusting); err != nil {
		t.Fatal(err)
	}
	if got := s.login("203.0.113.9:4711", "ana"); got != "28P01" {
		t.Errorf("who is trusted again hears %s", got)
	}
}
