package gateway

import (
	"container/list"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/credentials"
	"github.com/sallyport/sallyport/gateway/wire"
	"github.com/sallyport/sallyport/tlsutil"
)

// session is one client connection from its first byte to its last. It owns the client's connection, the backend session and the
// lease, and closes all three.
type session struct {
	server  *Server
	config  *Config // as it was when the client came
	id      string
	conn    net.Conn
	client  net.Addr         // the other end of conn, or whom a PROXY header names in its place
	secure  *tls.Conn        // conn within TLS, once it is
	serving *tlsutil.Serving // the certificate that this connection was served
	logger  *slog.Logger
	started time.Time

	negotiated bool // the client has the answer to the version it asked for, if it needs one
	admitted   *admitted
	rule       authn.Rule           // that matched
	lease      *credentials.Lease   // nil: none was issued
	revoker    *credentials.Revoker // the lease's
	backend    *opened
	places     *hosts.Places // one of which is the session's; nil: none is
	key        cancelKey
	guesses    guesses                 // under the lock of cancelKeys
	place      *list.Element           // among those that wait, under the server's lock; nil: not there
	stop       context.CancelCauseFunc // ends it, with a *sessionError
	gone       chan struct{}           // closed when nothing of it is left to do
	network    netip.Prefix            // by which it counts there; under the server's lock

	identity authn.Identity // who has logged in; under the server's lock

	live atomic.Pointer[relay] // set while the session relays
	info atomic.Pointer[SessionInfo]
	user string

	// What begins with a session and ends with it is a part of it: a small piece of memory that outlives a login keeps a page of that
	// login's garbage from being used for anything else, or given back.
	hello     startup
	ends      clock
	opened    opened
	published SessionInfo

	joined  *identity // what all sessions of its identity keep to together; nil: nothing
	granted bool      // it counts as one of its identity; under the server's lock
}

// sessionIDBytes makes an id that does not repeat in an audit log's life.
const sessionIDBytes = 8

func newSession(server *Server, config *Config, conn net.Conn) *session {
	var random [sessionIDBytes]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	id := hex.EncodeToString(random[:])
	return &session{
		server: server, config: config, id: id, conn: wire.NewSocket(conn), client: conn.RemoteAddr(), started: time.Now(),
		logger: config.Logger.With("session", id), gone: make(chan struct{}),
	}
}

// run is a session: a list of phases, each with its deadline. Whatever happens, it ends with end.
//
// It waits for hours in the last of them, as a rule. The others go deep, into TLS and certificates, and a stack that has grown keeps most of
// that while it waits: the relay has a goroutine of its own, which begins near it.
func (s *session) run(ctx context.Context) {
	var r *relay
	var c *clock
	if err := guard(s.logger, func() (err error) { r, c, err = s.establish(ctx); return err }); err != nil {
		s.end(ctx, err, totals{})
		return
	}
	s.server.background.Go(func() {
		unfollow := s.relays(r)
		cause, moved := r.run(ctx)
		unfollow()
		s.relayed(ctx, c, cause, moved)
	})
}

// end ends the session, wherever it has come to.
func (s *session) end(ctx context.Context, err error, moved totals) {
	defer s.server.leave(s)
	defer s.stop(nil)
	if errors.Is(err, errCancelled) {
		_ = s.conn.Close()
		return
	}
	cause := asSessionError(err)
	if ended := stopped(ctx); ended != nil && s.backendNeverRelayed() {
		cause = s.beforeRelay(ended)
	}
	s.finish(ctx, cause, moved)
}

// establish goes through the phases before the relay.
func (s *session) establish(ctx context.Context) (*relay, *clock, error) {
	var a *admitted
	if err := s.phase(ctx, s.config.Timeouts.Admission, func(ctx context.Context) (err error) { a, err = s.admit(ctx); return err }); err != nil {
		return nil, nil, err
	}
	if err := s.begin(a); err != nil {
		return nil, nil, err
	}
	var p proof
	if err := s.phase(ctx, s.config.Timeouts.Authentication, func(ctx context.Context) (err error) { p, err = s.authenticate(ctx, a); return err }); err != nil {
		return nil, nil, err
	}
	if err := s.server.enter(s, p.identity); err != nil {
		return nil, nil, err
	}
	if err := s.admissible(p.identity); err != nil {
		return nil, nil, err
	}
	if err := s.accepted(); err != nil {
		return nil, nil, err
	}
	var g grant
	var o *opened
	if err := s.phase(ctx, s.config.Timeouts.Connect, func(ctx context.Context) (err error) { g, o, err = s.connect(ctx, a, p); return err }); err != nil {
		s.recordRefusal(p.identity, g, false)
		return nil, nil, err
	}
	s.server.keys.issue(s, a.startup.protocol)
	if err := s.phase(ctx, s.config.Timeouts.Write, func(context.Context) error { return s.greet(a, o, s.key) }); err != nil {
		return nil, nil, err
	}
	r := s.newRelay(a, p.identity, g, o)
	forgetLogin(a, o)
	c := startClock(s, r, p.identity, g, o.lease)
	r.regrant = func(d *authz.ConnectDecision) (*hourly, *rate.Limiter, error) { return s.regrant(c, d) }
	return r, c, nil
}

// forgetLogin lets go of what nobody asks for once the client is in: a session may wait for days.
func forgetLogin(a *admitted, o *opened) {
	a.startup.parameters, a.startup.unknown = nil, nil
	o.session.Parameters, o.session.Notices = nil, nil
}

// phase runs one phase before the relay. Its deadline holds for everything in it, reads and writes too; so does the server's end.
func (s *session) phase(server context.Context, limit time.Duration, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(server, limit)
	defer cancel()
	passed := s.unblockAfter(ctx)
	defer passed() // after a panic, too
	err := f(ctx)
	if passed() && err == nil {
		err = fail(ReasonClientGone, ctx.Err()) // the deadline passed at the very end: the connection's own is set
	}
	switch {
	case err == nil || ctx.Err() == nil || asSessionError(err).reason != ReasonClientGone:
		return err
	case server.Err() != nil && s.admitted != nil: // who has not said what it is would not understand
		return fail(ReasonShutdown, err)
	case timedOut(err):
		return fail(ReasonDeadline, err)
	}
	return err
}

// unblockAfter ends what waits for the client when ctx ends. What is being said to it may take a moment more: behind a part of a record TLS
// can say nothing, not why the session ends either. passed ends that, and says whether ctx has ended before: then all is done to the
// connection that will be, or it would undo the deadline that the farewell sets.
func (s *session) unblockAfter(ctx context.Context) (passed func() bool) {
	unblocked := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(unblocked)
		_ = s.conn.SetReadDeadline(past)
		_ = s.conn.SetWriteDeadline(time.Now().Add(farewellTime))
	})
	return sync.OnceValue(func() bool {
		if stop() {
			return false
		}
		<-unblocked
		return true
	})
}

func timedOut(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// begin writes the session's start. From here on there is exactly one end.
func (s *session) begin(a *admitted) error {
	s.admitted, s.user = a, a.startup.user
	state := a.conn.ConnectionState()
	asked, _ := requestOf(a.startup) // what is wrong with it is told to who has logged in
	err := s.append(&audit.SessionStart{
		StatedReason: asked.reason, RequestedRole: asked.role,
		Session: s.id, User: a.startup.user, Database: a.startup.database, ClientAddress: hostOf(s.client),
		Application: clip(a.startup.parameter("application_name")), TLSVersion: tls.VersionName(state.Version),
		TLSCipher: tls.CipherSuiteName(state.CipherSuite), ProtocolVersion: a.startup.version(), Replication: wantsReplication(a.startup),
	})
	if err != nil {
		return err
	}
	if s.server.isDraining() {
		return fail(ReasonDraining, nil)
	}
	return nil
}

// newRelay makes the session's last phase.
func (s *session) newRelay(a *admitted, id authn.Identity, g grant, o *opened) *relay {
	input := authz.StatementInput{Version: authz.ContractVersion, Action: "statement", Identity: policyIdentity(id), Session: s.policySession(a)}
	input.Session.Role, input.Session.Route, input.Session.Observe = g.Role, g.Route, g.Observe
	input.Session.SearchPath = g.database.searchPath()
	r := &relay{
		id: s.id, client: a.conn, backend: o.session.Conn, grant: g, limits: &s.config.Limits, timeouts: &s.config.Timeouts,
		input: input, identity: auditIdentity(id), pins: o.pins, clientPID: s.key.pid, backendPID: o.session.PID,
		analyzer: s.config.Statements, policy: s.config.Policy, shadow: g.shadow, log: &recorder{auditLog: s.config.Audit}, metrics: s.server.sessionMetrics,
		logger: s.logger, cancel: o.cancel, crowd: o.cancels, hour: g.hour, pace: g.pace, valueKey: s.server.valueKey, queue: newQueue(), names: &names{},
		catalog: g.database.catalog(), lost: o.lease.OnLost,
	}
	r.whose = audit.Statements{
		Session: s.id, Identity: &r.identity, Database: input.Session.Database, ClientAddress: input.Session.ClientAddress,
		BackendHost: o.session.Host, BackendRole: g.backendRole, LeaseIDHash: g.leaseHash,
	}
	r.who = audit.NewWho(r.whose)
	g.shadow.relays(input)
	s.publish(id, g, o)
	return r
}

// relays notes that the session has come to its last phase, and has it hear what becomes of its identity until unfollow is called. Reconsider
// has not known its route before.
func (s *session) relays(r *relay) (unfollow func()) {
	unfollow = r.follow(s.identity.Standing)
	s.live.Store(r)
	if s.server.config() != s.config {
		if err := s.accepted(); err != nil {
			s.stop(err)
		}
	}
	if s.server.isDraining() {
		r.drain()
	}
	s.config.Metrics.SessionsActive.Inc()
	return unfollow
}

// relayed notes that it is over, stops the clock, and ends the session.
func (s *session) relayed(ctx context.Context, c *clock, cause *sessionError, moved *totals) {
	s.config.Metrics.SessionsActive.Dec()
	s.live.Store(nil)
	c.stop()
	s.end(ctx, cause, *moved)
}

// cancelRunning cancels what the session's backend is doing.
func (s *session) cancelRunning(ctx context.Context) (forwarded bool, err error) {
	if r := s.live.Load(); r != nil {
		return r.cancelRunning(ctx, cancelInDoubt())
	}
	return false, nil
}

// append writes an audit event that the session cannot go on without.
func (s *session) append(e audit.Event) error {
	if err := s.config.Audit.Append(e); err != nil {
		s.config.Metrics.AuditFailures.Inc()
		return fail(ReasonAudit, err)
	}
	return nil
}

// record writes an audit event about what has happened anyway.
func (s *session) record(e audit.Event) {
	if err := s.append(e); err != nil {
		s.logger.Error("audit log does not take an event", "error", err)
	}
}

// hostOf is an address without its port, as the audit log shows it.
func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}
