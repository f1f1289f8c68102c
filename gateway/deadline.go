package gateway

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
)

// deadline cancels a statement that takes longer than its decision allows. The judge starts it, the reporter stops it. It counts the time of a
// Bind, which plans and so runs functions, and that of the Execute that shares its event, but not what the client takes between the two. Its
// cancel must
// hit nothing else, so such a statement runs alone: it is forwarded when everything before it is answered (judge.alone), and nothing
// is forwarded behind it before it is answered itself (judge.awaitTimed).
type deadline struct {
	after time.Duration

	mu    sync.Mutex
	over  bool
	up    bool // the time was up before it was over
	timer *time.Timer
	began time.Time     // when it was started last
	left  time.Duration // of after, once it was paused; 0: it was not
	ended chan struct{} // closed when the statement is over
	fired chan struct{} // closed when the last cancel has been delivered
}

// cancelAgain is how long a statement that was cancelled may go on. PostgreSQL ignores a cancel that comes while it still reads the
// statement, and a function may catch one.
const cancelAgain = 500 * time.Millisecond

// start begins to count, or goes on after a pause, unless the statement is over already.
func (d *deadline) start(r *relay) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return
	}
	d.began, d.ended, d.fired = time.Now(), make(chan struct{}), make(chan struct{})
	ended, fired := d.ended, d.fired
	d.timer = time.AfterFunc(cmp.Or(d.left, d.after), func() {
		defer close(fired)
		d.enforce(r, ended)
	})
}

// enforce cancels the statement until it is over.
func (d *deadline) enforce(r *relay, ended <-chan struct{}) {
	again := time.NewTicker(cancelAgain)
	defer again.Stop()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), cancelTime)
		_, err := r.cancelRunning(ctx, cancelInDoubt())
		cancel()
		if err != nil {
			r.logger.Warn("statement whose time is up could not be cancelled", "error", err)
		}
		select {
		case <-ended:
			return
		case <-again.C:
		}
	}
}

// pause ends the counting until the next start: the statement is planned, and not run yet. When the time was up it waits until the cancel has
// been delivered, and nothing is left.
func (d *deadline) pause() {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over || d.timer == nil {
		return
	}
	if !d.timer.Stop() {
		close(d.ended)
		<-d.fired
		d.up = true
	}
	d.left = max(cmp.Or(d.left, d.after)-time.Since(d.began), 1)
	d.timer = nil
}

// stop ends the counting. When the time was up it waits until the cancel has been delivered, and says so.
func (d *deadline) stop() (up bool) {
	if d == nil {
		return false
	}
	d.mu.Lock()
	timer, again := d.timer, d.over
	d.over = true
	d.mu.Unlock()
	if again || timer == nil {
		return d.up
	}
	close(d.ended)
	if !timer.Stop() {
		<-d.fired
		d.up = true
	}
	return d.up
}

// timedOut is the error of a statement whose time is up, in PostgreSQL's words.
func (r *reporter) timedOut(run *run) *denial {
	r.metrics.limited(limitTimeout)
	d := &denial{
		sqlstate: "57014", message: "canceling statement due to statement timeout", named: true,
		detail: "Policy limits this statement to " + run.deadline.after.String() + ".",
	}
	return d.decided(audit.StatementID(r.id, run.number))
}

// alone waits, before a statement with a deadline, until everything before it is answered, or what comes is discarded.
func (j *judge) alone(run *run) error {
	if run == nil || run.deadline == nil {
		return nil
	}
	if busy, _ := j.queue.busy(); !busy {
		return nil
	}
	return j.held(func() error {
		if err := j.askForAnswers(); err != nil {
			return err
		}
		return j.queue.waitAnswered()
	})
}

// startDeadline begins to count the time of what was forwarded.
func (j *judge) startDeadline(e entry) error {
	if e.run == nil || e.run.deadline == nil {
		return nil
	}
	j.deadlined = e.position
	if err := j.flush(); err != nil {
		return err
	}
	e.run.deadline.start(j.relay)
	return nil
}

// awaitTimed waits, before anything else is forwarded, until a statement with a deadline is answered.
func (j *judge) awaitTimed() error {
	if j.deadlined == 0 {
		return nil
	}
	err := j.held(func() error {
		if err := j.askForAnswers(); err != nil {
			return err
		}
		return j.queue.waitCopyOrDone(j.deadlined)
	})
	if err != nil {
		return err
	}
	if !j.queue.isCopying() {
		j.deadlined = 0
	}
	return nil
}
