package gateway

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/sallyport/sallyport/gateway/wire"
)

// A session is ended in this order, whoever ends it: the judge forwards nothing more, what runs is cancelled and the backend heard out, and
// only then the client is told. A client that hears FATAL takes it that what it asked for last has not happened: until the backend has said
// so it may still happen. What the backend completes before the cancel reaches it is told truthfully. The error that the cancel raises is
// not shown: PostgreSQL ends a session with FATAL in its place.

const (
	// leaveTime is how long the judge may take to end: it may be writing to a backend that does not read, or hang in the audit log. After
	// half of it a client that has sent half a message of data is not waited for.
	leaveTime = time.Second
	// settleTime is how long the backend may take to say what became of what it was sent: a function may catch a cancel, and the machine
	// may have died. Its role is not dropped meanwhile.
	settleTime = 3 * time.Second
	// settleBound is how long a session takes at most from its end's decision to the last word: also a client must first let go.
	settleBound = farewellTime + leaveTime + settleTime
	// lastBytes is how much of rows and other data is delivered once the end is decided. A client that is slow would have to take in what
	// the network holds before it heard anything.
	lastBytes = 64 << 10
)

// errSettled is what hearing out the backend gives when it owes nothing more.
var errSettled = errors.New("the backend owes nothing more")

// settlement is what the reporter knows of a session's end while the backend is heard out.
type settlement struct {
	settling  bool
	settled   bool          // it is over, or there is nobody to hear
	gone      bool          // the backend has ended, or cannot be understood any more
	broken    bool          // the client cannot be written to any more
	hungUp    bool          // the backend was told that nothing more comes
	unread    bool          // rows of the statement that is being answered were not delivered
	untold    bool          // a statement was completed, and the client was not told
	delivered int           // bytes of rows, since the end
	holding   bool          // the error of a cancel of ours is kept from the client, and what came after it
	next      chan struct{} // tells who cancels that the backend goes on with something else
}

// settle has the backend come to rest: nothing more is forwarded to it, what it runs is cancelled, and what it says of that is heard. own
// says that the reporter has found the end's reason in what it was to pass on: then nothing more is passed on.
func (r *reporter) settle(own bool) {
	defer func() { r.settled = true }()
	if own {
		r.hush()
	}
	r.settling, r.next = true, make(chan struct{}, 1)
	r.awaitJudge()
	if busy, _ := r.queue.busy(); !busy || r.closed { // a cancel might now be for another that has got the process's id
		return
	}
	limit := time.Now().Add(settleTime)
	r.mu.Lock()
	r.boundCancels(limit)
	r.mu.Unlock()
	stop := r.cancelUntil(limit)
	defer stop()
	if !r.gone {
		r.askForRest()
		r.hearOut(limit)
	}
}

// awaitJudge waits until the judge has ended, or cuts it off from the backend. What it has not forwarded is not going to be.
func (r *reporter) awaitJudge() {
	patience := time.NewTimer(leaveTime)
	defer patience.Stop()
	select {
	case <-r.left:
	case <-patience.C:
		_ = r.backend.SetWriteDeadline(past)
	}
	sent := r.sent.Load()
	if r.known && r.head.position > sent {
		r.head, r.known = entry{}, false
	}
	r.queue.retract(sent, func(e entry) {
		if e.run != nil && !e.bound { // what is only executed was bound, and is told of as that
			e.run.forwarded = false
			_ = r.reportSkipped(e, false)
		}
	})
}

// askForRest makes the backend say what it keeps until it is asked, and ends a copy, whose cancel it would not notice while it waits for
// data. Outside a copy it ignores CopyFail. The judge has ended: there is no other writer. One that hangs is left alone, and so is a
// backend that waits for the rest of a message: it hears that nothing more is coming.
func (r *reporter) askForRest() {
	select {
	case <-r.left:
	default:
		return
	}
	_ = r.backend.SetWriteDeadline(time.Now().Add(leaveTime))
	if !r.whole {
		if c, ok := r.backend.(interface{ CloseWrite() error }); ok {
			r.hungUp = c.CloseWrite() == nil
		}
		return
	}
	var ask []byte
	if r.queue.isCopying() || r.queue.mayCopy() {
		ask = wire.AppendMessage(ask, wire.CopyFail, []byte("the session has ended\x00"))
	}
	_, _ = r.backend.Write(wire.AppendMessage(ask, wire.Flush))
}

// cancelUntil has the backend cancel what it does, again and again until the result is called, which waits for a cancel that is on its way.
func (r *reporter) cancelUntil(limit time.Time) (stop func()) {
	ctx, cancel := context.WithDeadline(context.Background(), limit)
	done := make(chan struct{})
	go func() {
		defer close(done)
		again := time.NewTicker(cancelAgain)
		defer again.Stop()
		for {
			if _, err := r.cancelRunning(ctx, cancelInDoubt()); err != nil && !errors.Is(err, context.Canceled) {
				r.logger.Warn("statement of an ended session could not be cancelled", "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-again.C:
			case <-r.next: // a pipeline: now the next of it runs
			}
		}
	}()
	return func() { cancel(); <-done }
}

// hearOut passes on what the backend says until it owes nothing more, or the limit passes.
func (r *reporter) hearOut(limit time.Time) {
	for {
		_ = r.backend.SetReadDeadline(limit)
		err := r.disposeLast()
		if err == nil {
			_, err = r.pipe.Run(r.disposeLast)
		}
		var session *sessionError
		switch {
		case errors.Is(err, errSettled), !time.Now().Before(limit):
			return
		case errors.Is(err, os.ErrDeadlineExceeded) && !errors.As(err, &session): // woken once more
		case errors.As(err, &session) && (session.reason == ReasonNotReading || session.reason == ReasonClientGone):
			r.pipe.Mute()
		case errors.As(err, &session) && session.reason == ReasonAudit:
			r.hush()
		default:
			_ = r.backendError(err)
			return
		}
	}
}

// disposeLast disposes of what was read.
func (r *reporter) disposeLast() error {
	if err := r.step(); err != nil {
		return err
	}
	if err := r.flush(); err != nil {
		return err
	}
	if r.pipe.Held() > lastBytes {
		if err := r.release(); err != nil {
			return err
		}
	}
	if busy, _ := r.queue.busy(); !busy {
		return errSettled
	}
	return nil
}

// turned tells who cancels that something else may run now.
func (r *reporter) turned() {
	select {
	case r.next <- struct{}{}:
	default: // nobody is there, or it was told
	}
}

// hush passes nothing more on, but what is said at last.
func (r *reporter) hush() {
	if r.toClient(r.pipe.Flush()) == nil && r.pipe.AmidMessage() {
		r.broken = true
	}
	r.pipe.Mute()
}

// speak ends that, if the client can hear anything.
func (r *reporter) speak() {
	if !r.broken {
		r.pipe.Forget()
	}
}

// short says whether a row is not delivered any more.
func (r *reporter) short(size int) bool {
	if !r.settling {
		return false
	}
	r.delivered += size
	r.unread = r.unread || r.delivered > lastBytes
	return r.unread
}

// checkWhole keeps a completion from a client that has not been delivered all of what was completed.
func (r *reporter) checkWhole(t wire.Type) {
	run := r.asked().run
	if t == wire.ReadyForQuery || !r.unread && (run == nil || run.cut == nil) {
		return
	}
	r.unread, r.untold = false, true
	r.hush()
}

// causes says whether an error comes of a cancel, or of the backend's having been told that the rest of a message does not come.
func (r *reporter) causes(sqlstate string) bool {
	return r.settling && (sqlstate == "57014" || sqlstate == "08006" && r.hungUp)
}

// withhold keeps an error from the client, unless the backend goes on with something else. The error is disposed of in any case.
func (r *reporter) withhold(size int) (err error) {
	if !r.holding {
		r.holding = true
		err = r.toClient(r.pipe.Hold())
	}
	r.pipe.Accept(size)
	return err
}

// release passes on what was withheld: the backend has gone on, and the client could not make sense of that otherwise.
func (r *reporter) release() error {
	if !r.holding {
		return nil
	}
	r.holding = false
	return r.toClient(r.pipe.Release())
}

// tellsNothing says whether a message has nothing of what a statement did, so that it may be withheld like an error before it.
func tellsNothing(t wire.Type) bool {
	switch t {
	case wire.NoticeResponse, wire.ParameterStatus, wire.NotificationResponse, wire.ErrorResponse, wire.ReadyForQuery,
		wire.ParseComplete, wire.BindComplete, wire.CloseComplete, wire.ParameterDescription, wire.RowDescription, wire.NoData:
		return true
	}
	return false
}

// lastWords is what the client is told of the end, and of what it could not be told before.
func (r *reporter) lastWords(ending *sessionError) *sessionError {
	busy, _ := r.queue.busy()
	told := *ending
	switch {
	case r.closed:
	case busy:
		told.detail = joinLines(told.detail, "The database has not said what became of the last statement.")
	case r.untold:
		told.detail = joinLines(told.detail, "A statement was complete before it could be cancelled; not all of its rows were delivered.")
	}
	return &told
}

func joinLines(lines, line string) string {
	if lines == "" {
		return line
	}
	return lines + "\n" + line
}

// leave ends the judge. It forwards what is left of a message of data whose start the backend has seen: in the middle of it the backend can
// be told nothing.
func (j *judge) leave(ending error) error {
	limit := time.Now().Add(leaveTime / 2)
	whole, err := j.pipe.Finish()
	for err == nil && !whole {
		_ = j.client.SetReadDeadline(limit)
		if err = j.pipe.Fill(); errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(limit) {
			err = nil // woken once more
		}
		if err == nil {
			whole, err = j.pipe.Finish()
		}
	}
	j.relay.whole = whole && err == nil && !j.broken
	return ending
}
