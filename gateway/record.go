package gateway

import (
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
)

// record writes the statement event; nothing is forwarded before that. d is the denial when the statement must not run: the
// verdict's, or that of an audit log that does not take the event.
func (j *judge) record(p *prepared, v verdict, protocol audit.Protocol, name, portal string) (r *run, d *denial) {
	if v.allow && len(v.used) > 0 {
		if err := j.held(func() error { return j.recordUsed(v) }); err != nil {
			return nil, unrecorded()
		}
	}
	j.number++
	j.statements.Add(1)
	if !v.allow {
		id := audit.StatementID(j.id, j.number)
		d = denied(v.reasons, id)
		if v.denial != nil {
			d = v.denial.decided(id)
		}
	}
	j.fillEvent(p, v, d)
	j.event.Protocol, j.event.StatementName, j.event.Portal, j.event.Time = protocol, name, portal, j.began
	took := elapsed(j.began)
	judged := took - j.waited
	if err := j.appendEvent(); err != nil {
		return nil, unrecorded()
	}
	done := elapsed(j.began)
	j.waited += done - took
	j.clock, j.fresh = j.began.Add(done), true
	j.shadow.judged(p.known, j.number)
	j.metrics.statement(protocol, j.event.Decision, judged)
	r = j.spare.take()
	r.number, r.started, r.judged = j.number, j.began, judged
	if d == nil {
		r.allowance = j.allowance(v)
		if after := tighter(v.terms.timeout, j.timeout); after > 0 {
			r.deadline = &deadline{after: after}
		}
	}
	return r, d
}

// recorded is what the event of a Bind says, beside the text. The first Execute needs none of its own if that would say the same.
type recorded struct {
	verdict   verdict
	relations []string
}

// same says whether an event would say that too. It would not when policy, definitions or a name that the text runs have changed.
func (r recorded) same(p *prepared, v verdict) bool {
	return v.observed == r.verdict.observed && v.revision == r.verdict.revision && slices.Equal(v.reasons, r.verdict.reasons) &&
		v.terms.same(r.verdict.terms) && slices.Equal(v.used, r.verdict.used) && slices.Equal(p.known.recorded.Relations(), r.relations)
}

// fillEvent fills in what is not the same for all statements of the session.
func (j *judge) fillEvent(p *prepared, v verdict, d *denial) {
	e := &j.event
	e.Number = j.number
	e.Text, e.Normalized, e.Facts = p.audit, p.known.normalized, p.known.recorded
	if v.secret {
		e.Text = p.audit.WithoutValues()
	}
	e.Incomplete, e.Resolved = true, false
	if p.sheet != nil {
		e.Incomplete = !p.sheet.Complete || v.unsure
	}
	if p.known.facts != nil {
		e.Incomplete, e.Resolved = !p.known.facts.Complete || v.unsure, p.known.facts.Resolved
	}
	e.Reasons, e.PolicyRevision, e.SQLSTATE, e.Obligations = v.reasons, v.revision, "", nil
	if d == nil {
		e.Obligations = v.terms.audited
	}
	switch {
	case d != nil:
		e.Decision, e.SQLSTATE = audit.DecisionDeny, d.sqlstate
		if v.denial != nil && len(v.reasons) == 0 {
			e.Reasons = []string{d.message}
		}
	case v.observed:
		e.Decision = audit.DecisionObserve
	default:
		e.Decision = audit.DecisionAllow
	}
}

// appendEvent writes the statement event as it is filled in.
func (j *judge) appendEvent() error {
	err := j.log.Append(&j.event)
	if err != nil {
		j.metrics.auditFailed()
		j.logger.Error("audit log does not take a statement; it is denied", "error", err)
	}
	return err
}

// unrecorded is the denial of a statement whose event the audit log does not take.
func unrecorded() *denial {
	return &denial{sqlstate: "58030", message: "statement denied: its audit event cannot be written", hint: "Tell the gateway's operators; nothing was executed."}
}

// recordUsed writes the texts that a statement runs by names which only Parse has given: EXECUTE shows no more than the name, and an
// allowed Parse leaves no event of its own. Each is an event of its Parse, which is over.
func (j *judge) recordUsed(v verdict) error {
	values := j.event.Values
	j.event.Values = nil // they are of the text that runs these
	defer func() { j.event.Values = values }()
	for _, u := range v.used {
		j.number++
		j.fillEvent(u.prepared, verdict{allow: true, observed: v.observed, reasons: v.reasons, revision: v.revision}, nil)
		j.event.Protocol, j.event.StatementName, j.event.Portal, j.event.Time = audit.ProtocolParse, u.name, "", j.began
		if err := j.appendEvent(); err != nil {
			return err
		}
		j.shadow.judged(u.prepared.known, j.number)
		r := &run{number: j.number, started: j.began, waited: j.waited, status: audit.StatusCompleted}
		if err := j.writeOutcome(&audit.Outcome{}, r, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// Relations are those of a sheet as the audit log lists them, for those who compare with it.
func Relations(sheet *statement.Sheet) []string {
	_, relations := summarize(sheet)
	return relations
}

// summarize gives the audit event's view of a sheet.
func summarize(sheet *statement.Sheet) (commands, relations []string) {
	for i := range sheet.Statements {
		s := &sheet.Statements[i]
		commands = append(commands, s.Commands...)
		for _, r := range s.Relations {
			relations = append(relations, describeRelation(r))
		}
	}
	return commands, relations
}

func describeRelation(r statement.Relation) string {
	line := describeName(statement.Name{Schema: r.Schema, Name: r.Name}) + " " + strings.Join(r.Access, ",")
	columns := r.Columns
	if r.AllUnsure {
		columns = []string{"*"}
	}
	if len(columns) > 0 {
		line += " (" + strings.Join(columns, ",") + ")"
	}
	for _, view := range r.Through {
		line += " through " + describeName(view)
	}
	return line
}

func describeName(n statement.Name) string {
	if n.Schema == "" {
		return n.Name
	}
	return n.Schema + "." + n.Name
}
