package gateway

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/wire"
)

// parse judges a Parse. An allowed one runs nothing yet and leaves no event of its own: its Bind does.
func (j *judge) parse(ctx context.Context, body []byte) error {
	began := time.Now()
	m, err := wire.DecodeParse(body)
	if err != nil {
		return j.refuse(wire.Parse, len(body), malformed(err))
	}
	p := j.prepare(ctx, m.Text)
	v, err := j.decide(ctx, p)
	if err != nil {
		return err
	}
	name := string(m.Name)
	if v.allow && !j.names.room(j.limits, p) {
		v = verdict{denial: &denial{sqlstate: "53400", message: "too many prepared statements in this session", hint: "Close statements that are no longer used."}}
	}
	if !v.allow {
		r, d := j.record(p, v, audit.ProtocolParse, name, "", began)
		return j.refuseRun(wire.Parse, len(body), d, r, name)
	}
	e := entry{kind: wire.Parse, ops: []nameOp{{kind: setStatement, name: name, prepared: p}}}
	return j.forwardNaming(e, body)
}

// bind judges a Bind like an Execute: planning alone runs functions.
func (j *judge) bind(ctx context.Context, body []byte) error {
	began := time.Now()
	m, err := wire.DecodeBind(body)
	if err != nil {
		return j.refuse(wire.Bind, len(body), malformed(err))
	}
	p, err := j.statementNamed(m.Statement)
	if err != nil {
		return err
	}
	v := verdict{denial: noStatement(m.Statement)}
	if p != nil {
		if v, err = j.decide(ctx, p); err != nil {
			return err
		}
	} else {
		p, v = j.unknownName(v)
	}
	name, portalName := string(m.Statement), string(m.Portal)
	r, d := j.record(p, v, audit.ProtocolBind, name, portalName, began)
	if d != nil {
		return j.refuseRun(wire.Bind, len(body), d, r, "")
	}
	op := nameOp{kind: setPortal, name: portalName, portal: &portal{prepared: p, run: r}}
	return j.forwardNaming(entry{kind: wire.Bind, run: r, ops: []nameOp{op}}, body)
}

// execute judges an Execute: by what its portal runs, as names resolve now.
func (j *judge) execute(ctx context.Context, body []byte) error {
	began := time.Now()
	name, _, err := wire.DecodeExecute(body)
	if err != nil {
		return j.refuse(wire.Execute, len(body), malformed(err))
	}
	o, err := j.portalNamed(name)
	if err != nil {
		return err
	}
	v := verdict{denial: noPortal(name)}
	if o != nil {
		if v, err = j.decide(ctx, o.prepared); err != nil {
			return err
		}
	} else {
		o = &portal{}
		o.prepared, v = j.unknownName(v)
	}
	r := o.run
	if r == nil || !v.allow {
		var d *denial
		if r, d = j.record(o.prepared, v, audit.ProtocolExecute, "", string(name), began); d != nil {
			return j.refuseRun(wire.Execute, len(body), d, r, "")
		}
	}
	o.run = nil
	return j.forwardExecute(entry{kind: wire.Execute, run: r, mayCopy: mayCopy(o.prepared)}, o.prepared, body)
}

// forwardExecute forwards an Execute with what its SQL does to names.
func (j *judge) forwardExecute(e entry, p *prepared, body []byte) error {
	if p.sheet != nil && len(p.sheet.Statements) == 1 && !p.inner {
		e.ops = appendOps(nil, p, &p.sheet.Statements[0], 0)
	}
	pushed, skipped, err := j.forward(e, body)
	if err != nil || skipped {
		return err
	}
	j.names.forwarded(pushed.ops)
	j.noteMoves(p, j.queue.progress().readyOwed+1)
	return j.awaitCopy(pushed)
}

// statementNamed finds what a name means to the message at the head, waiting for the backend where only it can tell.
func (j *judge) statementNamed(name []byte) (*prepared, error) {
	for {
		p, wait := j.names.statement(name, j.queue.progress().readySeen)
		if wait == 0 {
			return p, nil
		}
		if err := j.awaitReady(wait); err != nil {
			return nil, err
		}
	}
}

// portalNamed does for portals what statementNamed does for statements.
func (j *judge) portalNamed(name []byte) (*portal, error) {
	for {
		o, wait := j.names.portal(name, j.queue.progress().readySeen)
		if wait == 0 {
			return o, nil
		}
		if err := j.awaitReady(wait); err != nil {
			return nil, err
		}
	}
}

// awaitReady forwards what was accepted and waits for a ReadyForQuery whose cause is among it.
func (j *judge) awaitReady(number uint64) error {
	if err := j.flush(); err != nil {
		return err
	}
	return j.queue.waitReady(number)
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
