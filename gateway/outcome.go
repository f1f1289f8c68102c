package gateway

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
)

// boundRuns are what portals are bound to. Most portals are the unnamed one, of which each pipeline has another: it needs no map.
type boundRuns struct {
	unnamed *run
	named   map[string]*run // nil: nothing yet
}

// replace binds a portal to a run, nil for none, and returns what it was bound to.
func (b *boundRuns) replace(name string, with *run) (was *run) {
	if name == "" {
		was, b.unnamed = b.unnamed, with
		return was
	}
	was = b.named[name]
	switch {
	case with == nil:
		delete(b.named, name)
	case b.named == nil:
		b.named = map[string]*run{name: with}
	default:
		b.named[name] = with
	}
	return was
}

// rebind notes what portals are bound to now; run is nil if they were closed. What they were bound to before is not executed any more.
func (r *reporter) rebind(ops []nameOp, run *run) error {
	for _, op := range ops {
		switch op.kind {
		case setPortal, dropPortal:
			if err := r.reportUnexecuted(r.bound.replace(op.name, run)); err != nil {
				return err
			}
		case dropPortals:
			if err := r.reportBound(); err != nil {
				return err
			}
		}
	}
	return nil
}

// reportSkipped writes the outcome of a message that failed, or that the backend discards because of it.
func (r *reporter) reportSkipped(e entry, failed bool) error {
	if e.run == nil || e.run.done {
		return nil
	}
	if !failed && e.run.status == "" {
		e.run.status = audit.StatusSkipped
	}
	return r.report(e.run)
}

// reportBound writes the outcomes of what was bound and never executed.
func (r *reporter) reportBound() error {
	if err := r.reportUnexecuted(r.bound.replace("", nil)); err != nil {
		return err
	}
	for _, run := range r.bound.named {
		if err := r.reportUnexecuted(run); err != nil {
			return err
		}
	}
	clear(r.bound.named)
	return nil
}

// reportUnexecuted writes the outcome of a Bind, if no Execute has.
func (r *reporter) reportUnexecuted(run *run) error {
	if run != nil && !run.done {
		run.status = audit.StatusBound
	}
	return r.report(run)
}

// report writes the outcome of a statement, once.
func (r *reporter) report(run *run) error {
	if run == nil || run.done {
		return nil
	}
	run.deadline.stop()
	run.done = true
	r.finished = append(r.finished, run)
	r.copied(run, nil)
	if r.clock.IsZero() {
		r.clock = time.Now()
	}
	return r.writeOutcome(&r.outcome, run, r.clock)
}

// copiesIn notes that what runs copies from the client. What was counted before was sent to a copy that had failed.
func (r *reporter) copiesIn() {
	r.copiedBytes.Store(0)
	if run := r.asked().run; run != nil {
		run.copiesIn = true
	}
}

// copied adds what was copied from the client. How many rows it was the tag says: data comes in pieces of any length, and nothing was
// copied by a COPY that has none.
func (r *reporter) copied(run *run, tag []byte) {
	if run == nil || !run.copiesIn {
		return
	}
	run.copiesIn = false
	run.bytes += uint64(r.copiedBytes.Swap(0)) // #nosec -- a count
	if count, ok := bytes.CutPrefix(tag, []byte("COPY ")); ok {
		rows, _ := strconv.ParseUint(string(count), 10, 64)
		run.rows += rows
	}
}

// spareFinished lets runs be used again whose outcomes are written, at the ReadyForQuery after them. Nothing that comes later belongs to one
// of them: the judge forgets what was bound before a Sync or Query when it forwards that (names.synced), and so has the reporter.
func (r *reporter) spareFinished() {
	r.spare.give(r.finished)
	clear(r.finished)
	r.finished = r.finished[:0]
}

// writeOutcome writes the outcome event of a run that is over now. When it cannot be written the session ends.
func (r *relay) writeOutcome(event *audit.Outcome, run *run, now time.Time) error {
	command := event.Command
	if command != string(run.tags) { // it is often the last one's again, and then nothing is copied
		command = string(run.tags)
	}
	took := now.Sub(run.started)
	*event = audit.Outcome{
		Time: now, Session: r.id, Number: run.number, Who: r.who, Status: run.status, Command: command, SQLSTATE: run.sqlstate,
		Rows: run.rows, Bytes: run.bytes, Duration: took, JudgeDuration: run.judged, WaitDuration: run.waited,
	}
	if !run.forwarded {
		event.JudgeDuration = event.Duration - event.WaitDuration
	}
	r.metrics.outcome(event.Duration)
	if err := r.log.Append(event); err != nil {
		r.metrics.auditFailed()
		return fail(ReasonAudit, err)
	}
	return nil
}

// skipped writes the outcome of a statement that the backend will discard.
func (j *judge) skipped(run *run) error {
	if run.done {
		return nil
	}
	run.done, run.forwarded = true, false
	run.status = audit.StatusSkipped
	return j.writeOutcome(&audit.Outcome{}, run, time.Now())
}

// unforwarded is the end of a statement that is on record, and was waiting for something when the session ended.
func (j *judge) unforwarded(run *run, err error) error {
	if run == nil {
		return err
	}
	return errors.Join(err, j.skipped(run))
}

// reportRest writes the outcomes of what was never answered. Both goroutines have ended.
func (r *reporter) reportRest() {
	r.clock = time.Time{}
	r.queue.drain(func(e entry) { // before what was bound: what was executed too is not known
		if e.run != nil && e.run.status == "" {
			e.run.status = audit.StatusUnknown
		}
		_ = r.report(e.run)
	})
	_ = r.reportBound()
}
