package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/wire"
)

// farewellTime is how long a client may take to accept the last message of its session.
const farewellTime = 2 * time.Second

// analyzer turns a text into facts: *statement.Pool.
type analyzer interface {
	AnalyzeAhead(ctx context.Context, text string, ahead func(facts *statement.Sheet)) (*statement.Sheet, error)
	Known(text []byte, memory *statement.Memory) *statement.Sheet
}

// decider decides about connections and statements: *authz.Engine.
type decider interface {
	Connect(ctx context.Context, input *authz.ConnectInput) (*authz.ConnectDecision, error)
	Statement(ctx context.Context, input *authz.StatementInput) (*authz.StatementDecision, error)
	Policy() *authz.Policy
}

// auditLog takes events: *audit.Log.
type auditLog interface {
	Append(e audit.Event) error
	Text(sql string) audit.Text
	PassingText(memory *audit.PassingText, sql []byte) audit.Text
}

// relay is the sixth phase of a session: two goroutines, the judge (client → backend) and the reporter (backend → client), with the
// order queue between them. Each is the only writer to its side. The connections belong to the session, which closes them afterwards.
type relay struct {
	id       string
	client   net.Conn
	backend  net.Conn
	grant    grant // its policy is the one that granted it last; the judge's
	limits   *Limits
	timeouts *Timeouts
	regrant  func(*authz.ConnectDecision) (*hourly, *rate.Limiter, error) // changes what is kept outside the relay; nil: nothing is
	input    authz.StatementInput                                         // the statement is the one that was asked about last; the judge's
	identity audit.Identity
	whose    audit.Statements // what its statements' events have in common
	who      *audit.Who       // the same, as it was at the beginning
	valueKey *audit.ValueKey
	pins     pins // what ParameterStatus must say, unless observe

	clientPID, backendPID uint32

	analyzer analyzer
	policy   decider
	shadow   *shadowed     // nil: there is no second policy
	catalog  catalogSource // nil: names are judged as written
	log      auditLog
	metrics  *sessionMetrics
	logger   *slog.Logger
	cancel   func(ctx context.Context) error // asks the backend to cancel what runs
	crowd    *hosts.Places                   // all who may do so at its host: one of them is taken for it; nil: there is no bound

	groups atomic.Pointer[[]string] // the identity's; nil: those that it logged in with

	lost  func(f func()) (stop func() bool) // has f called when the gateway's own Vault token has ended, and all its leases with it; nil: never
	hour  *hourly                           // what the identity's sessions are delivered together; nil: no limit; the judge's
	pace  *rate.Limiter                     // what they may ask for; nil: no limit; the judge's
	queue *queue
	names *names
	spare spareRuns

	sent        atomic.Uint64 // the position of the last message that the backend may have been sent
	left        chan struct{} // closed when the judge has ended
	whole       bool          // and it has left no message half sent; to be read once it has
	copiedBytes atomic.Int64  // from the client, of the statement that copies
	statements  atomic.Uint64
	lastActive  atomic.Int64  // unix nanoseconds
	movingUntil atomic.Uint64 // definitions may change until this ReadyForQuery; 0: they do not

	mu       sync.Mutex
	ending   *sessionError // why the session must end; the first one wins
	draining *sessionError // why it must end when it is idle
	posted   atomic.Bool   // one of them is set: to be asked for every message

	lastCancel   time.Time          // when a cancel is given up, by whomever, as the session ends; zero: it does not; under mu
	giveUpCancel context.CancelFunc // of the last that was begun before; nil: there was none; under mu

	cancelMu   sync.Mutex // held while a cancel request is on its way
	cancelling atomic.Bool
	inDoubt    atomic.Bool // one may still come to the backend: nothing may be forwarded any more
	over       bool        // no cancel request is sent any more; under cancelMu
}

// totals is what a relay moved.
type totals struct {
	busy                                bool // the backend may still run something, and nobody has asked it not to
	statements, rows, bytesIn, bytesOut uint64
}

// run relays until either side ends or somebody ends it, and joins both goroutines: its own is the reporter's. The results are never nil.
// It waits for as long as the session does, on a stack that should stay small: what is only needed before or after is in calls of its own.
func (r *relay) run(ctx context.Context) (*sessionError, *totals) {
	p, join := r.start(ctx)
	r.reported(guard(r.logger, p.run))
	return join()
}

// start starts the judge, and sets what may end the relay. join waits for the judge's end, once the reporter has ended.
func (r *relay) start(ctx context.Context) (p *reporter, join func() (*sessionError, *totals)) {
	p = &reporter{relay: r, pipe: wire.NewPipe(r.client, r.backend, ofBackend)}
	server := context.AfterFunc(ctx, func() { r.end(cmp.Or(stopped(ctx), fail(ReasonShutdown, context.Cause(ctx)))) })
	token := func() bool { return true }
	if r.lost != nil {
		token = r.lost(func() { r.end(fail(ReasonLeaseExpired, errors.New("the gateway's Vault token has ended"))) })
	}
	j := newJudge(r)
	j.pipe = wire.NewPipe(r.backend, r.client, r.limits.ofClient)
	r.active(time.Now())
	r.left = make(chan struct{})
	judged, reported := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(judged)
		err := guard(r.logger, func() error { return j.run(ctx) })
		close(r.left)
		r.judged(err, reported)
	}()
	return p, func() (*sessionError, *totals) {
		close(reported)
		<-judged
		server()
		token()
		busy, _ := r.queue.busy()
		busy = busy && !p.settled
		_ = guard(r.logger, func() error { p.reportRest(); return nil })
		r.endCancels()
		return r.cause(), &totals{busy: busy, statements: r.statements.Load(), rows: p.rows, bytesIn: j.pipe.BytesRead(), bytesOut: p.pipe.BytesWritten()}
	}
}

// judged ends the session when the judge has ended.
func (r *relay) judged(err error, reported <-chan struct{}) {
	cause := clientEnd(err)
	if !r.lastAnswers(cause, reported) {
		r.end(cause)
	}
}

// reported ends the session when the reporter has ended, and with it the judge. After a goodbye the session ends for no other reason.
func (r *relay) reported(err error) {
	cause := asSessionError(err)
	r.mu.Lock()
	if d := r.draining; d != nil && d.reason == ReasonTerminate {
		cause = d
	}
	r.mu.Unlock()
	r.end(cause)
	_ = r.backend.SetWriteDeadline(past)
}

// cause is why the session ended.
func (r *relay) cause() *sessionError {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ending
}

// lastAnswers lets the reporter go on for a moment when the judge has ended in a way that leaves something to hear. A backend that
// takes nothing more has usually said why. A client that says goodbye may have asked for something just before: PostgreSQL carries
// that out first. It says whether the reporter has ended.
func (r *relay) lastAnswers(cause *sessionError, reported <-chan struct{}) bool {
	switch cause.reason {
	case ReasonTerminate:
		if r.queue.isCopying() { // a copy that will never be whole
			return false
		}
		r.endWhenIdle(cause)
	case ReasonBackendGone:
	default:
		return false
	}
	limit := time.NewTimer(farewellTime)
	defer limit.Stop()
	select {
	case <-reported:
		return true
	case <-limit.C:
		return false
	}
}

// guard runs one goroutine of a session and makes a panic its error: one session must not take the others down.
func guard(logger *slog.Logger, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			logger.Error("a session panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fail(ReasonInternal, errors.New("panic"))
		}
	}()
	return f()
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// clientEnd explains why the judge stopped.
func clientEnd(err error) *sessionError {
	switch {
	case errors.Is(err, errTerminate):
		return fail(ReasonTerminate, nil)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return fail(ReasonClientGone, nil)
	}
	var session *sessionError
	if errors.As(err, &session) {
		return session
	}
	return fail(ReasonClientGone, err)
}

// end ends the session: nothing more is forwarded, and the reporter says why when what runs has come to its end (settle.go). It may be called
// by anybody, any number of times.
func (r *relay) end(cause *sessionError) {
	r.mu.Lock()
	if r.ending == nil {
		r.ending = cause
	}
	if r.lastCancel.IsZero() {
		r.boundCancels(time.Now().Add(settleTime))
	}
	r.posted.Store(true)
	r.mu.Unlock()
	r.queue.end()
	r.wakeJudge()
	_ = r.backend.SetReadDeadline(past)
	// A client that does not read must not keep the reporter from hearing this.
	_ = r.client.SetWriteDeadline(time.Now().Add(farewellTime))
}

// drain ends the session as soon as it is idle.
func (r *relay) drain() { r.endWhenIdle(fail(ReasonShutdown, nil)) }

// endWhenIdle ends the session as soon as it is idle; after a goodbye, as soon as all is answered.
func (r *relay) endWhenIdle(cause *sessionError) {
	r.mu.Lock()
	if r.draining == nil || cause.reason == ReasonTerminate {
		r.draining = cause
	}
	r.posted.Store(true)
	r.mu.Unlock()
	_ = r.backend.SetReadDeadline(past)
}

// hasEnded says whether the session must end at once.
func (r *relay) hasEnded() bool {
	if !r.posted.Load() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ending != nil
}

// isEnding says whether the session must end, now or when it is idle.
func (r *relay) isEnding() bool { return r.posted.Load() }

// takeEnding is the reporter's question what was posted to it. It rearms the waking.
func (r *relay) takeEnding() *sessionError {
	_ = r.backend.SetReadDeadline(time.Time{})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending == nil && r.draining != nil && r.queue.endIfIdle(r.draining.reason == ReasonTerminate) {
		r.ending = r.draining
	}
	return r.ending
}

// endOwn is end for the reporter's own reasons. own is false if it was told to end, by this cause. After a goodbye all ends are that one.
func (r *relay) endOwn(cause *sessionError) (own bool) {
	r.mu.Lock()
	own = r.ending != cause
	goodbye := r.draining != nil && r.draining.reason == ReasonTerminate
	if goodbye && r.ending == nil {
		r.ending = r.draining
	}
	r.mu.Unlock()
	r.end(cause)
	return own
}

// wakeJudge makes a judge that waits for the client look at the queue.
func (r *relay) wakeJudge() { _ = r.client.SetReadDeadline(past) }

// active notes that the client did something.
func (r *relay) active(now time.Time) { r.lastActive.Store(now.UnixNano()) }
