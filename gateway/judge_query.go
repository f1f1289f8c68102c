package gateway

import (
	"context"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/wire"
)

// query judges a simple Query: all its statements, or none.
func (j *judge) query(ctx context.Context, body []byte) error {
	text, err := wire.DecodeQuery(body)
	if err != nil {
		return j.refuse(wire.Query, len(body), malformed(err))
	}
	p := j.read(ctx, text)
	v, err := j.decide(ctx, p)
	if err != nil {
		return err
	}
	ops := queryOps(p)
	if full := j.names.room(j.limits, ops); v.allow && full != nil {
		v = verdict{denial: full}
	}
	moves, err := j.movesNames(p, 0)
	if err != nil {
		return err
	}
	if v, err = j.meter(p, v); err != nil {
		return err
	}
	r, d := j.record(p, v, audit.ProtocolQuery, "", "")
	if d != nil {
		return j.refuseRun(wire.Query, len(body), d, r, "")
	}
	if err := j.share(r, p, ops); err != nil {
		return j.unforwarded(r, err)
	}
	e := entry{kind: wire.Query, run: r, ops: ops, mayCopy: j.mayCopy(p), texts: len(body) + p.known.size, notices: v.terms.notices}
	if err := j.alone(r); err != nil {
		return j.unforwarded(r, err)
	}
	j.announce(moves)
	pushed, skipped, err := j.forward(e, body)
	if err != nil || skipped {
		return err
	}
	j.bounded(r, pushed.ready)
	j.noteNames(pushed)
	j.noteMoves(moves, pushed.ready)
	if err := j.startDeadline(pushed); err != nil {
		return err
	}
	return j.awaitCopy(pushed)
}

// functionCall is the fast path: any function by its OID, past everything that reads SQL. It is refused, unless the session observes.
func (j *judge) functionCall(ctx context.Context, body []byte) error {
	undecided, err := j.stillGranted(ctx)
	if err != nil {
		return err
	}
	v := verdict{allow: j.grant.Observe && undecided == nil, revision: j.grant.Revision, reasons: []string{"function calls by OID are not permitted"}}
	if !v.allow {
		v.denial = &denial{sqlstate: "42501", message: "permission denied by policy", detail: v.reasons[0]}
	}
	if undecided != nil {
		v = verdict{denial: undecided}
	}
	v.observed = v.allow
	p := &prepared{known: &opinion{}}
	if v, err = j.meter(p, v); err != nil {
		return err
	}
	r, d := j.record(p, v, audit.ProtocolFunctionCall, "", "")
	if d != nil {
		return j.refuseRun(wire.FunctionCall, len(body), d, r, "")
	}
	pushed, skipped, err := j.forward(entry{kind: wire.FunctionCall, run: r}, body)
	if err == nil && !skipped {
		j.bounded(r, pushed.ready)
		j.names.queried(nil, pushed.ready, j.queue.readySeen.Load())
	}
	return err
}

// dropUnnamed is what every Query does to names. It drops the unnamed statement and portal, whatever becomes of it (exec_simple_query,
// tcop/postgres.c).
var dropUnnamed = [...]nameOp{{kind: dropStatement, completion: -1}, {kind: dropPortal, completion: -1}}

// queryOps lists what a Query does to names: beyond dropUnnamed it comes true statement by statement. The list must not be changed.
func queryOps(p *prepared) []nameOp {
	ops := dropUnnamed[:len(dropUnnamed):len(dropUnnamed)]
	if p == nil || p.sheet == nil {
		return ops
	}
	for i := range p.sheet.Statements {
		ops = appendOps(ops, p, &p.sheet.Statements[i], i)
	}
	return ops
}

// appendOps lists what one statement does to names when it completes.
func appendOps(ops []nameOp, p *prepared, s *statement.Statement, completion int) []nameOp {
	if s.Prepared == nil {
		return ops
	}
	all := s.Prepared.Name == "*"
	op := nameOp{completion: completion, name: s.Prepared.Name}
	switch s.Prepared.Action {
	case "prepare":
		op.kind, op.prepared = setStatement, p.carried(completion)
	case "deallocate":
		op.kind = dropStatement
		if all {
			op.kind = dropStatements
		}
	case "declare":
		op.kind, op.portal = setPortal, &portal{prepared: p.carried(completion), hold: s.Prepared.Hold}
	case "close":
		op.kind = dropPortal
		if all {
			op.kind = dropPortals
		}
	case "discard":
		ops = append(ops, nameOp{kind: dropPortals, completion: completion})
		op.kind = dropStatements
	default:
		return ops
	}
	return append(ops, op)
}

// mayCopy says whether a text may put the backend into copy-in mode: COPY … FROM STDIN, or what nobody could read. (EXECUTE runs
// a COPY that was prepared by Parse; that is denied unless the session observes.)
func (j *judge) mayCopy(p *prepared) bool {
	if p.sheet == nil || j.grant.Observe && hasUses(p.sheet) {
		return true
	}
	for i := range p.sheet.Statements {
		if c := p.sheet.Statements[i].Copy; c != nil && c.Direction == "from" && c.Endpoint == "client" {
			return true
		}
	}
	return false
}
