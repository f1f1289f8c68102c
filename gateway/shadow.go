package gateway

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/metrics"
)

const (
	// shadowQueue is how many decisions may wait for the second policy: half a second's worth at a tenth of a millisecond each. Beyond
	// that they are dropped, for no client waits.
	shadowQueue = 4096
	// shadowLines and shadowBurst bound what differences put into the log: a second policy may differ at every statement.
	shadowLines = rate.Limit(1) // a second
	shadowBurst = 20
)

// Shadow has a second policy decide what the first one has decided, and says where they differ. What it says is never enforced, and
// nobody waits for it. A nil Shadow does nothing.
type Shadow struct {
	engine  *authz.Engine
	queue   chan comparison
	metrics *metrics.Metrics
	logger  *slog.Logger
	lines   *rate.Limiter
	silent  uint64 // differences that the limiter kept out of the log since the last line; Run's
}

// NewShadow makes a shadow of a policy, which the caller keeps up to date. Run has to run.
func NewShadow(engine *authz.Engine, m *metrics.Metrics, logger *slog.Logger) *Shadow {
	return &Shadow{
		engine: engine, queue: make(chan comparison, shadowQueue), metrics: m, logger: logger, lines: rate.NewLimiter(shadowLines, shadowBurst),
	}
}

// shadowed is a session to the second policy. Run is the only one who asks its trial.
type shadowed struct {
	shadow *Shadow
	id     string
	trial  *authz.Trial
	input  atomic.Pointer[authz.StatementInput] // all but the statement; nil while the session connects
}

// comparison is a decision of the first policy that the second is to be asked about.
type comparison struct {
	session  *shadowed
	number   uint64           // of the statement event; 0: the connection
	sheet    *statement.Sheet // what the first was asked about
	first    verdict
	role     string // of a connection
	route    string
	observe  bool
	readOnly bool
}

// connected has the connect decision compared, and begins the session to the second policy. It is nil without one.
func (s *Shadow) connected(input authz.ConnectInput, d *authz.ConnectDecision) *shadowed {
	if s == nil {
		return nil
	}
	session := &shadowed{shadow: s, id: input.Session.ID, trial: s.engine.Trial(input)}
	session.decided(d)
	return session
}

// decided has a connect decision compared: the first, or another one since policy has changed.
func (s *shadowed) decided(d *authz.ConnectDecision) {
	if s == nil {
		return
	}
	s.shadow.offer(comparison{
		session: s, first: verdict{allow: d.Allow, reasons: d.Reasons, revision: d.Revision}, role: d.Role, route: d.Route, observe: d.Observe, readOnly: d.ReadOnly,
	})
}

// relays says what the session's statements have in common.
func (s *shadowed) relays(input authz.StatementInput) {
	if s != nil {
		s.input.Store(&input)
	}
}

// regrouped is a session of somebody who is in other groups now: what is yet to be compared was decided about the one before.
func (s *shadowed) regrouped(connect authz.ConnectInput, statements authz.StatementInput, d *authz.ConnectDecision) *shadowed {
	if s == nil {
		return nil
	}
	next := s.shadow.connected(connect, d)
	next.relays(statements)
	return next
}

// answered notes what policy itself has said about a text, before anything else is made of it.
func (o *opinion) answered(sheet *statement.Sheet, v verdict) {
	o.asked, o.answer, o.compared = sheet, v, nil
	if v.denial != nil { // it had no answer
		o.asked = nil
	}
}

// judged has the decision about a text compared that has just been recorded, once for every policy that either of them is.
func (s *shadowed) judged(o *opinion, number uint64) {
	if s == nil || o.asked == nil {
		return
	}
	current := s.shadow.engine.Policy()
	if o.compared == current {
		return
	}
	if s.shadow.offer(comparison{session: s, number: number, sheet: o.asked, first: o.answer}) {
		o.compared = current
	}
}

// offer queues a comparison, or drops it.
func (s *Shadow) offer(c comparison) bool {
	select {
	case s.queue <- c:
		return true
	default:
		s.metrics.ShadowDropped.Inc()
		return false
	}
}

// Run asks the second policy until ctx ends; it then returns nil.
func (s *Shadow) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-s.queue:
			s.compare(ctx, &c)
		}
	}
}

func (s *Shadow) compare(ctx context.Context, c *comparison) {
	kind, change, second := "connect", "", verdict{}
	var err error
	if c.sheet == nil {
		second, change, err = c.connect(ctx)
	} else {
		kind = "statement"
		second, err = c.statement(ctx)
		if errors.Is(err, authz.ErrNotAdmitted) { // was a difference when it connected
			return
		}
	}
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.metrics.ShadowErrors.Inc()
		s.tell(c, "shadow policy could not decide", slog.String("error", err.Error()))
		return
	}
	s.metrics.ShadowDecisions.Inc()
	if second.allow != c.first.allow {
		change = map[bool]string{true: "newly_allowed", false: "newly_denied"}[second.allow]
	}
	if change == "" {
		return
	}
	s.metrics.ShadowDifferences.Inc(kind, change)
	s.tell(c, "shadow policy differs", slog.String("kind", kind), slog.String("change", change), slog.Any("reasons", second.reasons),
		slog.Any("reasons_in_force", c.first.reasons), slog.String("shadow_revision", second.revision), slog.String("revision", c.first.revision))
}

// connect asks about the connection. change says when only the terms differ.
func (c *comparison) connect(ctx context.Context) (second verdict, change string, err error) {
	d, err := c.session.trial.Connect(ctx)
	if err != nil {
		return verdict{}, "", err
	}
	if d.Allow && (d.Role != c.role || d.Route != c.route || d.Observe != c.observe || d.ReadOnly != c.readOnly) {
		change = "other_terms"
	}
	return verdict{allow: d.Allow, reasons: d.Reasons, revision: d.Revision}, change, nil
}

func (c *comparison) statement(ctx context.Context) (verdict, error) {
	input := *c.session.input.Load()
	input.Statement = c.sheet
	d, err := c.session.trial.Statement(ctx, input)
	if err != nil {
		return verdict{}, err
	}
	return verdict{allow: d.Allow, reasons: d.Reasons, revision: d.Revision}, nil
}

// tell writes a line, unless there were too many.
func (s *Shadow) tell(c *comparison, message string, attributes ...slog.Attr) {
	if !s.lines.Allow() {
		s.silent++
		return
	}
	decision := c.session.id
	if c.number > 0 {
		decision = audit.StatementID(c.session.id, c.number)
	}
	attributes = append(attributes, slog.String("session", c.session.id), slog.String("decision", decision))
	if s.silent > 0 {
		attributes = append(attributes, slog.Uint64("not_logged", s.silent))
		s.silent = 0
	}
	s.logger.LogAttrs(context.Background(), slog.LevelInfo, message, attributes...)
}
