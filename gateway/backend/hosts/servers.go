package hosts

import (
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
)

const (
	// memory is how long it is believed that a server is a standby, or none. Then one session finds out anew: so a host that was promoted
	// is found though others suit, and one that became a standby takes part again. It costs at most a connection in that time for each host.
	memory = 30 * time.Second
	// A host that has failed is left in peace for firstBreak, and twice as long after each further failure, up to lastBreak: a restart of
	// PostgreSQL takes a second or two, a machine that is gone costs one login its connect timeout that often.
	firstBreak = time.Second
	lastBreak  = 30 * time.Second
	// maxCancels bounds the cancel requests that a host is sent at a time: each is a connection with TLS and a process for it, and a thousand
	// sessions may end at once.
	maxCancels = 16
)

// Servers is what is known of hosts, of all databases that have them together: each is one server to all of them. The zero value knows
// nothing.
type Servers struct {
	Logger *slog.Logger // nil: says nothing

	mu    sync.Mutex
	known map[string]*server
}

// server is one host. The lock of Servers is held.
type server struct {
	standby fact
	learned time.Time // when that was

	failures int       // since it last answered
	until    time.Time // it is left in peace; zero: it has not failed
	trying   bool      // it has failed, and somebody finds out whether it is back
	cause    string    // of the last failure

	opened, failed uint64 // sessions

	cancels *Places // of those who cancel there
}

// ServerStatus is a host as operators see it.
type ServerStatus struct {
	Host           string // host:port
	Failing        bool
	Cause          string // why
	Standby        bool
	Known          bool   // whether it is a standby
	Opened, Failed uint64 // sessions, since the gateway started
}

// Status is what is known of the hosts that were tried, by name.
func (s *Servers) Status() []ServerStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]ServerStatus, 0, len(s.known))
	for host, one := range s.known {
		all = append(all, ServerStatus{
			Host: host, Failing: one.failures > 0, Cause: one.cause, Standby: one.standby == yes, Known: one.standby != unknown,
			Opened: one.opened, Failed: one.failed,
		})
	}
	slices.SortFunc(all, func(a, b ServerStatus) int { return strings.Compare(a.Host, b.Host) })
	return all
}

// nameOf is a host's among servers.
func nameOf(host *backend.Config) string {
	port := host.Port
	if port == 0 {
		port = 5432
	}
	return net.JoinHostPort(host.Host, strconv.Itoa(port))
}

func (s *Servers) of(host *backend.Config) *server {
	name := nameOf(host)
	if s.known == nil {
		s.known = make(map[string]*server)
	}
	if s.known[name] == nil {
		s.known[name] = &server{cancels: &Places{most: maxCancels}}
	}
	return s.known[name]
}

// cancels are the places of those who cancel at a host.
func (s *Servers) cancels(host *backend.Config) *Places {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(host).cancels
}

// rank is where a host stands among those that are to be tried.
type rank uint8

const (
	suits   rank = iota
	perhaps      // nobody knows
	unfit        // it was something else
	failing
)

// rank says how a host stands for a target. surely tells those that suit from those that may: else they are alike.
func (s *Servers) rank(host *backend.Config, want Target, surely bool, now time.Time) rank {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.of(host)
	if !one.until.IsZero() && (one.trying || now.Before(one.until)) {
		return failing
	}
	is := one.standby
	if now.Sub(one.learned) > memory {
		is = unknown
	}
	switch {
	case want == Any, is == unknown && !surely:
		return suits
	case is == unknown:
		return perhaps
	case (is == yes) == want.LikesStandbys(): // sessions of a primary may be read-only, too: it is still tried
		return suits
	}
	return unfit
}

// isPrimary says whether a host is known to be no standby.
func (s *Servers) isPrimary(host *backend.Config, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.of(host)
	return one.standby == no && one.failures == 0 && now.Sub(one.learned) <= memory
}

// mayBeStandby says whether a host is a standby as far as is known; ifUnknown is the answer when nothing is.
func (s *Servers) mayBeStandby(host *backend.Config, ifUnknown bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := s.of(host).standby
	return is == yes || is == unknown && ifUnknown
}

// try says whether somebody may try a host now. Of those that come after its break one may; the others see it as failing until that one
// has told, by succeeded, failed or gaveUp.
func (s *Servers) try(host *backend.Config, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.of(host)
	if one.until.IsZero() {
		return true
	}
	if one.trying || now.Before(one.until) {
		return false
	}
	one.trying = true
	return true
}

// gaveUp: who tried the host does not know.
func (s *Servers) gaveUp(host *backend.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of(host).trying = false
}

// succeeded: the host has answered, if only with a refusal.
func (s *Servers) succeeded(host *backend.Config, opened bool) {
	s.mu.Lock()
	one := s.of(host)
	failures := one.failures
	one.failures, one.until, one.trying, one.cause = 0, time.Time{}, false, ""
	if opened {
		one.opened++
	}
	s.mu.Unlock()
	if failures > 0 && s.Logger != nil {
		s.Logger.Info("backend host answers again", "host", nameOf(host), "failures", failures)
	}
}

// learned: somebody knows what the server is.
func (s *Servers) learned(host *backend.Config, n nature, now time.Time) {
	if n.standby == unknown {
		return
	}
	s.mu.Lock()
	one := s.of(host)
	before := one.standby
	one.standby, one.learned = n.standby, now
	s.mu.Unlock()
	if before != unknown && before != n.standby && s.Logger != nil {
		s.Logger.Info("backend host has another role", "host", nameOf(host), "standby", n.standby == yes)
	}
}

// failed: the host could not be reached, or had no session for us.
func (s *Servers) failed(host *backend.Config, cause error, now time.Time) {
	s.mu.Lock()
	one := s.of(host)
	one.failures++
	one.failed++
	pause := lastBreak
	if one.failures < 6 { // 1, 2, 4, 8, 16 s
		pause = firstBreak << (one.failures - 1)
	}
	one.until, one.trying, one.cause = now.Add(pause), false, cause.Error()
	first := one.failures == 1
	s.mu.Unlock()
	if first && s.Logger != nil {
		s.Logger.Warn("backend host fails; others are tried before it for a while", "host", nameOf(host), "error", cause)
	}
}
