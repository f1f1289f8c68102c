package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
)

// The gateway cancels statements by itself when they reach a limit. Its cancel must hit no other: whatever the backend has been sent
// behind the statement would be run, and then cancelled. So what follows the ReadyForQuery of a statement with limits is not forwarded
// before that has come (judge.awaitBounded), and the reporter passes on nothing of what comes after the statement while a cancel is on
// its way (reporter.awaitInterrupt).

// cancelHead asks the backend to cancel the statement it is answering. When that fails the session ends by failed: the statement would go
// on for as long as it likes.
func (r *reporter) cancelHead(failed *sessionError) {
	done := make(chan struct{})
	r.interrupt = done
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), cancelTime)
		defer cancel()
		if _, err := r.cancelRunning(ctx, failed); err != nil {
			r.logger.Warn("statement that reached a limit could not be cancelled", "error", err)
			r.end(failed)
		}
	}()
}

// awaitInterrupt waits until a cancel of our own has been delivered; that takes cancelTime at most, and less when the session is to end.
func (r *reporter) awaitInterrupt() {
	if r.interrupt != nil {
		<-r.interrupt
		r.interrupt = nil
	}
}

// bounded notes that what was forwarded may be cancelled by the gateway; ready is the ReadyForQuery that follows it.
func (j *judge) bounded(r *run, ready uint64) {
	if r != nil && r.allowance != nil {
		j.settles = ready
	}
}

// awaitBounded waits, before a message behind the ReadyForQuery of what may be cancelled, until that has come. Behind an error the
// backend discards the message, and while it copies it reads data only.
func (j *judge) awaitBounded() error {
	if j.settles == 0 || j.queue.nextReady() <= j.settles {
		return nil
	}
	err := j.held(func() error {
		if err := j.flush(); err != nil {
			return err
		}
		return j.queue.waitSettled(j.settles)
	})
	if err != nil {
		return err
	}
	if j.queue.readySeen.Load() >= j.settles {
		j.settles = 0
	}
	return nil
}

// cancelRunning asks the backend to cancel what it is doing, if it is doing anything. Until that is over the judge forwards nothing:
// the cancel must not hit a statement that the client sends after it. The backend ends the connection of a cancel when it has sent the
// signal. When that end does not come, the request may still arrive at any time: then nothing is forwarded any more, and the session ends
// by inDoubt. ctx has a deadline. When it ends before that, a request is not begun, but one that is on its way is not broken off.
func (r *relay) cancelRunning(ctx context.Context, inDoubt *sessionError) (forwarded bool, err error) {
	if busy, _ := r.queue.busy(); !busy {
		return false, nil
	}
	if r.crowd != nil { // before the judge is held up
		if err := r.crowd.Enter(ctx); err != nil {
			return false, fmt.Errorf("too many cancels are on their way to the host: %w", err)
		}
		defer r.crowd.Leave()
	}
	r.cancelMu.Lock()
	defer r.cancelMu.Unlock()
	r.cancelling.Store(true)
	defer r.cancelling.Store(false)
	if busy, _ := r.queue.busy(); !busy || r.over {
		return false, nil
	}
	ctx, stop := r.untilLastCancel(ctx)
	defer stop()
	if err = r.cancel(ctx); stageOf(err) == backend.StageCancel {
		r.inDoubt.Store(true)
		r.end(inDoubt)
	}
	return true, err
}

// untilLastCancel bounds a cancel: the end of a session that is ended meanwhile does not wait for it any longer than for the backend's answer.
func (r *relay) untilLastCancel(ctx context.Context) (context.Context, context.CancelFunc) {
	limit, ok := ctx.Deadline()
	if !ok {
		limit = time.Now().Add(cancelTime)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.lastCancel.IsZero() && r.lastCancel.Before(limit) {
		limit = r.lastCancel
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), limit)
	r.giveUpCancel = cancel
	return ctx, cancel
}

// boundCancels sets that bound, once the end is decided. One that is on its way has begun before. The lock is held.
func (r *relay) boundCancels(limit time.Time) {
	if r.lastCancel.IsZero() && r.giveUpCancel != nil {
		time.AfterFunc(time.Until(limit), r.giveUpCancel)
	}
	r.lastCancel = limit
}

// endCancels waits for a cancel request that is on its way, and has no other follow it: the backend session must still be there when one
// comes, or it might be meant for somebody else by then.
func (r *relay) endCancels() {
	r.cancelMu.Lock()
	defer r.cancelMu.Unlock()
	r.over = true
}

// cancelInDoubt ends a session that a cancel request may still come to.
func cancelInDoubt() *sessionError {
	return &sessionError{reason: ReasonBackendGone, message: "the database does not say whether a cancel request has arrived"}
}

// awaitCancel waits for a cancel request that is on its way to the backend. When it is not known to have arrived the session has ended.
func (r *relay) awaitCancel() error {
	if r.cancelling.Load() {
		r.cancelMu.Lock()
		defer r.cancelMu.Unlock()
	}
	if r.inDoubt.Load() {
		return errEnded
	}
	return nil
}
