package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/metrics"
)

// sessionMetrics are the metrics that every statement counts in, looked up once.
type sessionMetrics struct {
	metrics   *metrics.Metrics
	protocols map[audit.Protocol]decisionCounters
}

// decisionCounters are the counters of one protocol message.
type decisionCounters struct{ allow, deny, observe prometheus.Counter }

func newSessionMetrics(m *metrics.Metrics) *sessionMetrics {
	s := &sessionMetrics{metrics: m, protocols: map[audit.Protocol]decisionCounters{}}
	for _, p := range []audit.Protocol{
		audit.ProtocolQuery, audit.ProtocolParse, audit.ProtocolBind, audit.ProtocolExecute, audit.ProtocolFunctionCall,
	} {
		s.protocols[p] = decisionCounters{
			allow:   m.Statements.Of(string(p), string(audit.DecisionAllow)),
			deny:    m.Statements.Of(string(p), string(audit.DecisionDeny)),
			observe: m.Statements.Of(string(p), string(audit.DecisionObserve)),
		}
	}
	return s
}

// statement counts a judged statement.
func (s *sessionMetrics) statement(protocol audit.Protocol, decision audit.Decision, judged time.Duration) {
	c := s.protocols[protocol]
	switch decision {
	case audit.DecisionAllow:
		c.allow.Inc()
	case audit.DecisionObserve:
		c.observe.Inc()
	default:
		c.deny.Inc()
	}
	s.metrics.JudgeDuration.Observe(judged.Seconds())
}

// denied counts what the client hears instead.
func (s *sessionMetrics) denied(sqlstate string) { s.metrics.Denials.Inc(sqlstate) }

// limited counts a limit that was reached.
func (s *sessionMetrics) limited(l limit) { s.metrics.LimitsReached.Inc(string(l)) }

// decisionLate counts a statement that was denied because something took too long.
func (s *sessionMetrics) decisionLate(at stage) { s.metrics.DecisionsLate.Inc(string(at)) }

// delayed counts a statement that had to wait for its turn.
func (s *sessionMetrics) delayed() { s.metrics.StatementsDelayed.Inc() }

// auditFailed counts an event that could not be written.
func (s *sessionMetrics) auditFailed() { s.metrics.AuditFailures.Inc() }

// outcome counts the end of a statement.
func (s *sessionMetrics) outcome(duration time.Duration) {
	s.metrics.StatementDuration.Observe(duration.Seconds())
}
