package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/oidc"
	"github.com/sallyport/sallyport/gateway/audit"
)

// ErrServerClosed is what Serve returns after Shutdown or Close.
var ErrServerClosed = errors.New("gateway: server closed")

// Server accepts clients and runs their sessions.
type Server struct {
	current        atomic.Pointer[Config]
	sessionMetrics *sessionMetrics
	keys           *cancelKeys
	identities     identities
	unproven       *unproven
	valueKey       *audit.ValueKey

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	sessions  map[*session]struct{} // authenticated, until finished
	waiting   waiting               // those that are not authenticated yet
	draining  bool
	closed    bool

	changes    chan struct{}  // see Changes
	background sync.WaitGroup // sessions, and revocations they left behind
	stop       context.CancelCauseFunc
	ctx        context.Context //nolint:containedctx // the server's own life, which Close ends; sessions are children of it
}

// New returns a server for a configuration, which it checks and copies.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	s := &Server{
		sessionMetrics: newSessionMetrics(cfg.Metrics), keys: &cancelKeys{sessions: map[uint32]*session{}},
		listeners: map[net.Listener]struct{}{}, sessions: map[*session]struct{}{}, unproven: newUnproven(), valueKey: audit.NewValueKey(),
		changes: make(chan struct{}, 1),
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	s.current.Store(&cfg)
	return s, nil
}

func (s *Server) config() *Config { return s.current.Load() }

// Reload replaces the configuration for clients that come from now on. Sessions go on under the one they came under, but policy and
// audit, which are shared, and end where their logins are none by the new one (Reconsider). On an error the old one stays.
func (s *Server) Reload(cfg Config) error {
	cfg, err := cfg.checked()
	if err != nil {
		return err
	}
	s.current.Store(&cfg)
	s.Reconsider()
	return nil
}

// acceptDelay is how long Serve waits after an error of accept that may pass, such as too many open files.
const acceptDelay = 50 * time.Millisecond

// Serve accepts clients until ctx ends, or Shutdown or Close is called. It closes the listener.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if !s.track(l) {
		_ = l.Close()
		return ErrServerClosed
	}
	defer s.untrack(l)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			s.accept(conn)
		case s.isClosed() || ctx.Err() != nil:
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		default:
			s.config().Logger.Error("accept failed", "error", err)
			select {
			case <-time.After(acceptDelay):
			case <-ctx.Done():
			}
		}
	}
}

// accept starts a session. When there are too many that have not proved anything yet, one that has taken long makes room: a client
// needs milliseconds, and who opens connections only to hold them must not keep the others out.
func (s *Server) accept(conn net.Conn) {
	cfg := s.config()
	cfg.Metrics.ConnectionsAccepted.Inc()
	newcomer := newSession(s, cfg, conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return
	}
	if s.waiting.Len() >= cfg.Limits.PreAuthentication {
		s.evict(s.waiting.longest())
	}
	var ctx context.Context
	ctx, newcomer.stop = context.WithCancelCause(s.ctx)
	s.waiting.add(newcomer)
	cfg.Metrics.ConnectionsActive.Inc()
	s.changed()
	s.background.Go(func() {
		tune(conn)
		newcomer.run(ctx)
	})
}

// evict ends a session that has to make room. The lock is held.
func (s *Server) evict(session *session) {
	if session == nil {
		return
	}
	s.waiting.remove(session)
	session.stop(fail(ReasonEvicted, errEvicted)) // it may be waiting for something else than its client
	_ = session.conn.Close()
}

// recount counts a session that waits by the client that it turned out to be.
func (s *Server) recount(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting.recount(session)
}

// errEvicted is why a session ends that had to make room for a newcomer.
var errEvicted = errors.New("others wait to log in")

// enter moves a session from those that wait to those that are known, as who it has proved to be.
func (s *Server) enter(session *session, id authn.Identity) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return fail(ReasonDraining, nil)
	}
	if len(s.sessions) >= s.config().Limits.Connections {
		return fail(ReasonTooManyConnections, nil)
	}
	s.waiting.remove(session)
	session.identity = id
	s.sessions[session] = struct{}{}
	return nil
}

// grant counts a session as one of its identity, unless that has as many as it may; most 0 is no limit.
func (s *Server) grant(session *session, most uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if most > 0 {
		var count uint64
		for other := range s.sessions {
			if other.granted && other.user == session.user {
				count++
			}
		}
		if count >= most {
			return false
		}
	}
	session.granted = true
	return true
}

// ungrant ends that; its credential may live on for a moment.
func (s *Server) ungrant(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session.granted = false
}

func (s *Server) leave(session *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting.remove(session)
	delete(s.sessions, session)
	close(session.gone)
	s.config().Metrics.ConnectionsActive.Dec()
	s.changed()
}

// Changes has something when a client has come or gone since something was taken from it.
func (s *Server) Changes() <-chan struct{} { return s.changes }

func (s *Server) changed() {
	select {
	case s.changes <- struct{}{}:
	default: // whoever follows will look anyway
	}
}

func (s *Server) track(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[l] = struct{}{}
	return true
}

func (s *Server) untrack(l net.Listener) {
	_ = l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l)
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// Shutdown drains: new clients hear 57P03, idle sessions 57P01, busy ones too once they are idle. When none is left, or ctx ends, it
// ends the rest. What they leave to do, such as revocations that are tried again, Close waits for.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	live := s.live()
	s.mu.Unlock()
	for _, session := range live {
		if r := session.live.Load(); r != nil {
			r.drain()
		}
	}
	err := s.waitForSessions(ctx)
	s.cutOff()
	return err
}

// drainPoll is how often Shutdown looks whether the sessions have gone.
const drainPoll = 20 * time.Millisecond

func (s *Server) waitForSessions(ctx context.Context) error {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		s.mu.Lock()
		left := len(s.sessions)
		s.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d sessions were still busy: %w", left, ctx.Err())
		}
	}
}

// Close ends all sessions with 57P01, closes the listeners, and waits for what the sessions leave to do. It may be called again.
func (s *Server) Close() {
	s.cutOff()
	s.background.Wait()
}

func (s *Server) cutOff() {
	s.mu.Lock()
	s.closed, s.draining = true, true
	for l := range s.listeners {
		_ = l.Close()
	}
	s.mu.Unlock()
	s.stop(errors.New("the gateway is shutting down"))
}

func (s *Server) live() []*session {
	list := make([]*session, 0, len(s.sessions))
	for session := range s.sessions {
		list = append(list, session)
	}
	return list
}

// Sessions lists the sessions that relay now, oldest first.
func (s *Server) Sessions() []SessionInfo {
	s.mu.Lock()
	live := s.live()
	s.mu.Unlock()
	var list []SessionInfo
	for _, session := range live {
		if info, ok := session.describe(); ok {
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b SessionInfo) int {
		if c := a.Started.Compare(b.Started); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// countLogin counts an attempt to authenticate. One that proved nothing either way is none that failed: a client without a token that
// asks where to get one, one without a password that goes away to ask for it, one that is too slow.
func (s *Server) countLogin(method authn.Method, err error) {
	result := "failed"
	switch reason := asSessionError(err).reason; {
	case err == nil:
		result = "ok"
	case errors.Is(err, oidc.ErrUnavailable), reason.describe().fault == faultBackend:
		result = "unavailable"
	case reason == ReasonDiscovery || reason == ReasonClientGone || reason == ReasonDeadline:
		result = "unfinished"
	}
	s.config().Metrics.Logins.Inc(string(method), result)
}
