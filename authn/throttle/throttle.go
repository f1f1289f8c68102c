// Package throttle makes guessing slow: failed logins delay the next ones from the same network and for the same user, longer each
// time (https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html on throttling). It keeps no goroutine, and no
// more memory than it was given.
//
// Whatever slows a guesser can be turned against somebody else, so:
//
//   - a user is delayed only a little by what strangers do in its name, and never refused for it;
//   - a user that has logged in from an address before has a lane of its own there, and waits for nobody else's failures;
//   - a network that guesses is slowed and at last refused as a whole, for its addresses cost nothing; that is as far as it goes;
//   - a success proves nothing about the network it came from, which stays as slow as it was: a guesser with one account of its own
//     would begin afresh after each login;
//   - an address that many stand behind, such as a proxy's or this machine's own, says nothing about any of them: what fails there is
//     counted for the user alone;
//   - when a table is full, the record of the fewest failures makes room. Names and networks made up by the thousand push out each
//     other, neither the record of a real attack nor anybody's right to try.
package throttle

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	defaultNetworkFree = 20                     // an office behind one address mistypes now and then
	defaultUserFree    = 5                      // and one person less often
	defaultBase        = 250 * time.Millisecond // unnoticed by a person, two hundred times a login's cost to a program
	defaultMaxNetwork  = 8 * time.Second        // less than the time a login may take: who waits is still let in
	defaultMaxUser     = 2 * time.Second        // anybody can cause it for anybody
	defaultLeak        = 30 * time.Second       // a network at its slowest is as fast as ever within a quarter of an hour
	defaultEntries     = 1 << 14                // three tables of some 200 bytes each: 10 MiB
	maxEntries         = 1 << 20

	// The networks of RFC 6177: what one customer is given. A guesser has as many addresses as its network holds.
	networkBits4 = 24
	networkBits6 = 56
	// addressBits6: what one IPv6 host is given; it changes its address as it likes.
	addressBits6 = 64
	// maxUserBytes is NAMEDATALEN-1; longer names are not let in, and would make memory unbounded.
	maxUserBytes = 63
)

// Config says how much is tolerated. Zero values mean the defaults.
type Config struct {
	NetworkFree int           // failures from one network that delay nothing; 20
	UserFree    int           // failures as one user that delay nothing; 5
	Base        time.Duration // the first delay; each failure doubles it; 250ms
	MaxNetwork  time.Duration // the longest of a network, and of a known user at its address; longer queues are refused; 8s
	MaxUser     time.Duration // the longest that a user waits for what strangers did in its name; 2s
	Leak        time.Duration // one failure is forgotten in each; 30s
	Entries     int           // of each of the three tables; 16384
	// Shared are the addresses that many stand behind. None by default.
	Shared []netip.Prefix
}

// Throttle counts failed logins. It is safe for concurrent use.
type Throttle struct {
	cfg Config

	mu       sync.Mutex
	networks table[netip.Prefix]
	users    table[string]
	known    table[pair] // users that have logged in from an address
}

// pair is a user at an address.
type pair struct {
	user    string
	address netip.Prefix
}

// New checks cfg and returns a Throttle.
func New(cfg Config) (*Throttle, error) {
	for _, number := range []struct {
		value   *int
		initial int
	}{{&cfg.NetworkFree, defaultNetworkFree}, {&cfg.UserFree, defaultUserFree}, {&cfg.Entries, defaultEntries}} {
		if *number.value == 0 {
			*number.value = number.initial
		}
	}
	for _, duration := range []struct {
		value   *time.Duration
		initial time.Duration
	}{{&cfg.Base, defaultBase}, {&cfg.MaxNetwork, defaultMaxNetwork}, {&cfg.MaxUser, defaultMaxUser}, {&cfg.Leak, defaultLeak}} {
		if *duration.value == 0 {
			*duration.value = duration.initial
		}
	}
	switch {
	case cfg.NetworkFree < 0 || cfg.UserFree < 0 || cfg.Leak < 0:
		return nil, errors.New("throttle: negative value")
	case cfg.Base < 0 || cfg.MaxNetwork < cfg.Base || cfg.MaxUser < cfg.Base:
		return nil, errors.New("throttle: the longest delays must not be shorter than the first")
	case cfg.Entries < 0 || cfg.Entries > maxEntries:
		return nil, errors.New("throttle: too few or too many entries")
	}
	return &Throttle{
		cfg:      cfg,
		networks: newTable[netip.Prefix](cfg.Entries, scale{cfg.NetworkFree, cfg.Base, cfg.MaxNetwork, cfg.Leak}),
		users:    newTable[string](cfg.Entries, scale{cfg.UserFree, cfg.Base, cfg.MaxUser, cfg.Leak}),
		known:    newTable[pair](cfg.Entries, scale{cfg.UserFree, cfg.Base, cfg.MaxNetwork, cfg.Leak}),
	}, nil
}

// Wait is asked once per login, when the client has said who it wants to be and before it is asked to prove it. The login goes on
// after delay. ok is false when so many others are waiting already that this one would wait too long: refuse it, with no more work.
//
// It keeps a place in the queue: of logins that come at once, each waits for those before it. That a user exists makes no difference.
func (t *Throttle) Wait(source netip.Addr, user string) (delay time.Duration, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	user, network, at := keys(source, user)
	if t.shared(source) {
		return t.users.delay(user, now), true
	}
	if t.known.has(at) {
		return t.known.reserve(at, now)
	}
	delay, ok = t.networks.reserve(network, now)
	if !ok {
		return 0, false
	}
	return max(delay, t.users.delay(user, now)), true
}

// Failed counts a login that failed: a wrong password, a bad token, a certificate of somebody else. What proves nothing either way is
// not counted: discovery, keys that cannot be had, a client that went away before it answered.
func (t *Throttle) Failed(source netip.Addr, user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	user, network, at := keys(source, user)
	if t.shared(source) {
		t.users.fail(user, now)
		return
	}
	if t.known.has(at) {
		t.known.fail(at, now)
		return
	}
	t.networks.fail(network, now)
	t.users.fail(user, now)
}

// Succeeded gives a user a lane of its own from this address, or keeps it there.
func (t *Throttle) Succeeded(source netip.Addr, user string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shared(source) {
		return // a lane there would be everybody's
	}
	_, _, at := keys(source, user)
	t.known.put(at, time.Now())
}

// shared tells whether many stand behind an address.
func (t *Throttle) shared(source netip.Addr) bool {
	source = source.Unmap().WithZone("")
	return slices.ContainsFunc(t.cfg.Shared, func(p netip.Prefix) bool { return p.Contains(source) })
}

// keys are what a login is counted by. An address that is not known is one like any other. The user is copied: a table must not hold
// on to a whole startup packet.
func keys(source netip.Addr, user string) (string, netip.Prefix, pair) {
	if len(user) > maxUserBytes {
		user = user[:maxUserBytes]
	}
	user = strings.Clone(user)
	source = source.Unmap().WithZone("")
	network, address := networkBits6, addressBits6
	if source.Is4() {
		network, address = networkBits4, source.BitLen()
	}
	return user, prefix(source, network), pair{user, prefix(source, address)}
}

// prefix is the zero Prefix for the zero Addr.
func prefix(address netip.Addr, bits int) netip.Prefix {
	p, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
