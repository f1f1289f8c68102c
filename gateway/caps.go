package gateway

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/wire"
)

// caps bounds, or counts, what is delivered to the client: DataRow and CopyData messages and the bytes in them. As a bound, zero is none.
type caps struct{ rows, bytes uint64 }

func (c *caps) add(rows, bytes uint64) {
	c.rows += rows
	c.bytes += bytes
}

// both holds what two decisions allow.
func (c caps) both(other caps) caps {
	return caps{tighter(c.rows, other.rows), tighter(c.bytes, other.bytes)}
}

// tighter is the smaller of two bounds of which zero is none.
func tighter[T uint64 | time.Duration](a, b T) T {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// passed says which bound is passed by one more message of so many bytes, after what was delivered; limitNone for neither.
func (c caps) passed(delivered caps, bytes uint64) limit {
	switch {
	case c.rows > 0 && delivered.rows+1 > c.rows:
		return limitRows
	case c.bytes > 0 && delivered.bytes+bytes > c.bytes:
		return limitBytes
	}
	return limitNone
}

// limit is a limit that a policy sets and a statement reached, by the name that metrics show.
type limit string

// The limits.
const (
	limitNone         limit = ""
	limitRows         limit = "rows"
	limitBytes        limit = "bytes"
	limitRowsPerHour  limit = "rows_per_hour"
	limitBytesPerHour limit = "bytes_per_hour"
	limitStatements   limit = "statements_per_second"
	limitTimeout      limit = "statement_timeout"
)

// reached is the error that the client hears of a limit.
func (l limit) reached(bound uint64) *denial {
	d := &denial{sqlstate: "53400", named: true}
	switch l {
	case limitRows:
		d.message = fmt.Sprintf("row limit of %d reached", bound)
		d.detail, d.hint = "Policy limits the rows that one statement delivers.", "Ask for fewer rows, for instance by LIMIT."
	case limitBytes:
		d.message = fmt.Sprintf("byte limit of %d reached", bound)
		d.detail, d.hint = "Policy limits the bytes that one statement delivers.", "Ask for fewer rows or columns."
	case limitRowsPerHour:
		d.message = fmt.Sprintf("row limit of %d per hour reached", bound)
		d.detail, d.hint = "Policy limits the rows that all your sessions are delivered in an hour.", "Try again later."
	case limitBytesPerHour:
		d.message = fmt.Sprintf("byte limit of %d per hour reached", bound)
		d.detail, d.hint = "Policy limits the bytes that all your sessions are delivered in an hour.", "Try again later."
	case limitStatements:
		d.message = fmt.Sprintf("limit of %d statements per second reached", bound)
		d.detail, d.hint = "Policy limits the statements that all your sessions run in a second.", "Send fewer at once."
	}
	return d
}

// allowance is what one statement may deliver. The judge makes it; then it is the reporter's, with the run it belongs to.
type allowance struct {
	caps    caps
	portals []*caps // what was delivered of the portals it reads: however many messages fetch from a portal, one cap holds
	hour    *hourly // nil: no limit
}

// allowance makes the allowance of an allowed statement; nil when nothing bounds it.
func (j *judge) allowance(v verdict) *allowance {
	c := caps{j.grant.MaxRows, j.grant.MaxBytes}.both(v.terms.caps)
	if c == (caps{}) && j.hour == nil {
		return nil
	}
	return &allowance{caps: c, hour: j.hour}
}

// take accounts for one message towards the client. When that would pass a limit, it takes nothing and says what the client hears.
func (a *allowance) take(run *run, bytes uint64) (limit, *denial) {
	delivered := caps{run.rows, run.bytes}
	for _, p := range a.portals {
		delivered = caps{max(delivered.rows, p.rows), max(delivered.bytes, p.bytes)}
	}
	switch l := a.caps.passed(delivered, bytes); l {
	case limitRows:
		return l, l.reached(a.caps.rows)
	case limitBytes:
		return l, l.reached(a.caps.bytes)
	}
	if a.hour != nil {
		if l, bound := a.hour.take(time.Now(), bytes); l != limitNone {
			return l, l.reached(bound)
		}
	}
	for _, p := range a.portals {
		p.add(1, bytes)
	}
	return limitNone, nil
}

// reads makes what a statement delivers of a portal count with what is delivered of it by others.
func (a *allowance) reads(o *portal) {
	if o.delivered == nil {
		o.delivered = &caps{}
	}
	if !slices.Contains(a.portals, o.delivered) {
		a.portals = append(a.portals, o.delivered)
	}
}

// share gives a statement the portals that its text fetches from. ops is what the same text does to names: a FETCH may follow its DECLARE.
func (j *judge) share(r *run, p *prepared, ops []nameOp) error {
	if r == nil || r.allowance == nil || p.sheet == nil {
		return nil
	}
	for i := range p.sheet.Statements {
		s := &p.sheet.Statements[i]
		if s.Prepared == nil || s.Prepared.Action != "fetch" {
			continue
		}
		o, err := j.fetched(s.Prepared.Name, ops)
		if err != nil {
			return err
		}
		if o != nil {
			r.allowance.reads(o)
		}
	}
	return nil
}

// shareExecuted gives a statement the portal that it is executed as, and those that its text fetches from.
func (j *judge) shareExecuted(r *run, o *portal) error {
	if r == nil || r.allowance == nil {
		return nil
	}
	r.allowance.reads(o)
	return j.share(r, o.prepared, nil)
}

// fetched finds the portal that a FETCH reads: one that the same text declares, or what the name means now.
func (j *judge) fetched(name string, ops []nameOp) (*portal, error) {
	for _, op := range ops {
		if op.kind == setPortal && op.name == name {
			return op.portal, nil
		}
	}
	return j.portalNamed([]byte(name))
}

// row passes on one message of data, or cuts its statement off.
func (r *reporter) row(t wire.Type, size int) error {
	if err := r.expectData(t); err != nil {
		return err
	}
	if t != wire.FunctionCallResponse && r.short(size) {
		return r.toClient(r.pipe.Drop(size))
	}
	run := r.asked().run
	if run != nil && run.allowance != nil {
		if run.cut == nil {
			if l, d := run.allowance.take(run, uint64(size)); d != nil { // #nosec -- a message's size
				r.cutOff(run, l, d)
			}
		}
		if run.cut != nil {
			return r.toClient(r.pipe.Drop(size))
		}
	}
	run.count(size)
	r.rows++
	r.pipe.Accept(size)
	return nil
}

// expectData says whether what the backend is answering can have data, or a description, of this type. No statement's limits would count it
// otherwise.
func (r *reporter) expectData(t wire.Type) error {
	e := r.asked()
	fits := false
	switch t {
	case wire.FunctionCallResponse:
		fits = e.kind == wire.FunctionCall
	case wire.ParameterDescription:
		fits = e.kind == wire.Describe
	default:
		fits = e.kind == wire.Query || e.kind == wire.Execute
	}
	if !fits || e.denial != nil {
		return fail(ReasonBackendOutOfStep, fmt.Errorf("%q came where %q was asked", t, e.kind))
	}
	return nil
}

// cutOff ends the delivery of a statement that reached a limit. What it says further is dropped; the backend is asked to cancel it, and
// the error that it then raises is replaced by the limit's. So the state of the transaction is PostgreSQL's own.
func (r *reporter) cutOff(run *run, l limit, d *denial) {
	cut := d.decided(audit.StatementID(r.id, run.number))
	run.cut = cut
	run.failed(audit.StatusCapped, d.sqlstate)
	r.metrics.limited(l)
	r.cancelHead(overrun(cut))
}

// overrun ends the session of a statement that was complete before it could be cancelled. An ERROR would have to come with a state of
// the transaction that PostgreSQL is not in.
func overrun(d *denial) *sessionError {
	return &sessionError{reason: ReasonCapped, sqlstate: d.sqlstate, message: d.message, detail: d.detail, hint: d.hint}
}

// checkCut ends the session when the statement that is being answered was cut off and goes on to its end.
func (r *reporter) checkCut() error {
	if run := r.asked().run; run != nil && run.cut != nil {
		return overrun(run.cut)
	}
	return nil
}
