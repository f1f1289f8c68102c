package gateway

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/wire"
)

// terms is what an allowed statement must keep to, beside what holds for all of its session.
type terms struct {
	caps    caps
	notices []byte   // NoticeResponses for the client, before the first answer
	audited []string // all of it, as the audit log records it
}

func termsOf(d *authz.StatementDecision) terms {
	t := terms{caps: caps{d.MaxRows, d.MaxBytes}, audited: d.Obligations()}
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
		caps: t.caps.both(other.caps), notices: slices.Concat(t.notices, other.notices), audited: slices.Concat(t.audited, other.audited),
	}
}

// oblige joins a session to what all sessions of its identity keep to together.
func (s *session) oblige(g *grant) error {
	bound := caps{g.MaxRowsPerHour, g.MaxBytesPerHour}
	if bound == (caps{}) {
		return nil
	}
	who, err := s.server.identities.join(s.user, time.Now())
	if err != nil {
		return fail(ReasonTooManySessions, err)
	}
	s.joined = true
	g.hour = &hourly{hour: &who.hour, bound: bound}
	return nil
}

// discharge ends what oblige began.
func (s *session) discharge() {
	if s.joined {
		s.server.identities.leave(s.user, time.Now())
		s.joined = false
	}
}

// meter denies what is allowed but has nothing left of its identity's hour. Other limits are kept when rows come; this one would end
// every session that asks for a single row, for that is complete before it can be cancelled.
func (j *judge) meter(p *prepared, v verdict) verdict {
	if j.hour == nil || !v.allow || j.unmetered(p) {
		return v
	}
	l, bound := j.hour.usedUp(time.Now())
	if l == limitNone {
		return v
	}
	j.metrics.limited(l)
	return verdict{revision: v.revision, denial: l.reached(bound)}
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
