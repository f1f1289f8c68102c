package throttle

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is easy to reckon with: two failures are free for a network, one for a user; 1s, 2s, 4s, 8s; strangers cost a user 2s.
var small = Config{
	NetworkFree: 2, UserFree: 1, Base: time.Second, MaxNetwork: 8 * time.Second, MaxUser: 2 * time.Second, Leak: time.Minute, Entries: 64,
}

func newThrottle(t testing.TB, cfg Config) *Throttle {
	t.Helper()
	throttle, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return throttle
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// guess is one failed login, after its delay.
func guess(t *testing.T, throttle *Throttle, source, user string) time.Duration {
	t.Helper()
	delay, ok := throttle.Wait(addr(source), user)
	if !ok {
		t.Fatalf("%s as %s is refused", source, user)
	}
	time.Sleep(delay)
	throttle.Failed(addr(source), user)
	return delay
}

// wants asks what the next login would wait.
func wants(t *testing.T, throttle *Throttle, source, user string, want time.Duration) {
	t.Helper()
	if delay, ok := throttle.Wait(addr(source), user); !ok || delay != want {
		t.Errorf("%s as %s waits %v, %v, want %v", source, user, delay, ok, want)
	}
}

func TestNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(t, small)
		var delays []time.Duration
		for i := range 8 {
			delays = append(delays, guess(t, throttle, "192.0.2."+fmt.Sprint(i), "user"+fmt.Sprint(i)))
		}
		if got := fmt.Sprint(delays); got != "[0s 0s 0s 1s 2s 4s 8s 8s]" {
			t.Errorf("delays %v", got)
		}
		wants(t, throttle, "192.0.3.1", "ana", 0)
		wants(t, throttle, "2001:db8::1", "ana", 0)
	})
}

// TestShared: behind an address that many share a guesser slows down the user it guesses for, a little, and nobody else.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := small
		cfg.Shared = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		throttle := newThrottle(t, cfg)
		throttle.Succeeded(addr("127.0.0.1"), "ana")
		for i := range 100 {
			guess(t, throttle, "127.0.0.1", "user"+fmt.Sprint(i))
			throttle.Failed(addr("127.0.0.1"), "ana")
		}
		for _, source := range []string{"127.0.0.1", "127.9.9.9", "::ffff:127.0.0.1", "::1", "192.0.2.1"} {
			wants(t, throttle, source, "bob", 0)
			for range 50 {
				wants(t, throttle, source, "ana", 2*time.Second)
			}
		}
	})
}

func TestUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(t, small)
		var delays []time.Duration
		for i := range 6 {
			delays = append(delays, guess(t, throttle, "192.0."+fmt.Sprint(i)+".1", "ana"))
		}
		if got := fmt.Sprint(delays); got != "[0s 0s 1s 2s 2s 2s]" {
			t.Errorf("delays %v", got)
		}
		wants(t, throttle, "192.0.100.1", "bob", 0)
		wants(t, throttle, "192.0.101.1", "ANA", 0)
		for range 50 { // a thousand strangers do not make ana wait longer, nor each other
			wants(t, throttle, "192.0.102.1", "ana", 2*time.Second)
		}
	})
}

// TestAtOnce: logins that come together wait for each other, and those for whom there is no room are refused.
func TestAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(t, small)
		for i := range 4 { // two beyond those that are free: 2s each
			guess(t, throttle, "192.0.2.1", "u"+fmt.Sprint(i))
		}
		for _, want := range []time.Duration{2, 4, 6, 8} {
			wants(t, throttle, "192.0.2.2", "x", want*time.Second)
		}
		for range 100 {
			if _, ok := throttle.Wait(addr("192.0.2.3"), "y"); ok {
				t.Fatal("the queue has no end")
			}
		}
		time.Sleep(2 * time.Second) // the refused have taken no place
		wants(t, throttle, "192.0.2.2", "x", 8*time.Second)
	})
}

func TestForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(t, small)
		for i := range 100 { // the longest delay is reached with the sixth
			guess(t, throttle, "192.0.2.1", "u"+fmt.Sprint(i))
		}
		for _, want := range []time.Duration{8, 4, 2, 1, 0, 0} {
			throttle.mu.Lock()
			r := throttle.networks.records[netip.MustParsePrefix("192.0.2.0/24")]
			r.leak(time.Now(), small.Leak)
			got := throttle.networks.scale.delay(r.failures)
			throttle.mu.Unlock()
			if got != want*time.Second {
				t.Errorf("delay %v, want %vs", got, want)
			}
			time.Sleep(small.Leak)
		}
		time.Sleep(24 * time.Hour)
		wants(t, throttle, "192.0.2.1", "ana", 0)
		for i := range 3 { // the first of many again, and not forgotten at once
			guess(t, throttle, "192.0.2.1", "v"+fmt.Sprint(i))
		}
		wants(t, throttle, "192.0.2.1", "ana", time.Second)
	})
}

// TestKnownUser: who has been here before waits for no stranger's failures, and strangers do not profit from it.
func TestKnownUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(t, small)
		throttle.Succeeded(addr("192.0.2.7"), "ana")
		for i := range 20 {
			guess(t, throttle, "192.0.2.66", "ana")
			guess(t, throttle, fmt.Sprintf("198.51.%d.1", i), "ana")
		}
		wants(t, throttle, "192.0.2.7", "ana", 0)
		wants(t, throttle, "192.0.2.7", "ana", 0)
		if delay, _ := throttle.Wait(addr("192.0.2.66"), "ana"); delay < 2*time.Second {
			t.Errorf("a stranger beside her waits %v", delay)
		}
		if delay, ok := throttle.Wait(addr("192.0.2.7"), "bob"); ok && delay == 0 {
			t.Error("another user at her address has her lane")
		}
		wants(t, throttle, "203.0.113.1", "ana", 2*time.Second) // where she is not known
	})
}

// TestKnownLane: whoever shares her address is slowed there like anybody.
func TestKnownLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(t, small)
		throttle.Succeeded(addr("192.0.2.7"), "ana")
		var delays []time.Duration
		for range 7 {
			delays = append(delays, guess(t, throttle, "192.0.2.7", "ana"))
			throttle.Succeeded(addr("192.0.2.7"), "ana") // her logins do not wipe out another's guesses
		}
		if got := fmt.Sprint(delays); got != "[0s 0s 1s 2s 4s 8s 8s]" {
			t.Errorf("delays %v", got)
		}
		wants(t, throttle, "192.0.2.8", "bob", 0) // and nobody else
	})
}

// TestSuccessDoesNotReset: a guesser with an account of its own gets nothing for using it.
func TestSuccessDoesNotReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(t, small)
		for i := range 8 {
			guess(t, throttle, "192.0.2.66", "u"+fmt.Sprint(i))
			throttle.Succeeded(addr("192.0.2.66"), "eve")
		}
		wants(t, throttle, "192.0.2.66", "ana", 8*time.Second)
		wants(t, throttle, "192.0.2.66", "eve", 0)
	})
}

func TestKeys(t *testing.T) {
	tests := map[string]struct {
		one, other    string
		network, host bool // count as one
	}{
		"IPv4":                {"192.0.2.1", "192.0.2.255", true, false},
		"IPv4, next network":  {"192.0.2.255", "192.0.3.0", false, false},
		"IPv4 in IPv6":        {"192.0.2.1", "::ffff:192.0.2.1", true, true},
		"IPv4 in IPv6, next":  {"::ffff:192.0.2.1", "::ffff:192.0.3.1", false, false},
		"IPv6 host":           {"2001:db8::1", "2001:db8::ffff:1", true, true},
		"IPv6 customer":       {"2001:db8::1", "2001:db8:0:ff::1", true, false},
		"IPv6, next customer": {"2001:db8::1", "2001:db8:0:100::1", false, false},
		"zone":                {"fe80::1", "fe80::1%eth0", true, true},
		"IPv4 and IPv6":       {"0.0.0.0", "::", false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, network, at := keys(addr(tt.one), "ana")
			_, otherNetwork, otherAt := keys(addr(tt.other), "ana")
			if (network == otherNetwork) != tt.network || (at == otherAt) != tt.host {
				t.Errorf("%v %v, %v %v", network, otherNetwork, at, otherAt)
			}
		})
	}
	if user, _, _ := keys(netip.Addr{}, strings.Repeat("u", 1000)); len(user) != maxUserBytes {
		t.Errorf("a user of %d bytes is kept", len(user))
	}
}

// TestUnknownAddress: a login from nowhere is counted like any other.
func TestUnknownAddress(t *testing.T) {
	throttle := newThrottle(t, small)
	for range 20 {
		throttle.Failed(netip.Addr{}, "ana")
	}
	if delay, _ := throttle.Wait(netip.Addr{}, "bob"); delay == 0 {
		t.Error("no delay")
	}
}

// TestFlood: names and networks made up by the thousand take no more memory than there is, push out no attack that is going on, and
// keep nobody from logging in.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newThrottle(t, small)
		for i := range 8 {
			guess(t, throttle, "192.0.2.66", "u"+fmt.Sprint(i))
		}
		throttle.Succeeded(addr("192.0.2.7"), "ana")
		for i := range 10_000 {
			throttle.Failed(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), "made up "+fmt.Sprint(i))
		}
		if n, m, k := len(throttle.networks.records), len(throttle.users.records), len(throttle.known.records); n != 64 || m != 64 || k != 1 {
			t.Errorf("%d networks, %d users, %d known", n, m, k)
		}
		wants(t, throttle, "192.0.2.66", "eve", 8*time.Second)
		wants(t, throttle, "192.0.2.7", "ana", 0)
		wants(t, throttle, "203.0.113.1", "bob", 0)
	})
}

// TestFloodOfSuccesses: somebody who may log in, from everywhere, takes the lanes of the others at most.
func TestFloodOfSuccesses(t *testing.T) {
	throttle := newThrottle(t, small)
	for i := range 10_000 {
		throttle.Succeeded(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), "eve")
	}
	if len(throttle.known.records) != 64 {
		t.Errorf("%d known", len(throttle.known.records))
	}
	if delay, ok := throttle.Wait(addr("192.0.2.7"), "ana"); delay != 0 || !ok {
		t.Errorf("ana waits %v, %v", delay, ok)
	}
}

func TestNew(t *testing.T) {
	tests := map[string]struct {
		cfg Config
		ok  bool
	}{
		"defaults":                  {Config{}, true},
		"small":                     {small, true},
		"negative free":             {Config{NetworkFree: -1}, false},
		"negative free of users":    {Config{UserFree: -1}, false},
		"negative leak":             {Config{Leak: -1}, false},
		"negative base":             {Config{Base: -1}, false},
		"base above the most":       {Config{Base: 9 * time.Second}, false},
		"base above a user's most":  {Config{Base: 3 * time.Second}, false},
		"negative most":             {Config{MaxNetwork: -1}, false},
		"negative most of users":    {Config{MaxUser: -1}, false},
		"negative entries":          {Config{Entries: -1}, false},
		"more entries than is good": {Config{Entries: maxEntries + 1}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if throttle, err := New(tt.cfg); (err == nil) != tt.ok || (throttle != nil) != tt.ok {
				t.Errorf("New: %v", err)
			}
		})
	}
}

// TestDelay: whatever the numbers, a delay is between nothing and the most, and never shrinks.
func TestDelay(t *testing.T) {
	for _, s := range []scale{{2, time.Second, 8 * time.Second, 1}, {0, 3, 10, 1}, {5, 1, 1 << 62, 1}, {1, 7, 7, 1}} {
		last := time.Duration(0)
		for failures := range 200 {
			delay := s.delay(failures)
			if delay < last || delay > s.most || (failures <= s.free) != (delay == 0) {
				t.Errorf("%+v: %d failures cost %v after %v", s, failures, delay, last)
			}
			last = delay
		}
		if last != s.most {
			t.Errorf("%+v: the most is %v", s, last)
		}
	}
}

func BenchmarkFailed(b *testing.B) {
	throttle := newThrottle(b, Config{})
	i := 0
	for b.Loop() { // every one from another network: each makes room for itself
		i++
		throttle.Failed(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), 1}), "ana")
	}
}
