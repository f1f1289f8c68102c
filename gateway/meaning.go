package gateway

import (
	"context"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/catalog"
)

// catalogSource knows what the names in a session's database mean: *catalog.Catalog.
type catalogSource interface {
	// Current waits until all is known that Changed was told of. It fails when that takes too long, or nothing is known any more.
	Current(ctx context.Context) (*catalog.Snapshot, error)
	// Now is Current where there is nothing to wait for, which is nearly always.
	Now(now time.Time) (*catalog.Snapshot, bool)
	// Fresh is Current with all that anybody had committed before. It waits for that.
	Fresh(ctx context.Context) (*catalog.Snapshot, error)
	// Latest is what was known last, nil for nothing. It does not wait.
	Latest() *catalog.Snapshot
	// Changed says that definitions may have changed.
	Changed()
}

// look takes the snapshot that the next decision rests on. There is none where the database has no catalog; when it cannot be had, what
// names anything is denied. A session that observes is not kept waiting: its facts are for the audit log.
//
// Whether names may have moved is asked before and holds for the whole decision: DDL of the session's own that is over by then is in the
// snapshot, and what ends while somebody waits is not.
func (j *judge) look(ctx context.Context) {
	j.moved = j.namesMayHaveMoved()
	j.snapshot, j.blind, j.confirmed = nil, nil, false
	switch {
	case j.catalog == nil:
	case j.grant.Observe:
		j.snapshot = j.catalog.Latest()
	default:
		var ok bool
		if j.snapshot, ok = j.catalog.Now(j.now()); !ok {
			j.snapshot, j.blind = j.await(ctx, j.catalog.Current)
		}
	}
}

// await waits for the catalog as long as a decision may take.
func (j *judge) await(ctx context.Context, ask func(context.Context) (*catalog.Snapshot, error)) (*catalog.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, j.timeouts.Decision)
	defer cancel()
	j.fresh = false
	return ask(ctx)
}

// confirm asks the catalog anew, once for each decision, when a text uses names that the snapshot does not know: a view that somebody has
// just made past the gateway would be judged by its schema otherwise. That it was unknown a moment ago is no answer, so every statement
// that uses such a name asks. What is unknown then too does not exist: such a statement is judged by what it says, and PostgreSQL refuses
// it in its own words, which programs that look whether a table is there rely on.
//
// When the catalog does not answer in time nobody knows what the statement means, and it is denied. A session that observes asks nothing.
func (j *judge) confirm(ctx context.Context, p *prepared) {
	if j.confirmed || j.blind != nil || j.generation() == 0 || j.grant.Observe || !hasUnknown(j.facts(p)) {
		return
	}
	j.confirmed = true
	j.snapshot, j.blind = j.await(ctx, j.catalog.Fresh)
}

func hasUnknown(sheet *statement.Sheet) bool {
	return slices.ContainsFunc(sheet.Statements, func(s statement.Statement) bool { return len(s.Unknown) > 0 })
}

// lookAway forgets the snapshot: it is large, and the session may be idle for long.
func (j *judge) lookAway() { j.snapshot = nil }

// generation is that of the snapshot that facts rest on; 0 where there is none, or names have moved.
func (j *judge) generation() uint64 {
	if j.snapshot == nil || j.moved {
		return 0
	}
	return j.snapshot.Generation
}

// facts are what a text means in the snapshot that was looked at; what it says, where there is no catalog or names have moved.
func (j *judge) facts(p *prepared) *statement.Sheet {
	if o, generation := p.known, j.generation(); o.facts == nil || o.generation != generation {
		o.generation, o.facts, o.policy, o.final = generation, p.parameters.Unresolved(p.sheet), nil, false
		j.fresh = false
		if generation != 0 {
			o.facts = j.snapshot.ResolveNumbered(p.sheet, j.input.Session.SearchPath, p.parameters)
		}
		o.summarize(o.facts, p.sheet.Fingerprint)
	}
	return p.known.facts
}

// blindfold is the denial of a statement whose names nobody can look up.
func (j *judge) blindfold(sheet *statement.Sheet) *denial {
	if j.blind == nil || !namesAny(sheet) {
		return nil
	}
	j.late(stageCatalog, j.blind)
	j.logger.Error("catalog is not known; statements are denied", "database", j.input.Session.Database, "error", j.blind)
	return &denial{
		sqlstate: "58000", message: "the meaning of names in this statement could not be looked up",
		hint: "Try again, or tell the gateway's operators; nothing was executed.",
	}
}

func namesAny(sheet *statement.Sheet) bool {
	for i := range sheet.Statements {
		if namesAnything(&sheet.Statements[i]) {
			return true
		}
	}
	return false
}

// moving notes that definitions may change until a ReadyForQuery that finds no transaction open.
func (r *relay) moving(ready uint64) {
	if r.catalog != nil {
		r.movingUntil.Store(max(ready, r.movingUntil.Load()))
	}
}

// moved tells the catalog that something has completed that may have changed definitions, or has committed such a change. It does so at
// every completion, and before the client hears of it: an autocommitted statement is followed by others in its Query.
func (r *relay) moved() {
	if r.catalog != nil && r.movingUntil.Load() != 0 {
		r.catalog.Changed()
	}
}

// movedReady is moved for a ReadyForQuery: with no transaction open, the changes are over.
func (r *relay) movedReady(ready uint64, idle bool) {
	r.moved()
	if until := r.movingUntil.Load(); idle && until != 0 && ready >= until {
		r.movingUntil.CompareAndSwap(until, 0)
	}
}
