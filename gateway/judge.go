package gateway

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/catalog"
	"github.com/sallyport/sallyport/gateway/wire"
)

// errTerminate is the client's goodbye.
var errTerminate = errors.New("the client said Terminate")

// judge is the direction client → backend: it judges, writes the statement event, and forwards. It is the only writer to the backend.
type judge struct {
	*relay
	pipe *wire.Pipe

	number       uint64 // of the last statement event
	event        audit.Statement
	texts        textCache
	passing      passingText
	values       audit.Values       // of the Bind at hand
	hasher       *audit.ValueHasher // nil: no value was hashed yet
	opinions     map[judged]*opinion
	opinionBytes int               // of the sheets in it
	unforeseen   *authz.Policy     // the one that had no answer when it was asked ahead; nil: there was none
	clock        time.Time         // as it was read last
	fresh        bool              // nothing has been done since that takes time
	began        time.Time         // when the message at hand was there, if it runs something
	waited       time.Duration     // what it was made to wait since
	told         time.Duration     // the statement_timeout that PostgreSQL was told; 0: none
	timeout      time.Duration     // a shorter one that policy gave since; 0: none
	deadlined    uint64            // the position of a statement with a deadline that may not be answered yet; 0: there is none
	settles      uint64            // what may be cancelled by the gateway is over with this ReadyForQuery; 0: there is none
	copying      entry             // what put the backend into copy-in mode
	granted      *[]string         // the groups that the session was granted to last; nil: those of the login
	asWho        *[]string         // the groups that policy is asked about
	accepted     uint64            // the position of what is forwarded with the next write
	broken       bool              // a write to the backend failed, who knows where
	snapshot     *catalog.Snapshot // what the current decision rests on; nil: names are taken as written
	blind        error             // why there is no snapshot, although there is a catalog
	confirmed    bool              // the catalog was asked anew for the current decision
	moved        bool              // names may mean something else than snapshot says, for the current decision
	unsure       uint64            // names may have moved until the transaction of this ReadyForQuery ended; 0: they have not
}

// newJudge makes the judge of a relay, all but its pipe.
func newJudge(r *relay) *judge {
	j := &judge{relay: r, texts: textCache{}, passing: passingText{seed: maphash.MakeSeed()}, opinions: map[judged]*opinion{}, told: r.grant.StatementTimeout}
	j.event.Session, j.event.Observe, j.event.Who = r.id, r.grant.Observe, r.who
	return j
}

// run relays until the client ends, breaks the protocol, or the relay ends.
func (j *judge) run(ctx context.Context) error {
	for {
		woken, err := j.pipe.Run(func() error { return j.dispose(ctx) })
		if !woken || !j.sleepAgain() {
			return j.leave(err)
		}
		if err := j.sendHeldSyncs(false); err != nil {
			return j.leave(err)
		}
	}
}

// dispose judges what was read, and forwards what may be.
func (j *judge) dispose(ctx context.Context) error {
	if j.hasEnded() {
		return errEnded
	}
	j.clock, j.fresh = time.Now(), true
	j.active(j.clock)
	if err := j.step(ctx); err != nil {
		return err
	}
	return j.flush()
}

// sleepAgain is the judge's answer to being woken. It says whether to go on.
func (j *judge) sleepAgain() bool {
	_ = j.client.SetReadDeadline(time.Time{})
	return !j.hasEnded()
}

// step disposes of what was read.
func (j *judge) step(ctx context.Context) error {
	for {
		t, size, ok, err := j.pipe.Next()
		if err != nil {
			return clientFraming(t, err)
		}
		if !ok {
			return nil
		}
		whole, err := j.message(ctx, t, size)
		if err != nil || !whole {
			return err
		}
	}
}

// clientFraming says what is wrong with a message that cannot even be skipped.
func clientFraming(t wire.Type, err error) error {
	var length *wire.LengthError
	if errors.As(err, &length) && length.Limit > 0 && length.Length <= maxMessage {
		return &sessionError{reason: ReasonMessageTooLarge, err: err}
	}
	if (&Limits{}).ofClient(t) < 0 {
		return failf(ReasonProtocol, "invalid frontend message type %d", t)
	}
	return fail(ReasonProtocol, err)
}

// message disposes of one message. whole is false when more of it must be read first.
func (j *judge) message(ctx context.Context, t wire.Type, size int) (whole bool, err error) {
	if t == wire.CopyData {
		return true, j.copyData(size)
	}
	body, ok := j.pipe.Body(size)
	if !ok {
		return false, nil
	}
	j.begin(t)
	switch t {
	case wire.CopyDone, wire.CopyFail, wire.Flush, wire.Terminate:
	default:
		if err := j.sendHeldSyncs(t != wire.Sync); err != nil {
			return true, err
		}
		if err := j.awaitBounded(); err != nil {
			return true, err
		}
		if err := j.awaitTimed(); err != nil {
			return true, err
		}
	}
	switch t {
	case wire.Query:
		return true, j.query(ctx, body)
	case wire.Parse:
		return true, j.parse(ctx, body)
	case wire.Bind:
		return true, j.bind(ctx, body)
	case wire.Execute:
		return true, j.execute(ctx, body)
	case wire.Describe:
		return true, j.describe(body)
	case wire.Close:
		return true, j.close(body)
	case wire.Sync:
		return true, j.sync(body)
	case wire.Flush:
		return true, j.flushed(body)
	case wire.CopyDone, wire.CopyFail:
		return true, j.copyEnd(t, body)
	case wire.FunctionCall:
		return true, j.functionCall(ctx, body)
	case wire.Terminate:
		if err := j.flush(); err != nil { // what was asked before the goodbye is asked
			return true, err
		}
		return true, errTerminate
	}
	return true, failf(ReasonProtocol, "invalid frontend message type %d", t)
}

// begin begins to count the time of the message at hand.
func (j *judge) begin(t wire.Type) {
	j.waited = 0
	switch t {
	case wire.Query, wire.Parse, wire.Bind, wire.Execute, wire.FunctionCall:
	default:
		return
	}
	j.began = j.now()
}

// now is what the clock was read as last, unless something has been done since that takes time: what is only looked up does not.
func (j *judge) now() time.Time {
	if !j.fresh {
		j.clock, j.fresh = time.Now(), true
	}
	return j.clock
}

// forward queues the message at the head and passes it on. The numbers of its entry are in the result.
func (j *judge) forward(e entry, body []byte) (pushed entry, skipped bool, err error) {
	pushed, skipped, err = j.push(e)
	if err != nil {
		return e, false, err
	}
	j.pipe.Accept(len(body))
	if !skipped {
		j.accepted = pushed.position
	}
	return pushed, skipped, nil
}

// push queues a message before it is forwarded, so that the reporter meets its answer prepared.
func (j *judge) push(e entry) (pushed entry, skipped bool, err error) {
	pushed, skipped, err = j.queue.push(j.timed(e))
	if errors.Is(err, errFull) {
		if err = j.held(j.awaitRoom); err == nil {
			pushed, skipped, err = j.queue.push(j.timed(e))
		}
	}
	if e.run != nil && (skipped || err != nil && !e.bound) {
		err = errors.Join(err, j.skipped(e.run)) // it never runs
	}
	return pushed, skipped, err
}

// timed notes what a message was made to wait, before it can be answered.
func (j *judge) timed(e entry) entry {
	switch {
	case e.run == nil:
	case e.bound: // the reporter may have the run already
		e.waited = j.waited
	default:
		e.run.waited, e.run.forwarded = j.waited, true
	}
	return e
}

// held does what makes the message at hand wait.
func (j *judge) held(wait func() error) error {
	began := time.Now()
	err := wait()
	j.waited += time.Since(began)
	j.fresh = false
	return err
}

// awaitRoom waits until the queue takes another message.
func (j *judge) awaitRoom() error {
	if err := j.askForAnswers(); err != nil {
		return err
	}
	return j.queue.waitRoom()
}

// askForAnswers makes the backend send what it has, by a Flush of our own; it is not answered, so it is not queued.
func (j *judge) askForAnswers() error {
	return j.inject(wire.AppendMessage(nil, wire.Flush))
}

// inject sends a message of our own behind what was accepted.
func (j *judge) inject(message []byte) error {
	if err := j.mayForward(); err != nil {
		return err
	}
	return j.toBackend(j.pipe.Inject(message))
}

// flush forwards what was accepted, but not into a cancel that is meant for what runs now.
func (j *judge) flush() error {
	if err := j.mayForward(); err != nil {
		return err
	}
	return j.toBackend(j.pipe.Flush())
}

// mayForward says whether what was accepted may be written now: not once the session's end is decided, and not into a cancel. What it lets
// pass counts as sent.
func (j *judge) mayForward() error {
	if err := j.awaitCancel(); err != nil {
		return err
	}
	if j.hasEnded() {
		return errEnded
	}
	j.sent.Store(j.accepted)
	return nil
}

// toBackend marks an error as one of writing to the backend.
func (j *judge) toBackend(err error) error {
	j.fresh = false // that may have taken a while
	if err != nil && !errors.Is(err, errEnded) {
		j.broken = true
		return fail(ReasonBackendGone, fmt.Errorf("write to the backend: %w", err))
	}
	return err
}

// sync ends a pipeline.
func (j *judge) sync(body []byte) error {
	if len(body) != 0 {
		return fail(ReasonProtocol, wire.ErrFormat)
	}
	if j.mayBeCopying() && j.queue.holdSync() {
		return j.drop(len(body))
	}
	pushed, _, err := j.forward(entry{kind: wire.Sync}, body)
	if err != nil {
		return err
	}
	j.names.synced(pushed.ready, j.queue.readySeen.Load())
	return nil
}

// sendHeldSyncs sends Syncs that were held back while the backend would have ignored them: the copy has failed since, or may have, and what
// comes now is not part of it.
func (j *judge) sendHeldSyncs(over bool) error {
	if !j.mayBeCopying() {
		return nil
	}
	for range j.queue.takeHeldSyncs(over) {
		pushed, _, err := j.push(entry{kind: wire.Sync})
		if err != nil {
			return err
		}
		j.names.synced(pushed.ready, j.queue.readySeen.Load())
		j.accepted = pushed.position
		if err := j.inject(wire.AppendMessage(nil, wire.Sync)); err != nil {
			return err
		}
	}
	return nil
}

// flushed passes a Flush on. In copy-in mode the backend ignores it, and so do we.
func (j *judge) flushed(body []byte) error {
	if len(body) != 0 {
		return fail(ReasonProtocol, wire.ErrFormat)
	}
	if j.queue.isCopying() {
		return j.drop(len(body))
	}
	j.pipe.Accept(len(body))
	return nil
}

// drop leaves the message at the head out, and forwards what was accepted before it.
func (j *judge) drop(size int) error {
	if err := j.mayForward(); err != nil {
		return err
	}
	return j.toBackend(j.pipe.Drop(size))
}

// describe asks for metadata; it runs nothing.
func (j *judge) describe(body []byte) error {
	kind, name, err := wire.DecodeName(body)
	if err != nil {
		return j.refuse(wire.Describe, len(body), malformed(err))
	}
	e := entry{kind: wire.Describe}
	if j.grant.BindValues != "" && kind != wire.KindPortal {
		if e.described, err = j.statementNamed(nameKey(name)); err != nil {
			return err
		}
	}
	_, _, err = j.forward(e, body)
	return err
}

// close drops a statement or portal; dropping what is not there succeeds.
func (j *judge) close(body []byte) error {
	kind, name, err := wire.DecodeName(body)
	if err != nil {
		return j.refuse(wire.Close, len(body), malformed(err))
	}
	op := nameOp{kind: dropStatement, name: string(nameKey(name))}
	if kind == wire.KindPortal {
		op.kind = dropPortal
	}
	return j.forwardNaming(entry{kind: wire.Close, ops: []nameOp{op}}, body)
}

// forwardNaming forwards a message that changes names.
func (j *judge) forwardNaming(e entry, body []byte) error {
	pushed, skipped, err := j.forward(e, body)
	if err != nil || skipped {
		return err
	}
	j.names.forwarded(e.ops)
	if e.kind == wire.Bind {
		j.names.pendingRuns.set(e.ops[0].name, e.run)
	}
	return j.startDeadline(pushed)
}

// malformed is the denial of a message whose body is not what its type prescribes. PostgreSQL says the same.
func malformed(err error) *denial {
	if errors.Is(err, wire.ErrEncoding) {
		return &denial{sqlstate: "22021", message: err.Error()}
	}
	return &denial{sqlstate: "08P01", message: wire.ErrFormat.Error()}
}

// refuse puts a message that must fail in the place of the one at the head (design: a denied message is replaced).
func (j *judge) refuse(t wire.Type, size int, d *denial) error {
	return j.refuseRun(t, size, d, nil, "")
}

// refuseRun is refuse for a message that has a statement event: its outcome is owed like any other's.
// name is the statement's name when t is Parse.
func (j *judge) refuseRun(t wire.Type, size int, d *denial, r *run, name string) error {
	d.arm()
	j.metrics.denied(d.sqlstate)
	e := entry{kind: wire.Parse, denial: d, run: r}
	var message []byte
	switch {
	case t == wire.Query || t == wire.FunctionCall:
		e.kind = wire.Query
		e.ops = queryOps(nil)
		message = wire.AppendQuery(nil, d.nonce)
	case t == wire.Parse && name == "":
		e.ops = []nameOp{{kind: dropStatement}}
		e.failOps = true
		message = wire.AppendParse(nil, "", d.nonce)
	default:
		message = wire.AppendParse(nil, standInName, d.nonce)
	}
	pushed, skipped, err := j.push(e)
	if err != nil {
		return err
	}
	if !skipped {
		j.noteNames(pushed)
	}
	if err := j.drop(size); err != nil {
		return err
	}
	if !skipped {
		j.accepted = pushed.position
	}
	return j.inject(message)
}

// noteNames notes what a pushed message does to names.
func (j *judge) noteNames(e entry) {
	if e.kind == wire.Query {
		j.names.queried(e.ops, e.ready, j.queue.readySeen.Load())
		return
	}
	j.names.forwarded(e.ops)
}

// elapsed is the time since a moment, for the outcome's judge time.
func elapsed(since time.Time) time.Duration { return time.Since(since) }
