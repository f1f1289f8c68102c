package gateway

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"golang.org/x/time/rate"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/wire"
)

// terms is what an allowed statement must keep to, beside what holds for all of its session.
type terms struct {
	caps    caps
	timeout time.Duration // 0: none of its own
	notices []byte        // NoticeResponses for the client, before the first answer
	audited []string      // all of it, as the audit log records it
}

func termsOf(d *authz.StatementDecision) terms {
	t := terms{caps: caps{d.MaxRows, d.MaxBytes}, timeout: d.StatementTimeout, audited: d.Obligations()}
	for _, warning := range d.Warnings {
		t.notices = append(t.notices, warningNotice(warning)...)
	}
	return t
}

// warningNotice is a warning of the policy as the client hears it. What client_min_messages says does not matter to it: it is not
// PostgreSQL's.
func warningNotice(text string) []byte {
	b, err := (&pgproto3.NoticeResponse{Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "01000", Message: text}).Encode(nil)
	if err != nil { // it is bounded
		return nil
	}
	return b
}

// both holds the terms of two texts that run together.
func (t terms) both(other terms) terms {
	return terms{
		caps: t.caps.both(other.caps), timeout: tighter(t.timeout, other.timeout), notices: slices.Concat(t.notices, other.notices), audited: slices.Concat(t.audited, other.audited),
	}
}

func (t terms) same(other terms) bool {
	return t.caps == other.caps && t.timeout == other.timeout && bytes.Equal(t.notices, other.notices) && slices.Equal(t.audited, other.audited)
}

// oblige joins a session to what all sessions of its identity keep to together.
func (s *session) oblige(g *grant) error {
	if !s.server.grant(s, g.MaxSessions) {
		return &sessionError{
			reason: ReasonTooManySessions, message: "too many sessions of " + s.user,
			detail: fmt.Sprintf("Policy allows %d at once.", g.MaxSessions), hint: "Decision " + s.id + ". Close one that is no longer used.",
		}
	}
	var err error
	g.hour, g.pace, err = s.share(&g.ConnectDecision)
	return err
}

// share gives a session its part of what a decision limits for all sessions of its identity together.
func (s *session) share(d *authz.ConnectDecision) (hour *hourly, pace *rate.Limiter, err error) {
	bound := caps{d.MaxRowsPerHour, d.MaxBytesPerHour}
	if bound == (caps{}) && d.MaxStatementsPerSecond == 0 {
		return nil, nil, nil
	}
	if s.joined == nil {
		if s.joined, err = s.server.identities.join(s.user, time.Now()); err != nil {
			return nil, nil, fail(ReasonTooManySessions, err)
		}
	}
	if bound != (caps{}) {
		hour = &hourly{hour: &s.joined.hour, bound: bound}
	}
	if d.MaxStatementsPerSecond > 0 {
		pace = s.server.identities.pace(s.joined, d.MaxStatementsPerSecond)
	}
	return hour, pace, nil
}

// discharge ends what oblige began.
func (s *session) discharge() {
	s.server.ungrant(s)
	if s.joined != nil {
		s.server.identities.leave(s.user, time.Now())
		s.joined = nil
	}
}

// meter holds a statement to what its identity may do in an hour and in a second. It may take a while. What policy has denied already
// stays denied for that reason.
func (j *judge) meter(p *prepared, v verdict) (verdict, error) {
	if j.hour == nil && j.pace == nil || j.unmetered(p) {
		return v, nil
	}
	var reached *denial
	if v.allow {
		reached = j.usedUp()
	}
	if reached == nil {
		var err error
		if reached, err = j.keepPace(); err != nil {
			return v, err
		}
	}
	if reached == nil || !v.allow {
		return v, nil
	}
	return verdict{revision: v.revision, denial: reached}, nil
}

// usedUp says what the client hears when nothing is left of its identity's hour. Other caps are kept when rows come; this one would end
// every session that asks for a single row, for that is complete before it can be cancelled.
func (j *judge) usedUp() *denial {
	if j.hour == nil {
		return nil
	}
	l, bound := j.hour.usedUp(time.Now())
	if l == limitNone {
		return nil
	}
	j.metrics.limited(l)
	return l.reached(bound)
}

// maxDelay is how long a statement waits for its turn. A single session never waits longer than for one statement; more than this
// comes of many sessions, and they would all hang.
const maxDelay = time.Second

// keepPace delays a statement that comes too soon after the ones before. When it would have to wait too long, it says what the client
// hears.
func (j *judge) keepPace() (*denial, error) {
	if j.pace == nil {
		return nil, nil
	}
	now := time.Now()
	turn := j.pace.ReserveN(now, 1)
	delay := turn.DelayFrom(now)
	if delay > maxDelay {
		turn.CancelAt(now)
		j.metrics.limited(limitStatements)
		return limitStatements.reached(uint64(j.pace.Burst())), nil // #nosec -- not negative
	}
	if delay == 0 {
		return nil, nil
	}
	j.metrics.delayed()
	return nil, j.held(func() error {
		if err := j.flush(); err != nil { // what was sent before it goes on
			return err
		}
		return j.queue.pause(delay)
	})
}

// unmetered says whether a text must not be denied or delayed by limits: what ends a transaction, and anything in one that has failed.
func (j *judge) unmetered(p *prepared) bool {
	if busy, status := j.queue.busy(); !busy && status == wire.Failed {
		return true
	}
	return p.sheet != nil && len(p.sheet.Statements) > 0 && endsTransaction(p.sheet)
}

func endsTransaction(sheet *statement.Sheet) bool {
	for i := range sheet.Statements {
		switch sheet.Statements[i].Command {
		case "COMMIT", "ROLLBACK", "ROLLBACK TO":
		default:
			return false
		}
	}
	return true
}
