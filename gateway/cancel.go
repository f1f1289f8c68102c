package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
)

const (
	// secretBytes is the length of a cancel secret: four bytes before protocol 3.2, PostgreSQL's own 32 since.
	secretBytes30 = 4
	secretBytes32 = 32
	// cancelTime bounds one cancel at the backend, dialling included.
	cancelTime = 5 * time.Second
	// maxCancels bounds the cancel requests worked on at once: anybody can send them, unauthenticated.
	maxCancels = 32
	// cancelRate bounds the wrong secrets for one process id in a second: 32 bits then take 13 years, and the process id is secret too.
	cancelRate = 10
)

// cancelKey is what lets a client cancel its own statement: the gateway's own, never the backend's. The process id is random too,
// so that 63 bits must be guessed where the secret has only 32.
type cancelKey struct {
	pid    uint32
	secret []byte
}

// cancelKeys finds sessions by their cancel keys.
type cancelKeys struct {
	mu       sync.Mutex
	sessions map[uint32]*session
	working  int
}

// guesses counts wrong secrets for one session's process id.
type guesses struct {
	wrong  int
	second int64 // in which they came
}

// tooMany says whether more guesses are not looked at in this second.
func (g *guesses) tooMany(now time.Time) bool {
	if g.second != now.Unix() {
		g.second, g.wrong = now.Unix(), 0
	}
	return g.wrong >= cancelRate
}

// issue gives the session a key.
func (c *cancelKeys) issue(s *session, protocol uint32) cancelKey {
	key := cancelKey{secret: make([]byte, secretBytes30)}
	if protocol >= protocol32 {
		key.secret = make([]byte, secretBytes32)
	}
	_, _ = rand.Read(key.secret) // never fails (crypto/rand)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		var random [4]byte
		_, _ = rand.Read(random[:])
		key.pid = binary.BigEndian.Uint32(random[:]) &^ (1 << 31) // a process id is positive
		if _, taken := c.sessions[key.pid]; !taken && key.pid != 0 {
			s.key = key
			c.sessions[key.pid] = s
			return key
		}
	}
}

// withdraw makes the key worthless.
func (c *cancelKeys) withdraw(key cancelKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, key.pid)
}

// find returns the session that a cancel request may cancel, nil for a wrong key or when there are too many requests.
// A request that found one must be ended with done.
func (c *cancelKeys) find(body []byte, now time.Time) *session {
	if len(body) < 4+secretBytes30 || len(body) > 4+256 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.sessions[binary.BigEndian.Uint32(body)]
	if s == nil || s.guesses.tooMany(now) || c.working >= maxCancels {
		return nil
	}
	if subtle.ConstantTimeCompare(s.key.secret, body[4:]) != 1 {
		s.guesses.wrong++
		return nil
	}
	c.working++
	return s
}

func (c *cancelKeys) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.working--
}

// cancelRequest carries out a CancelRequest. There is never an answer; the connection is closed when the backend has heard it.
func (s *Server) cancelRequest(ctx context.Context, body []byte, from net.Addr) {
	m := s.config().Metrics
	target := s.keys.find(body, time.Now())
	if target == nil {
		m.Cancels.Inc("unknown")
		return
	}
	defer s.keys.done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer cancel()
	forwarded, err := target.cancelRunning(ctx)
	event := &audit.Cancel{Session: target.id, ClientAddress: hostOf(from), Forwarded: forwarded && err == nil}
	result := "forwarded"
	if err != nil {
		result, event.Error = "failed", "backend"
		target.logger.Warn("cancel request failed", "error", err)
	}
	m.Cancels.Inc(result)
	target.record(event)
}
