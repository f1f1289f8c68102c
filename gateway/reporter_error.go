package gateway

import (
	"bytes"
	"fmt"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/wire"
)

// errorResponse passes on an error, or puts a denial in its place.
func (r *reporter) errorResponse(size int) (whole bool, err error) {
	body, ok := r.pipe.Prefix(size, inspectBytes)
	if !ok {
		return false, nil
	}
	sqlstate := string(wire.Field(body, 'C'))
	if severity := wire.Field(body, 'V'); string(severity) == "FATAL" || string(severity) == "PANIC" {
		r.fatal = sqlstate
		if run := r.asked().run; run != nil && run.cut == nil && run.sqlstate == "" {
			run.failed(audit.StatusError, sqlstate)
		}
		if r.settling { // the client hears one end of its session
			return true, r.toClient(r.pipe.Drop(size))
		}
		r.told = true
		r.pipe.Accept(size)
		return true, nil
	}
	e := r.asked()
	if !r.causes(sqlstate) {
		if err := r.release(); err != nil {
			return true, err
		}
	}
	if !r.known && r.queue.inPipeline() {
		return true, r.failedUnasked(size, sqlstate)
	}
	if !r.known {
		return true, fail(ReasonBackendOutOfStep, fmt.Errorf("an error %s came where nothing was asked", sqlstate))
	}
	err = r.passError(e, body, size, sqlstate)
	r.unread = false
	if failed := r.failed(e); err == nil { // what the error means for the backend does not depend on who hears it
		err = failed
	}
	return true, err
}

// passError sends the client the error, or the denial it stands for.
func (r *reporter) passError(e *entry, body []byte, size int, sqlstate string) error {
	if e.denial != nil && bytes.Contains(body, []byte(e.denial.nonce)) {
		e.run.failed(audit.StatusDenied, e.denial.sqlstate)
		return r.replace(size, e.denial)
	}
	if e.run != nil && e.run.cut != nil {
		r.awaitInterrupt()
		cut := e.run.cut
		e.run.cut = nil
		return r.replace(size, cut)
	}
	if sqlstate != "57014" {
		e.run.failed(audit.StatusError, sqlstate)
		return r.passFailed(size, sqlstate)
	}
	e.run.failed(audit.StatusCancelled, sqlstate)
	if e.run != nil && e.run.deadline.stop() {
		return r.replace(size, r.timedOut(e.run))
	}
	return r.passFailed(size, sqlstate)
}

// passFailed passes on an error, but not one that the session's end has caused.
func (r *reporter) passFailed(size int, sqlstate string) error {
	if r.causes(sqlstate) {
		return r.withhold(size)
	}
	r.pipe.Accept(size)
	return nil
}

// replace sends the client an error of ours in the place of the one at the head, which is disposed of in any case.
func (r *reporter) replace(size int, d *denial) error {
	err := r.release()
	if err == nil {
		err = r.toClient(r.pipe.Drop(size))
	}
	if err != nil {
		r.pipe.Mute()
		_ = r.pipe.Drop(size)
		return err
	}
	r.extendDeadline()
	return r.toClient(r.pipe.Inject(d.response()))
}

// failed draws the conclusion of an error: after an extended message the backend discards everything up to the next Sync.
func (r *reporter) failed(e *entry) error {
	switch e.kind {
	case wire.Query, wire.FunctionCall, wire.Sync:
		r.queue.setCopying(false)
		return nil
	}
	if e.failOps {
		r.names.commit(e.ops)
	}
	return r.skip(true)
}

// failedUnasked passes on an error that answers nothing, amid a pipeline: a statement's time was up when only a Flush was left to read.
func (r *reporter) failedUnasked(size int, sqlstate string) error {
	err := r.passFailed(size, sqlstate)
	if failed := r.skip(false); err == nil {
		err = failed
	}
	return err
}

// skip takes off what the backend discards up to the next Sync; failed says that the first of it is what failed.
func (r *reporter) skip(failed bool) error {
	if r.known && r.head.run != nil {
		r.head.run.deadline.stop() // it may wait for a cancel that is on its way
	}
	var err error
	due := r.queue.skip(func(e entry) {
		if reportErr := r.reportSkipped(e, failed); err == nil {
			err = reportErr
		}
		failed = false
	})
	r.head, r.known = entry{}, false
	if due {
		r.wakeJudge()
	}
	return err
}
