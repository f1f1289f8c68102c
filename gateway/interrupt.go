package gateway

import (
	"context"
)

// The gateway cancels statements by itself when they reach a limit. Its cancel must hit no other: whatever the backend has been sent
// behind the statement would be run, and then cancelled. So what follows the ReadyForQuery of a statement with limits is not forwarded
// before that has come (judge.awaitBounded), and the reporter passes on nothing of what comes after the statement while a cancel is on
// its way (reporter.awaitInterrupt).

// cancelHead asks the backend to cancel the statement it is answering. then hears what became of that.
func (r *reporter) cancelHead(then func(err error)) {
	done := make(chan struct{})
	r.interrupt = done
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), cancelTime)
		defer cancel()
		_, err := r.cancelRunning(ctx)
		then(err)
	}()
}

// awaitInterrupt waits until a cancel of our own has been delivered; that takes cancelTime at most.
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
	if j.settles == 0 || j.queue.progress().readyOwed < j.settles {
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
