package gateway

import (
	"net"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// from is a session of a client at this address.
func from(address string) *session {
	return &session{client: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 1000))}
}

func TestWaitingMakesRoom(t *testing.T) {
	tests := map[string]struct {
		waiting []string // as they came
		gone    []int    // no longer there
		want    int
	}{
		"one":                                {[]string{"192.0.2.1"}, nil, 0},
		"all of other networks":              {[]string{"192.0.2.1", "198.51.100.1", "203.0.113.1"}, nil, 0},
		"a network of two":                   {[]string{"192.0.2.1", "198.51.100.1", "198.51.100.1"}, nil, 1},
		"two addresses of a network":         {[]string{"192.0.2.1", "198.51.100.1", "198.51.100.200"}, nil, 1},
		"not those that have gone":           {[]string{"192.0.2.1", "198.51.100.1", "198.51.100.1"}, []int{1}, 0},
		"the first of a network has gone":    {[]string{"192.0.2.1", "198.51.100.1", "198.51.100.1", "198.51.100.1"}, []int{1}, 2},
		"two networks of two":                {[]string{"192.0.2.1", "198.51.100.1", "198.51.100.1", "192.0.2.1"}, nil, 0},
		"IPv6 customers":                     {[]string{"2001:db8::1", "2001:db8:0:100::1", "2001:db8:0:1ff::1"}, nil, 1},
		"IPv4 in IPv6 clothes":               {[]string{"192.0.2.1", "198.51.100.1", "::ffff:198.51.100.2"}, nil, 1},
		"nobody who came late for a flood's": {[]string{"198.51.100.1", "198.51.100.1", "192.0.2.1", "198.51.100.1", "198.51.100.1"}, []int{0, 1}, 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var w waiting
			var sessions []*session
			for _, address := range tt.waiting {
				sessions = append(sessions, from(address))
				w.add(sessions[len(sessions)-1])
			}
			for _, i := range tt.gone {
				w.remove(sessions[i])
				w.remove(sessions[i]) // once is enough
			}
			if got := w.longest(); got != sessions[tt.want] {
				t.Errorf("another than %s is to go", tt.waiting[tt.want])
			}
			for _, s := range sessions {
				w.remove(s)
			}
			if w.longest() != nil || w.Len() != 0 || len(w.networks) != 0 {
				t.Errorf("%d are left, %d networks", w.Len(), len(w.networks))
			}
		})
	}
}

// TestWaitingKnowsWhoIsBehindAProxy: whoever comes through one is counted by the network it comes from itself.
func TestWaitingKnowsWhoIsBehindAProxy(t *testing.T) {
	var w waiting
	behind := []*session{from("10.0.0.1"), from("10.0.0.1"), from("10.0.0.1")}
	for i, client := range []string{"192.0.2.1", "198.51.100.1", "198.51.100.2"} {
		w.add(behind[i])
		behind[i].client = from(client).client
		w.recount(behind[i])
	}
	if w.longest() != behind[1] {
		t.Error("another than the first of two from a network is to go")
	}
	for _, s := range behind {
		w.remove(s)
		w.recount(s) // it is no longer there
	}
	if len(w.networks) != 0 {
		t.Errorf("left: %v", w.networks)
	}
}

// TestServerKeepsOneNetworkFromPushingOutOthers: who comes slowly from elsewhere is still there after a flood.
func TestServerKeepsOneNetworkFromPushingOutOthers(t *testing.T) {
	cfg := serverConfig(t)
	cfg.Limits.PreAuthentication = 4
	s := serve(t, cfg)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, 0, 1)}}
	far, err := dialer.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	conn := s.helloOver(far)
	client := pgproto3.NewFrontend(conn, conn)
	if m, err := client.Receive(); err != nil {
		t.Fatalf("got %v, %v", m, err)
	}
	for range 20 {
		flood := s.hello()
		if m, err := pgproto3.NewFrontend(flood, flood).Receive(); err != nil {
			t.Fatalf("got %v, %v", m, err)
		}
	}
	if _, err := conn.Write(initialResponse("SCRAM-SHA-256", 9, "n,,n=,r=a")); err != nil {
		t.Fatal(err)
	}
	m, err := client.Receive()
	if _, ok := m.(*pgproto3.AuthenticationSASLContinue); !ok {
		t.Errorf("got %#v, %v", m, err)
	}
}

// TestServerRecordsWhoMadeRoom: once, and for what it was.
func TestServerRecordsWhoMadeRoom(t *testing.T) {
	around := newSurroundings(t)
	around.config.Limits.PreAuthentication = 1
	g := around.start(t, byPassword()...)
	first := around.connect(g)
	first.begin("user", knownUser, "database", "app")
	first.demand()
	second := around.connect(g)
	second.begin("user", "eve", "database", "app")
	second.demand()
	first.leave()
	g.server.Close()
	trail, _ := around.trail(t)
	end := regexp.MustCompile(`"type":"session_end","session":"\w+","claimed_user":"ana".*"reason":"evicted","duration_us"`)
	if len(end.FindAllString(trail, -1)) != 1 {
		t.Errorf("audit log:\n%s", trail)
	}
	counted := around.counted(t)
	if !strings.Contains(counted, `admission_failures_total{reason="evicted"} 1`) || strings.Count(counted, "admission_failures_total") != 2 {
		t.Errorf("counted:\n%s", counted)
	}
}

// TestServerEndsTheWaitOfWhoMadeRoom: a login that the throttle holds up must not be held beyond the places there are.
func TestServerEndsTheWaitOfWhoMadeRoom(t *testing.T) {
	cfg := serverConfig(t)
	cfg.Limits.PreAuthentication, cfg.Timeouts.Authentication, cfg.Throttle = 1, time.Hour, strict(t)
	for range 2 {
		cfg.Throttle.Failed(netip.MustParseAddr("192.0.2.1"), "ana") // she waits half an hour now
	}
	s := serve(t, cfg)
	s.hello()
	until(t, "the first one waits", func() bool { return counts(cfg, `logins_throttled_total{result="delayed"} 1`) })
	s.dial()
	until(t, "the first one has gone", func() bool { return counts(cfg, `admission_failures_total{reason="evicted"} 1`) })
}

// counts tells whether the metrics have this line.
func counts(cfg Config, line string) bool {
	w := httptest.NewRecorder()
	cfg.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return strings.Contains(w.Body.String(), "\nsallyport_"+line+"\n")
}
