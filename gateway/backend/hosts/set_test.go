package hosts

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
)

// gone is a server that cannot be reached any more.
func (f *fakeServer) gone() *fakeServer {
	_ = f.listener.Close()
	return f
}

// wantAt wants sessions to be opened at a server.
func wantAt(t *testing.T, s *Set, want int, o Opening) {
	t.Helper()
	if got, err := at(t, s, o); got != want {
		t.Errorf("opened at %d, want %d: %v", got, want, err)
	}
}

// nobody waits until a server has no session left.
func (f *fakeServer) nobody(t *testing.T) {
	t.Helper()
	for range 200 {
		if _, open := f.counts(); open == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a session that nobody wants is open")
}

func TestTriesOneAfterAnother(t *testing.T) {
	w := newWorld(t)
	for name, first := range map[string]manner{
		"unreachable": {}, "starting": {refuse: "57P03"}, "full": {refuse: "53300"}, "a standby": {standby: true},
	} {
		t.Run(name, func(t *testing.T) {
			other, good := w.host(t, first), w.host(t, manner{})
			if name == "unreachable" {
				other.gone()
			}
			wantAt(t, set(t, Primary, other, good), 1, Opening{})
			other.nobody(t)
		})
	}
}

// TestEachHostHasItsTime: one that does not answer costs its own time, and no more.
func TestEachHostHasItsTime(t *testing.T) {
	w := newWorld(t)
	silent, good := w.host(t, manner{silent: true}), w.host(t, manner{})
	silent.config.ConnectTimeout = 100 * time.Millisecond
	s := set(t, Any, silent, good)
	wantAt(t, s, 1, Opening{})
	wantAt(t, s, 1, Opening{})
	if logins, _ := silent.counts(); logins != 1 {
		t.Errorf("it was tried %d times", logins)
	}
}

func TestSaysOfEachHostWhy(t *testing.T) {
	w := newWorld(t)
	s := set(t, Primary, w.host(t, manner{standby: true}), w.host(t, manner{refuse: "53300"}), w.host(t, manner{}).gone())
	_, err := at(t, s, Opening{})
	if err == nil {
		t.Fatal("there is no primary")
	}
	for i, want := range []string{"it is a standby", "53300", "connection refused"} {
		if said := s.Names()[i] + ": "; !strings.Contains(err.Error(), said) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q of %s", err, want, said)
		}
	}
	var most *backend.Error
	if !errors.As(err, &most) || !most.Unavailable() {
		t.Errorf("it may be otherwise the next time: %v", most)
	}
}

// TestAuthenticationEnds: as libpq has it, who is refused by one host is not tried at the next, unless the role is so new that a standby may
// not have it.
func TestAuthenticationEnds(t *testing.T) {
	w := newWorld(t)
	for _, fresh := range []bool{false, true} {
		strict, other := w.host(t, manner{refuse: "28P01"}), w.host(t, manner{})
		got, err := at(t, set(t, Primary, strict, other), Opening{Fresh: fresh})
		var refused *backend.Error
		switch {
		case fresh && got != 1:
			t.Errorf("fresh: %v", err)
		case !fresh && (!errors.As(err, &refused) || refused.SQLSTATE != "28P01" || refused.Unavailable()):
			t.Errorf("got %d, %v", got, err)
		}
		if tried, _ := strict.counts(); tried != 1 {
			t.Errorf("fresh: %v: asked %d times for a primary's session", fresh, tried)
		}
	}
}

// TestAnswersOfAClientAreUsedOnce: no second host is given the proof that a first has had.
func TestAnswersOfAClientAreUsedOnce(t *testing.T) {
	w := newWorld(t)
	standby, primary := w.host(t, manner{standby: true}), w.host(t, manner{})
	for _, f := range []*fakeServer{standby, primary} {
		f.config.Authentication = backend.MethodMD5
	}
	proof := backend.RelayedMD5{Answer: func(backend.Salt) ([]byte, error) { return nil, errors.New("the client went away") }}
	s := set(t, Primary, standby, primary)
	if _, err := at(t, s, Opening{Credential: proof}); err == nil {
		t.Error("opened") // the fake asks for no proof, which is no answer to MD5
	}
	if logins, _ := primary.counts(); logins != 0 {
		t.Error("a second host was tried")
	}
	dead := w.host(t, manner{}).gone() // it has had no proof
	dead.config.Authentication = backend.MethodMD5
	_, _ = at(t, set(t, Any, dead, primary), Opening{Credential: proof})
	if logins, _ := primary.counts(); logins != 1 {
		t.Error("a host that is down ends the search")
	}
}

// TestClientsDoNotFailHosts: a client that goes away, or takes longer than its host has, while it is asked for its proof, says nothing of the host.
func TestClientsDoNotFailHosts(t *testing.T) {
	w := newWorld(t)
	for name, answer := range map[string]func(backend.Salt) ([]byte, error){
		"goes away": func(backend.Salt) ([]byte, error) { return nil, errors.New("the client went away") },
		"too late":  func(backend.Salt) ([]byte, error) { time.Sleep(400 * time.Millisecond); return []byte("md5"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			f := w.host(t, manner{md5: true})
			f.config.Authentication, f.config.ConnectTimeout = backend.MethodMD5, 300*time.Millisecond
			s := set(t, Any, f)
			if _, err := at(t, s, Opening{Credential: backend.RelayedMD5{Answer: answer}}); err == nil {
				t.Fatal("opened")
			}
			if status := s.cfg.Servers.Status(); len(status) != 1 || status[0].Failing || status[0].Failed != 0 {
				t.Errorf("%+v", status)
			}
			f.become(manner{refuse: "57P01"})
			if _, err := at(t, s, Opening{Credential: backend.RelayedMD5{Answer: answer}}); err == nil {
				t.Fatal("opened")
			}
			if status := s.cfg.Servers.Status(); !status[0].Failing {
				t.Errorf("a host that shuts down: %+v", status)
			}
		})
	}
}

// TestPreferStandby: a standby if there is one; if not, the session at another host is kept, and not opened twice.
func TestPreferStandby(t *testing.T) {
	w := newWorld(t)
	primary, standby := w.host(t, manner{}), w.host(t, manner{standby: true})
	wantAt(t, set(t, PreferStandby, primary, standby), 1, Opening{})
	primary.nobody(t)
	lonely, dead := w.host(t, manner{}), w.host(t, manner{}).gone()
	wantAt(t, set(t, PreferStandby, dead, lonely), 1, Opening{})
	if logins, _ := lonely.counts(); logins != 1 {
		t.Errorf("%d sessions were opened for one", logins)
	}
	wantAt(t, set(t, PreferPrimary, standby, primary), 1, Opening{})
	wantAt(t, set(t, PreferPrimary, standby, dead), 0, Opening{})
}

// TestLag: a standby that does not know a new role yet is asked again, a while, and then another host is.
func TestLag(t *testing.T) {
	w := newWorld(t)
	standby, primary := w.host(t, manner{}), w.host(t, manner{})
	late := func(logins int) {
		standby.mu.Lock()
		defer standby.mu.Unlock()
		standby.manner = func(login int) manner {
			m := manner{standby: true}
			if login <= logins {
				m.refuse = "28P01"
			}
			return m
		}
		standby.logins = 0
	}
	late(2)
	wantAt(t, set(t, PreferStandby, standby, primary), 0, Opening{Fresh: true})
	if logins, _ := standby.counts(); logins != 3 {
		t.Errorf("it was asked %d times", logins)
	}
	late(1000)
	s := set(t, PreferStandby, standby, primary)
	wantAt(t, s, 1, Opening{Fresh: true})
	if logins, _ := standby.counts(); logins != 1+lagTries {
		t.Errorf("it was asked %d times", logins)
	}
	if status := s.cfg.Servers.Status(); status[0].Failing || status[1].Failing {
		t.Error("a standby that is behind counts as failing")
	}
	late(1000)
	if got, _ := at(t, set(t, Standby, standby, primary), Opening{}); got != -1 {
		t.Error("opened")
	}
	if logins, _ := standby.counts(); logins != 1 {
		t.Errorf("with a role that is not new it was asked %d times", logins)
	}
	late(1000)
	ctx, cancel := context.WithTimeout(t.Context(), firstLag/2)
	defer cancel()
	if _, err := set(t, Standby, standby).Open(ctx, Opening{User: "u", Credential: backend.Password(""), Fresh: true}); err == nil {
		t.Error("opened")
	}
	if logins, _ := standby.counts(); logins != 1 {
		t.Errorf("who has no time waits for it: %d", logins)
	}
}

// clocked gives a Set a clock that tests move.
func clocked(s *Set) (move func(time.Duration)) {
	now := time.Now()
	s.now = func() time.Time { return now }
	return func(d time.Duration) { now = now.Add(d) }
}

// TestFailingHostsComeLast: a host that fails is not tried before others for a while, which grows; then by one at a time.
func TestFailingHostsComeLast(t *testing.T) {
	w := newWorld(t)
	bad, good := w.host(t, manner{refuse: "57P03"}), w.host(t, manner{})
	s := set(t, Any, bad, good)
	move := clocked(s)
	tried := func() int { n, _ := bad.counts(); return n }
	wantAt(t, s, 1, Opening{})
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		before := tried()
		move(pause*time.Second - time.Millisecond)
		wantAt(t, s, 1, Opening{})
		if tried() != before {
			t.Fatalf("tried within %d s", pause)
		}
		move(time.Millisecond)
		wantAt(t, s, 1, Opening{})
		if tried() != before+1 {
			t.Fatalf("not tried after %d s", pause)
		}
	}
	bad.become(manner{})
	move(lastBreak)
	wantAt(t, s, 0, Opening{})
	wantAt(t, s, 0, Opening{})
	if s.cfg.Servers.Status()[0].Failing || s.cfg.Servers.Status()[1].Failing {
		t.Error("a host that answers is failing")
	}
}

// TestOneFindsOut: while somebody tries a host that has failed, nobody else waits for it.
func TestOneFindsOut(t *testing.T) {
	w := newWorld(t)
	bad, good := w.host(t, manner{refuse: "57P03"}), w.host(t, manner{})
	s := set(t, Any, bad, good)
	move := clocked(s)
	wantAt(t, s, 1, Opening{})
	bad.become(manner{silent: true})
	move(firstBreak)
	ctx, cancel := context.WithCancel(t.Context())
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := s.Open(ctx, Opening{User: "u", Credential: backend.Password("")}); err == nil {
			t.Error("opened")
		}
	})
	for {
		if logins, _ := bad.counts(); logins == 2 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	wantAt(t, s, 1, Opening{})
	if logins, _ := bad.counts(); logins != 2 {
		t.Errorf("it was tried %d times", logins)
	}
	cancel()
	first.Wait()
	bad.become(manner{})
	wantAt(t, s, 0, Opening{}) // who went away while it tried has found out nothing, and leaves it to the next
}

// TestAllHostsFail: nobody is refused for what is remembered.
func TestAllHostsFail(t *testing.T) {
	w := newWorld(t)
	a, b := w.host(t, manner{refuse: "57P03"}), w.host(t, manner{refuse: "57P03"})
	s := set(t, Any, a, b)
	clocked(s)
	wantAt(t, s, -1, Opening{})
	b.become(manner{})
	wantAt(t, s, 1, Opening{})
}

// TestFailover: the primary dies, a standby is promoted, and who comes next finds it; when the old one is back as a standby, it is one.
func TestFailover(t *testing.T) {
	w := newWorld(t)
	a, b := w.host(t, manner{}), w.host(t, manner{standby: true})
	s := set(t, Primary, a, b)
	move := clocked(s)
	wantAt(t, s, 0, Opening{})
	a.become(manner{refuse: "57P03"})
	wantAt(t, s, -1, Opening{})
	b.become(manner{})
	wantAt(t, s, 1, Opening{})
	if !s.KnowsPrimary() {
		t.Error("nobody knows that there is a primary")
	}
	a.become(manner{standby: true})
	for range 10 {
		move(10 * time.Second)
		wantAt(t, s, 1, Opening{})
	}
}

// TestStandbysShare: sessions are spread by chance over the standbys, the primary has none, and what a dead one would have had goes to all.
func TestStandbysShare(t *testing.T) {
	w := newWorld(t)
	servers := []*fakeServer{w.host(t, manner{}), w.host(t, manner{standby: true}), w.host(t, manner{standby: true}), w.host(t, manner{standby: true})}
	s := set(t, Standby, servers...)
	s.cfg.LoadBalance = true
	const sessions = 90
	spread := func() (got [4]int) {
		for range sessions {
			i, err := at(t, s, Opening{})
			if err != nil {
				t.Fatal(err)
			}
			got[i]++
		}
		return got
	}
	if got := spread(); got[0] != 0 || min(got[1], got[2], got[3]) < sessions/9 { // 30 each; by chance under 10 less than once in 100,000
		t.Errorf("%d sessions went to %v", sessions, got)
	}
	servers[2].gone()
	if got := spread(); got[0] != 0 || got[2] != 0 || min(got[1], got[3]) < sessions/5 {
		t.Errorf("with one that is dead %d sessions went to %v", sessions, got)
	}
	if logins, _ := servers[0].counts(); logins > 1 {
		t.Errorf("the primary was tried %d times", logins)
	}
}

// TestForgets: a standby that was a primary takes part again.
func TestForgets(t *testing.T) {
	w := newWorld(t)
	a, b := w.host(t, manner{}), w.host(t, manner{standby: true})
	s := set(t, Standby, a, b)
	move := clocked(s)
	wantAt(t, s, 1, Opening{})
	a.become(manner{standby: true})
	wantAt(t, s, 1, Opening{})
	move(memory + time.Second)
	wantAt(t, s, 0, Opening{})
}

// TestKnownHostsFirst: what may be used once goes to a host that is known to suit.
func TestKnownHostsFirst(t *testing.T) {
	w := newWorld(t)
	unknownOne, known := w.host(t, manner{}), w.host(t, manner{})
	s := set(t, Primary, unknownOne, known)
	s.cfg.Servers.learned(&s.cfg.Hosts[1], nature{standby: no}, s.now())
	if got := s.ranked(Primary, true)[0]; got.Port != known.config.Port {
		t.Error("a host that nobody knows comes first")
	}
	if got := s.ranked(Primary, false)[0]; got.Port != unknownOne.config.Port {
		t.Error("a host that nobody knows is not tried")
	}
}

// TestSharing: what one database finds out of a host, others know.
func TestSharing(t *testing.T) {
	w := newWorld(t)
	bad, good := w.host(t, manner{refuse: "57P03"}), w.host(t, manner{})
	var servers Servers
	one, two := set(t, Any, bad, good).Sharing(&servers), set(t, Any, bad, good).Sharing(&servers)
	wantAt(t, one, 1, Opening{})
	wantAt(t, two.For(Primary), 1, Opening{})
	if logins, _ := bad.counts(); logins != 1 {
		t.Errorf("tried %d times", logins)
	}
}

// TestCancelsAreAHosts: whoever has a session at a host shares the places for cancels there with all others.
func TestCancelsAreAHosts(t *testing.T) {
	w := newWorld(t)
	first, second := w.host(t, manner{}), w.host(t, manner{})
	var servers Servers
	open := func(hosts ...*fakeServer) *Places {
		opened, err := set(t, Any, hosts...).Sharing(&servers).Open(t.Context(), Opening{User: "v-app-1", Credential: backend.Password("")})
		if err != nil {
			t.Fatal(err)
		}
		opened.discard()
		return opened.Cancels
	}
	one, again, other := open(first), open(first, second), open(second)
	if one != again || one == other || one.Status().Most != maxCancels {
		t.Errorf("places %p, %p, and %p at another host", one, again, other)
	}
}

// TestForOneHost: of a single host nothing is asked.
func TestForOneHost(t *testing.T) {
	w := newWorld(t)
	old := w.host(t, manner{old: true, standby: true})
	wantAt(t, set(t, Any, old).For(Primary), 0, Opening{})
	if asked := old.questions(); asked != nil {
		t.Errorf("asked %q", asked)
	}
}

// TestShowing: the configuration that sessions share is not changed.
func TestShowing(t *testing.T) {
	shared := &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return nil, nil }}
	if showing(shared, nil) != shared {
		t.Error("without a certificate of the session's the gateway's is not shown")
	}
	own := showing(shared, &tls.Certificate{})
	if len(own.Certificates) != 1 || own.GetClientCertificate != nil || len(shared.Certificates) != 0 || shared.GetClientCertificate == nil {
		t.Error("the session's certificate is not its own")
	}
}

// TestOnce: only what a client has answered is good for one session; what the gateway has itself can be shown to the next host.
func TestOnce(t *testing.T) {
	for credential, want := range map[string]struct {
		backend.Credential
		once bool
	}{
		"password":       {backend.Password("x"), false},
		"derived keys":   {backend.Prepared{}, false},
		"a client's own": {backend.RelayedSCRAM{}, true},
		"MD5":            {backend.RelayedMD5{}, true},
	} {
		if got := (&Opening{Credential: want.Credential}).once(); got != want.once {
			t.Errorf("%s: once %v, want %v", credential, got, want.once)
		}
	}
}
