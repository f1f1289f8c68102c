package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/wire"
)

// reporter is the direction backend → client: it forwards, ties answers to what was asked, and writes the outcome events.
// It is the only writer to the client.
type reporter struct {
	*relay
	pipe *wire.Pipe

	head        entry // the queue's head, while known
	known       bool
	completions int       // CommandCompletes of the Query at the head
	bound       boundRuns // what was bound in this pipeline
	fatal       string    // SQLSTATE of a FATAL that the backend sent; it closes next
	outcome     audit.Outcome
	interrupt   chan struct{} // closed when a cancel of our own has been delivered; nil: there is none
	finished    []*run        // those whose outcomes were written since the last ReadyForQuery
	clock       time.Time     // when the first outcome among what was read together was written; zero: none was
	extended    time.Time     // when the client's write deadline was set; it is renewed when a second of it is used up
	rows        uint64
	told        bool // the backend's FATAL was passed on
	closed      bool // the backend has closed the connection
	settlement
}

// run relays until the backend ends, or the relay does, and tells the client why. It always returns an error.
func (r *reporter) run() error {
	defer r.awaitInterrupt()
	cause := asSessionError(r.answers())
	r.settle(r.endOwn(cause))
	return r.farewell(cause)
}

// answers relays what the backend says.
func (r *reporter) answers() error {
	for {
		woken, err := r.pipe.Run(r.dispose)
		if woken {
			err = r.woken()
		}
		if err != nil {
			return r.backendError(err)
		}
	}
}

// dispose passes on what was read, and listens to what was posted.
func (r *reporter) dispose() error {
	r.clock = time.Time{}
	if err := r.step(); err != nil {
		return err
	}
	if err := r.flush(); err != nil {
		return err
	}
	if r.isEnding() {
		return r.woken()
	}
	return nil
}

// backendError explains the end of the backend's stream.
func (r *reporter) backendError(err error) error {
	var session *sessionError
	if errors.As(err, &session) || errors.Is(err, errEnded) {
		r.gone = session != nil && session.reason == ReasonBackendOutOfStep
		return err
	}
	r.gone, r.closed = true, true
	if r.fatal != "" {
		return &sessionError{reason: ReasonBackendEnded, err: fmt.Errorf("the backend ended the session with %s", r.fatal)}
	}
	return fail(ReasonBackendGone, err)
}

// flush sends the client what was accepted. A client that does not read holds locks and a credential: it has until the deadline.
func (r *reporter) flush() error {
	r.extendDeadline()
	return r.toClient(r.pipe.Flush())
}

func (r *reporter) extendDeadline() {
	if r.settling || time.Since(r.extended) < time.Second {
		return
	}
	now := time.Now()
	r.extended = now
	_ = r.client.SetWriteDeadline(now.Add(r.timeouts.Write))
	if r.hasEnded() { // whoever ended it set a nearer deadline, perhaps just before this one
		_ = r.client.SetWriteDeadline(now.Add(farewellTime))
	}
}

// toClient marks an error as one of writing to the client.
func (r *reporter) toClient(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.broken = true
		return fail(ReasonNotReading, err)
	}
	r.broken = true
	return fail(ReasonClientGone, err)
}

// step disposes of what was read.
func (r *reporter) step() error {
	for {
		t, size, ok, err := r.pipe.Next()
		if err != nil {
			return fail(ReasonBackendOutOfStep, err)
		}
		if !ok {
			return nil
		}
		whole, err := r.message(t, size)
		if err != nil || !whole {
			return err
		}
	}
}

// message disposes of one message. whole is false when more of it must be read first.
func (r *reporter) message(t wire.Type, size int) (whole bool, err error) {
	if r.holding && !tellsNothing(t) {
		if err := r.release(); err != nil {
			return true, err
		}
	}
	if r.asked().notices != nil {
		if err := r.warn(); err != nil {
			return true, err
		}
	}
	switch t {
	case wire.DataRow, wire.CopyData, wire.FunctionCallResponse:
		return true, r.row(t, size)
	case wire.CopyOutResponse, wire.ParameterDescription:
		if err := r.expectData(t); err != nil {
			return true, err
		}
		if r.asked().described != nil {
			body, ok := r.pipe.Body(size)
			if !ok {
				return false, nil
			}
			r.asked().described.describe(body)
		}
		r.pipe.Accept(size)
		return true, nil
	case wire.NoticeResponse:
		r.pipe.Accept(size)
		return true, nil
	case wire.RowDescription, wire.NoData:
		r.pipe.Accept(size)
		return true, r.answered(wire.Describe)
	case wire.ErrorResponse:
		return r.errorResponse(size)
	}
	body, ok := r.pipe.Body(size)
	if !ok {
		return false, nil
	}
	return true, r.inspect(t, body)
}

// inspect disposes of the messages that carry state.
func (r *reporter) inspect(t wire.Type, body []byte) error {
	switch t {
	case wire.CopyDone, wire.CommandComplete, wire.PortalSuspended, wire.ReadyForQuery:
		if r.settling {
			r.checkWhole(t)
		} else if err := r.checkCut(); err != nil {
			return err
		}
	}
	switch t {
	case wire.ParameterStatus:
		if err := r.parameterStatus(body); err != nil {
			return err
		}
	case wire.NotificationResponse:
		r.rewriteProcessID(body)
	case wire.CopyDone:
	case wire.CopyInResponse, wire.CopyBothResponse:
		if !r.asked().mayCopy {
			return fail(ReasonBackendOutOfStep, errors.New("the backend copies in what was not known to copy"))
		}
		r.copiesIn()
		r.queue.setCopying(true)
		if r.settling {
			r.askForRest()
		}
	case wire.ParseComplete:
		return r.complete(wire.Parse, body)
	case wire.BindComplete:
		return r.complete(wire.Bind, body)
	case wire.CloseComplete:
		return r.complete(wire.Close, body)
	case wire.CommandComplete, wire.EmptyQueryResponse:
		return r.commandComplete(body)
	case wire.PortalSuspended:
		return r.suspended(body)
	case wire.ReadyForQuery:
		return r.readyForQuery(body)
	default:
		return fail(ReasonBackendOutOfStep, fmt.Errorf("unexpected message %q", t))
	}
	r.pipe.Accept(len(body))
	return nil
}

// warn tells the client what policy has to say about the statement that is being answered, before its first answer.
func (r *reporter) warn() error {
	notices := r.head.notices
	r.head.notices = nil
	r.extendDeadline()
	return r.toClient(r.pipe.Inject(notices))
}

// asked is the entry that the backend is answering; the zero entry when it owes nothing.
func (r *reporter) asked() *entry {
	if !r.known {
		r.head, r.known = r.queue.head()
		r.completions = 0
		if r.head.bound {
			r.head.run.waited += r.head.waited
		}
	}
	return &r.head
}

// expect says whether the backend is answering a message of this type.
func (r *reporter) expect(t wire.Type) error {
	if e := r.asked(); e.kind != t || e.denial != nil {
		return fail(ReasonBackendOutOfStep, fmt.Errorf("an answer to %q came where %q was asked", t, e.kind))
	}
	return nil
}

// pop takes the answered entry off the queue.
func (r *reporter) pop() {
	r.head, r.known = r.queue.pop()
	r.completions = 0
}

// answered takes an entry of the type off the queue, if it is the head: RowDescription also comes inside a Query.
func (r *reporter) answered(t wire.Type) error {
	if e := r.asked(); e.kind == wire.Query && e.denial == nil {
		return nil
	}
	if err := r.expect(t); err != nil {
		return err
	}
	r.pop()
	return nil
}

// complete passes on the answer that makes an entry's changes of names true.
func (r *reporter) complete(t wire.Type, body []byte) error {
	if err := r.expect(t); err != nil {
		return err
	}
	if err := r.rebind(r.head.ops, r.head.run); err != nil {
		return err
	}
	r.names.commit(r.head.ops)
	if r.head.run != nil {
		r.head.run.deadline.pause()
	}
	r.pop()
	r.pipe.Accept(len(body))
	return nil
}

// commandComplete passes on the end of one statement. For an Execute it is the outcome; a Query may hold more statements.
func (r *reporter) commandComplete(body []byte) error {
	e := r.asked()
	r.moved()
	tag := bytes.TrimSuffix(body, []byte{0})
	switch {
	case e.denial != nil:
		return r.expect(wire.CommandComplete) // a denied message must fail: this is out of step
	case e.kind == wire.Query:
		r.copied(e.run, tag)
		e.run.completed(tag)
		r.names.commitCompletion(e.ops, r.completions)
		r.completions++
		r.copyEnded(e)
	case e.kind == wire.Execute:
		r.copied(e.run, tag)
		e.run.completed(tag)
		r.names.commit(e.ops)
		if err := r.report(e.run); err != nil {
			return err
		}
		if err := r.rebind(e.ops, nil); err != nil {
			return err
		}
		r.copyEnded(e)
		r.pop()
	default:
		return r.expect(wire.Execute)
	}
	r.pipe.Accept(len(body))
	return nil
}

// copyEnded notes that the backend is not in copy-in mode any more, if it was.
func (r *reporter) copyEnded(e *entry) {
	if e.mayCopy {
		r.queue.setCopying(false)
	}
}

// suspended passes on that an Execute reached its row limit. What follows of the portal is an event of its own.
func (r *reporter) suspended(body []byte) error {
	if err := r.expect(wire.Execute); err != nil {
		return err
	}
	if run := r.head.run; run != nil && run.cut == nil {
		run.status = audit.StatusSuspended
	}
	if err := r.report(r.head.run); err != nil {
		return err
	}
	r.pop()
	r.pipe.Accept(len(body))
	return nil
}

// readyForQuery ends a Query, a FunctionCall or a pipeline.
func (r *reporter) readyForQuery(body []byte) error {
	e := r.asked()
	switch e.kind {
	case wire.Query, wire.FunctionCall, wire.Sync:
	default:
		return r.expect(wire.Sync)
	}
	if len(body) != 1 {
		return fail(ReasonBackendOutOfStep, errors.New("ReadyForQuery without a state"))
	}
	if e.run != nil && e.run.status == "" {
		e.run.status = audit.StatusCompleted
	}
	if err := r.report(e.run); err != nil {
		return err
	}
	if err := r.reportBound(); err != nil {
		return err
	}
	r.names.commitCompletion(e.ops, -1)
	if body[0] == wire.Idle {
		r.names.transactionEnded()
	}
	r.movedReady(e.ready, body[0] == wire.Idle)
	r.queue.ready(body[0])
	r.head, r.known = entry{}, false
	r.spareFinished()
	r.turned()
	r.pipe.Accept(len(body))
	return nil
}

// processIDBytes is where a NotificationResponse names the notifying process.
const processIDBytes = 4

// rewriteProcessID makes a notification that the session sent itself carry the process id that the client knows.
func (r *reporter) rewriteProcessID(body []byte) {
	if len(body) >= processIDBytes && binary.BigEndian.Uint32(body) == r.backendPID {
		binary.BigEndian.PutUint32(body, r.clientPID)
	}
}

// parameterStatus ends the session when a setting moved that the judging rests on; other settings are the client's own affair.
func (r *reporter) parameterStatus(body []byte) error {
	name, value, ok := bytes.Cut(body, []byte{0})
	value = bytes.TrimSuffix(value, []byte{0})
	if !ok {
		return fail(ReasonBackendOutOfStep, wire.ErrFormat)
	}
	if r.grant.Observe {
		return nil
	}
	if r.pins.moved(name, value) {
		if r.settling {
			r.hush()
			return nil
		}
		return &sessionError{reason: ReasonEnvironmentMoved, err: fmt.Errorf("%s changed to %s", name, strconv.Quote(string(value)))}
	}
	return nil
}

// woken is what the reporter does between messages when somebody posted something.
func (r *reporter) woken() error {
	ending := r.takeEnding()
	if ending == nil {
		return nil // a nil *sessionError would be an error
	}
	return ending
}

// farewell tells the client why its session ends, between two messages.
func (r *reporter) farewell(ending *sessionError) error {
	r.speak()
	message := r.lastWords(ending).fatal()
	if message == nil || r.told || r.broken || r.pipe.AmidMessage() && !r.finishMessage() {
		return ending
	}
	_ = r.client.SetWriteDeadline(time.Now().Add(farewellTime))
	_ = r.pipe.Inject(message)
	return ending
}

// finishMessage goes on until the message that the client has seen the start of is whole. It does not go on for ever.
func (r *reporter) finishMessage() bool {
	deadline := time.Now().Add(farewellTime)
	_ = r.backend.SetReadDeadline(deadline)
	_ = r.client.SetWriteDeadline(deadline)
	for r.pipe.AmidMessage() {
		if err := r.pipe.Flush(); err != nil {
			return false
		}
		if err := r.pipe.Fill(); err != nil {
			return false
		}
		if _, _, _, err := r.pipe.Next(); err != nil {
			return false
		}
	}
	return true
}
