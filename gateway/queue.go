package gateway

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/wire"
)

// maxOutstanding bounds the order queue. It must exceed the number of answers that fit the backend's own output buffer (8 KiB,
// libpq/pqcomm.c, five bytes for the shortest): a judge that waits at a full queue has then always something coming.
const maxOutstanding = 4096

// fewOutstanding are as many as a session has that sends one statement after the other: Parse, Bind, Describe, Execute and Sync make a
// ring larger once, a session that waits keeps it.
const fewOutstanding = 4

// maxHeldTexts bounds the bytes of messages whose texts the queue keeps alive: the backend buffers 1600 answers to Parse, and each of
// those may be a megabyte here.
const maxHeldTexts = 16 << 20

// errFull is what a queue says that takes no more before something is answered.
var errFull = errors.New("the queue is full")

// errEnded is what waiting for the backend gives when the relay ends first.
var errEnded = errors.New("the session has ended")

// entry is one message on its way to the backend that will be answered or skipped.
type entry struct {
	kind      wire.Type     // as the backend sees it: Q P B D E C S F
	position  uint64        // counts entries, from 1
	ready     uint64        // counts the ReadyForQuery that are owed, from 1; 0 for a message that another's ReadyForQuery follows
	texts     int           // the bytes of a text, and of its facts, that it keeps alive
	mayCopy   bool          // what it runs may enter copy-in
	bound     bool          // run is that of the Bind, which is answered before
	waited    time.Duration // what it was made to wait, if bound
	notices   []byte        // what the client is told before the first answer
	denial    *denial       // the message stands for one that was denied: its error is replaced by this
	run       *run          // what audit waits to hear the outcome of; nil for messages that run nothing
	ops       []nameOp      // what it does to names, once the backend has said so
	described *prepared     // whose parameters' types are asked for, if somebody wants to know
	failOps   bool          // ops happen when it fails: a failing unnamed Parse drops the unnamed statement
}

// queue is the order queue between judge and reporter: every client message that will be answered or skipped, in order.
// The judge pushes before it forwards; the reporter pops as the answers come. It is also where one waits for the other.
type queue struct {
	mu    sync.Mutex
	moved sync.Cond // anything below changed in a way somebody may wait for

	ring  []entry // len is a power of two, or 0 before anything was pushed
	first int
	count int
	texts int // of all entries

	pushed, popped uint64        // positions
	readyOwed      uint64        // ready numbers given out; only the judge changes it
	readyIdle      uint64        // the last one answered with the transaction state idle
	readySeen      atomic.Uint64 // the last one answered; to be read without the lock

	pipeline  bool // the last message answered was an extended one
	skipping  bool // an extended message failed: the backend discards up to the next Sync, and so do we
	copying   bool // the backend is in copy-in (or copy-both) mode and the client has not ended it
	heldSyncs int  // Syncs that came in copy-in mode, where the backend ignores them
	status    byte // the transaction state as last reported
	ended     bool
}

func newQueue() *queue {
	q := &queue{status: wire.Idle}
	q.moved.L = &q.mu
	return q
}

// push appends a message and returns its entry's numbers. skipped is true when the backend will discard the message: it is not
// queued then. A full queue takes nothing: the error is errFull.
func (q *queue) push(e entry) (pushed entry, skipped bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.ended:
		return e, false, errEnded
	case q.isFull():
		return e, false, errFull
	}
	if q.skipping {
		if e.kind != wire.Sync {
			return e, true, nil
		}
		q.skipping = false
	}
	q.pushed++
	e.position = q.pushed
	switch e.kind {
	case wire.Query, wire.Sync, wire.FunctionCall:
		q.readyOwed++
		e.ready = q.readyOwed
	}
	q.append(e)
	return e, false, nil
}

// nextReady is the number of the ReadyForQuery that follows what is pushed now, unless it has one of its own. The judge asks, without the
// lock.
func (q *queue) nextReady() uint64 { return q.readyOwed + 1 }

func (q *queue) isFull() bool { return q.count == maxOutstanding || q.texts > maxHeldTexts }

func (q *queue) append(e entry) {
	if q.count == len(q.ring) {
		larger := make([]entry, max(fewOutstanding, 2*len(q.ring)))
		for i := range q.count {
			larger[i] = *q.at(i)
		}
		q.ring, q.first = larger, 0
	}
	*q.at(q.count) = e
	q.count++
	q.texts += e.texts
}

func (q *queue) at(i int) *entry { return &q.ring[(q.first+i)&(len(q.ring)-1)] }

// head returns the entry that the backend is answering. It stays the reporter's to read until it is popped.
func (q *queue) head() (entry, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.peek()
}

func (q *queue) peek() (entry, bool) {
	if q.count == 0 {
		return entry{}, false
	}
	return *q.at(0), true
}

// pop takes the head off, which was answered, and returns the next.
func (q *queue) pop() (entry, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.take()
	q.moved.Broadcast()
	return q.peek()
}

func (q *queue) take() entry {
	e := *q.at(0)
	*q.at(0) = entry{}
	q.first = (q.first + 1) & (len(q.ring) - 1)
	q.count--
	q.texts -= e.texts
	q.popped = e.position
	q.pipeline = e.ready == 0
	return e
}

// ready takes the head off: ReadyForQuery came for it, with the transaction state.
func (q *queue) ready(status byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.take()
	q.readySeen.Store(e.ready)
	q.status = status
	if status == wire.Idle {
		q.readyIdle = e.ready
	}
	q.copying, q.heldSyncs = false, 0
	q.moved.Broadcast()
}

// skip takes off all entries before the next Sync: an extended message failed and the backend discards them. What the judge pushes
// later is skipped by push. The skipped entries are handed to each, the failed one first. syncDue says that the client has sent its
// Sync already, while the backend was copying: the judge must be woken to send it. each is called before the judge can push more: it must
// not wait for a cancel, whose sender asks whether the backend is busy.
func (q *queue) skip(each func(e entry)) (syncDue bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.skipping = true
	q.copying = false
	for q.count > 0 {
		if q.at(0).kind == wire.Sync {
			q.skipping = false
			break
		}
		each(q.take())
	}
	q.moved.Broadcast()
	return q.heldSyncs > 0
}

// holdSync holds a Sync back if the backend is copying. (PostgreSQL reads and ignores it there; if the copy has failed meanwhile, the
// Sync is what ends the skipping. Only when no data followed it can both be true, so only then it is sent later.)
func (q *queue) holdSync() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.copying {
		q.heldSyncs++
	}
	return q.copying
}

// takeHeldSyncs says once how many Syncs that were held back must be sent. over says that a message is at hand which ends the copy: either
// it has failed already, and the Syncs end the skipping before that message, or the backend ignores them and ends the session for it.
func (q *queue) takeHeldSyncs(over bool) (due int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.copying && !over || q.heldSyncs == 0 {
		return 0
	}
	due, q.heldSyncs, q.copying = q.heldSyncs, 0, false
	return due
}

// copied notes that copy data is forwarded. It says whether the backend is copying.
func (q *queue) copied() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.copying {
		q.heldSyncs = 0
	}
	return q.copying
}

// retract takes back what was pushed behind a position and is not going to be forwarded. The judge has ended, or pushes nothing more.
func (q *queue) retract(sent uint64, each func(e entry)) {
	q.mu.Lock()
	kept := q.count
	for kept > 0 && q.at(kept-1).position > sent {
		kept--
	}
	var retracted []entry
	for i := kept; i < q.count; i++ {
		e := q.at(i)
		q.texts -= e.texts
		retracted = append(retracted, *e)
		*e = entry{}
	}
	q.count = kept
	q.moved.Broadcast()
	q.mu.Unlock()
	for _, e := range retracted {
		each(e)
	}
}

// mayCopy says whether anything that is not answered yet may put the backend into copy-in mode.
func (q *queue) mayCopy() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.count {
		if q.at(i).mayCopy {
			return true
		}
	}
	return false
}

// drain takes off everything that was never answered. It ends the queue. The judge has ended.
func (q *queue) drain(each func(e entry)) {
	q.mu.Lock()
	q.ended = true
	var left []entry
	for q.count > 0 {
		left = append(left, q.take())
	}
	q.moved.Broadcast()
	q.mu.Unlock()
	for _, e := range left {
		each(e)
	}
}

// end wakes everybody who waits, with errEnded.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.moved.Broadcast()
}

// setCopying notes that the backend entered copy-in mode, or that the client ended it.
func (q *queue) setCopying(on bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.copying = on
	q.moved.Broadcast()
}

func (q *queue) isCopying() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.copying
}

// waitRoom waits while the queue is full.
func (q *queue) waitRoom() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wait(func() bool { return !q.isFull() })
}

// waitCopyOrDone waits until the entry was answered in full, or the backend is in copy-in mode.
func (q *queue) waitCopyOrDone(position uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wait(func() bool { return q.copying || q.popped >= position })
}

// waitReady waits until the ReadyForQuery with this number came. refused says that it will not, before the next Sync, or before the client
// ends its copy: the backend discards the message at hand, or ends the session for it.
func (q *queue) waitReady(number uint64) (refused bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	seen := func() bool { return q.readySeen.Load() >= number }
	err = q.wait(func() bool { return seen() || q.skipping || q.copying })
	return q.skipping || q.copying && !seen(), err
}

// waitSettled waits until the ReadyForQuery with this number came, or cannot come before the client sends more: the backend discards up
// to the next Sync, or copies data in.
func (q *queue) waitSettled(number uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wait(func() bool { return q.readySeen.Load() >= number || q.skipping || q.copying })
}

// waitAnswered waits until everything was answered that was pushed, or is not going to be: the backend discards or copies.
func (q *queue) waitAnswered() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.wait(func() bool { return q.count == 0 || q.skipping || q.copying })
}

// pause waits for a time, or until the relay ends.
func (q *queue) pause(d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	over := false
	timer := time.AfterFunc(d, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		over = true
		q.moved.Broadcast()
	})
	defer timer.Stop()
	return q.wait(func() bool { return over })
}

// wait waits for something to come true. The lock is held.
func (q *queue) wait(done func() bool) error {
	for !done() {
		if q.ended {
			return errEnded
		}
		q.moved.Wait()
	}
	return nil
}

// lastIdle is the number of the last ReadyForQuery that found no transaction open.
func (q *queue) lastIdle() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.readyIdle
}

// busy says whether the backend owes an answer; status is the transaction state it last reported.
func (q *queue) busy() (busy bool, status byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count > 0, q.status
}

// endIfIdle ends the queue if the backend owes nothing and is in no transaction, or in any state when that does not matter: nothing is
// pushed afterwards. It says whether it did.
func (q *queue) endIfIdle(anyState bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.count > 0 || q.status != wire.Idle && !anyState {
		return false
	}
	q.ended = true
	q.moved.Broadcast()
	return true
}

// inPipeline says whether the last message that was answered was an extended one: the backend may have read more of them.
func (q *queue) inPipeline() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pipeline && !q.skipping
}
