package gateway

import (
	"context"
	"slices"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/wire"
)

// parse judges a Parse. An allowed one mostly runs nothing yet and leaves no event of its own: its Bind does.
func (j *judge) parse(ctx context.Context, body []byte) error {
	m, err := wire.DecodeParse(body)
	if err != nil {
		return j.refuse(wire.Parse, len(body), malformed(err))
	}
	p := j.typed(j.prepare(ctx, m.Text), m.Types)
	v, err := j.decide(ctx, p)
	if err != nil {
		return err
	}
	name := string(nameKey(m.Name))
	ops := []nameOp{{kind: setStatement, name: name, prepared: p}}
	if full := j.names.room(j.limits, ops); (v.allow || v.unknown) && full != nil {
		v = verdict{denial: full}
	}
	if !v.allow && !v.unknown { // the name may mean something when it is bound; that is decided then
		r, d := j.record(p, v, audit.ProtocolParse, name, "")
		return j.refuseRun(wire.Parse, len(body), d, r, name)
	}
	if j.runsWhenParsed(p) {
		v.used = append(v.used, parsed{name, p})
		if err := j.held(func() error { return j.recordUsed(v) }); err != nil {
			return j.refuseRun(wire.Parse, len(body), unrecorded(), nil, name)
		}
	}
	return j.forwardNaming(entry{kind: wire.Parse, ops: ops, texts: len(body) + p.known.size}, body)
}

// runsWhenParsed says whether PostgreSQL may run functions already when it parses a text: a literal that is taken for a row, an array or a
// range of a domain is such a value from then on, checked. Then the Parse has an event of its own.
func (j *judge) runsWhenParsed(p *prepared) bool {
	if p.sheet == nil || p.known.facts == nil || p.sheet.Normalized == p.text {
		return false
	}
	return slices.ContainsFunc(p.known.facts.Statements, func(s statement.Statement) bool { return s.Hints.Coerces })
}

// bind judges a Bind like an Execute: planning alone runs functions.
func (j *judge) bind(ctx context.Context, body []byte) error {
	m, err := wire.DecodeBind(body)
	if err != nil {
		return j.refuse(wire.Bind, len(body), malformed(err))
	}
	name, portalName := nameKey(m.Statement), nameKey(m.Portal)
	p, err := j.statementNamed(name)
	if err != nil {
		return err
	}
	var v verdict
	if p != nil {
		v, err = j.decide(ctx, p)
	} else {
		p, v, err = j.unknownName(ctx, noStatement(name))
	}
	if err != nil {
		return err
	}
	ops := p.bind(portalName)
	if full := j.names.room(j.limits, ops); v.allow && full != nil {
		v = verdict{denial: full}
	}
	if v, err = j.meter(p, v); err != nil {
		return err
	}
	j.event.Values = j.bindValues(p, &m)
	r, d := j.record(p, v, audit.ProtocolBind, p.called(name), ops[0].name)
	j.event.Values = nil
	if d != nil {
		return j.refuseRun(wire.Bind, len(body), d, r, "")
	}
	r.recorded = recorded{v, p.known.recorded.Relations()}
	if err := j.shareExecuted(r, ops[0].portal); err != nil {
		return j.unforwarded(r, err)
	}
	if err := j.alone(r); err != nil {
		return j.unforwarded(r, err)
	}
	return j.forwardNaming(entry{kind: wire.Bind, run: r, ops: ops, notices: v.terms.notices}, body)
}

// execute judges an Execute: by what its portal runs, as names resolve now.
func (j *judge) execute(ctx context.Context, body []byte) error {
	name, _, err := wire.DecodeExecute(body)
	if err != nil {
		return j.refuse(wire.Execute, len(body), malformed(err))
	}
	name = nameKey(name)
	o, err := j.portalNamed(name)
	if err != nil {
		return err
	}
	var v verdict
	if o != nil {
		v, err = j.decide(ctx, o.prepared)
	} else {
		o = &portal{}
		o.prepared, v, err = j.unknownName(ctx, noPortal(name))
	}
	if err != nil {
		return err
	}
	ops := executeOps(o.prepared)
	if full := j.names.room(j.limits, ops); v.allow && full != nil {
		v = verdict{denial: full}
	}
	moves, err := j.movesNames(o.prepared, 0)
	if err != nil {
		return err
	}
	e := entry{kind: wire.Execute, ops: ops, mayCopy: j.mayCopy(o.prepared)}
	if bound, _ := j.names.pendingRuns.get(name); bound != nil && v.allow && bound.recorded.same(o.prepared, v) {
		e.run, e.bound = bound, true
	} else {
		var d *denial
		if v, err = j.meter(o.prepared, v); err != nil {
			return err
		}
		if e.run, d = j.record(o.prepared, v, audit.ProtocolExecute, "", string(name)); d != nil {
			return j.refuseRun(wire.Execute, len(body), d, e.run, "")
		}
		if err := j.shareExecuted(e.run, o); err != nil {
			return j.unforwarded(e.run, err)
		}
		e.notices = v.terms.notices
	}
	j.names.pendingRuns.remove(string(name))
	return j.forwardExecute(e, moves, body)
}

// executeOps lists what running a portal's text does to names.
func executeOps(p *prepared) []nameOp {
	if p.sheet == nil || len(p.sheet.Statements) != 1 || p.inner {
		return nil
	}
	return appendOps(nil, p, &p.sheet.Statements[0], 0)
}

// forwardExecute forwards an Execute with what its SQL does to names.
func (j *judge) forwardExecute(e entry, moves movement, body []byte) error {
	if err := j.alone(e.run); err != nil {
		if e.bound { // it is told of as that
			return err
		}
		return j.unforwarded(e.run, err)
	}
	j.announce(moves)
	pushed, skipped, err := j.forward(e, body)
	if err != nil || skipped {
		return err
	}
	next := j.queue.nextReady()
	j.bounded(pushed.run, next)
	j.names.forwarded(pushed.ops)
	j.noteMoves(moves, next)
	if err := j.startDeadline(pushed); err != nil {
		return err
	}
	return j.awaitCopy(pushed)
}

// statementNamed finds what a name means to the message at the head, waiting for the backend where only it can tell. Behind an error
// it means nothing: the backend discards the message.
func (j *judge) statementNamed(name []byte) (*prepared, error) {
	for {
		p, wait := j.names.statement(name, j.queue.readySeen.Load())
		if wait == 0 {
			return p, nil
		}
		if discarded, err := j.awaitReady(wait); discarded || err != nil {
			return nil, err
		}
	}
}

// portalNamed does for portals what statementNamed does for statements.
func (j *judge) portalNamed(name []byte) (*portal, error) {
	for {
		o, wait := j.names.portal(name, j.queue.readySeen.Load())
		if wait == 0 {
			return o, nil
		}
		if discarded, err := j.awaitReady(wait); discarded || err != nil {
			return nil, err
		}
	}
}

// awaitReady forwards what was accepted and waits for a ReadyForQuery whose cause is among it. discarded says that it is not coming
// before a Sync that the client has yet to send: the backend discards everything up to that. Nor is it while the backend copies in, where it
// takes no such message.
func (j *judge) awaitReady(number uint64) (discarded bool, err error) {
	err = j.held(func() error {
		if err := j.flush(); err != nil {
			return err
		}
		discarded, err = j.queue.waitReady(number)
		return err
	})
	return discarded, err
}

// noStatement and noPortal are PostgreSQL's own words for names that mean nothing.
func noStatement(name []byte) *denial {
	if len(name) == 0 {
		return &denial{sqlstate: "26000", message: "unnamed prepared statement does not exist"}
	}
	return &denial{sqlstate: "26000", message: "prepared statement \"" + string(name) + "\" does not exist"}
}

func noPortal(name []byte) *denial {
	return &denial{sqlstate: "34000", message: "portal \"" + string(name) + "\" does not exist"}
}
