package audit

import (
	"context"
	"time"
)

// batchTime is how long a line that was accepted waits for others to be written with it: readers of the file do not notice, and at two
// hundred writes a second what waking for one and writing cost does not count.
const batchTime = 5 * time.Millisecond

// drain writes what is accepted to the file until ctx ends.
//
// In the meantime lines are accepted for as long as the file may take for one write (maxWait), and as many as the journal holds. They are
// no worse off than those that write(2) has accepted: neither is on a disk, both survive a killed process, and it is the same disk that
// will not have them. When a write has failed or takes longer, no more are: what nobody may be able to write must not grow.
func (l *Log) drain(ctx context.Context) {
	j := l.journal
	j.run()
	defer j.stop()
	overdue := time.AfterFunc(maxWait, func() { l.overdue(j) })
	defer overdue.Stop()
	batch := time.NewTimer(batchTime)
	defer batch.Stop()
	for {
		if j.idle() {
			select {
			case <-ctx.Done():
				return
			case <-j.wake:
			}
		}
		batch.Reset(batchTime)
		select {
		case <-ctx.Done():
			return
		case <-j.wake: // it is half full
		case <-batch.C:
		}
		overdue.Reset(maxWait)
		l.drainOnce(j)
		overdue.Stop()
	}
}

// drainBeside drains in a goroutine; finish waits for its end and writes the rest. It does not wait for a file that takes nothing, as Run
// does not: Close will find out.
func (l *Log) drainBeside(ctx context.Context) (finish func()) {
	if l.journal == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.drain(ctx)
	}()
	return func() {
		timer := time.NewTimer(maxWait)
		defer timer.Stop()
		select {
		case <-done:
			l.drainOnce(l.journal)
		case <-timer.C:
		}
	}
}

// drainOnce writes what there is. What it cannot write stays, and whoever comes next tries: an event, Healthy, or Run.
func (l *Log) drainOnce(j *journal) {
	if !l.gate.enter() {
		j.halt()
		return
	}
	defer l.leave()
	j.set(func() { j.busy = true })
	_ = l.settle()
	j.set(func() { j.busy = false })
}

// tendJournal has no more accepted into a journal that was removed, as logind does with what accounts have in /dev/shm when they log out
// (RemoveIPC), or cleaners of temporary files: the next gateway would not find it.
func (l *Log) tendJournal() {
	if l.journal != nil && !l.journal.named() && l.journal.stop() {
		l.logger.Error("the audit log's journal was removed: every event is written by itself until the gateway is started again", "file", l.journal.file.Name())
	}
}

// overdue is called when a write takes longer than an event waits: until it has ended nobody else has to.
func (l *Log) overdue(j *journal) {
	j.set(func() {
		if j.busy {
			j.halted = true
			l.gate.stuck.Store(true)
		}
	})
}

// settle writes all that has to be in the file before anything else: what was accepted, the end of a torn line, and that something is
// missing.
func (l *Log) settle() error {
	if l.file == nil {
		return ErrClosed
	}
	if l.seal.torn() && (l.journal == nil || l.journal.sent == 0) { // of an event that was refused
		l.journal.halt()
		if err := l.repair(); err != nil {
			return err
		}
	}
	if err := l.flush(); err != nil {
		return err
	}
	if l.err != nil || l.refused.Load() > 0 {
		l.journal.halt()
		if err := l.flush(); err != nil { // of what came before that
			return err
		}
		if err := l.repair(); err != nil {
			return err
		}
	}
	return nil
}

// flush writes what is in the journal by now.
func (l *Log) flush() error {
	j := l.journal
	if j == nil {
		return nil
	}
	for j.take(); j.done < len(j.taken); {
		if err := l.writeBatch(j); err != nil {
			return err
		}
	}
	return nil
}

// writeBatch writes whole lines, the first of which may be in the file in part, as many as one write and one checkpoint are for.
func (l *Log) writeBatch(j *journal) error {
	room := maxUnsealed - len(l.seal.unsealed)
	if room <= 0 && j.sent == 0 {
		return l.checkpoint()
	}
	at := position{tail: j.tail.Load(), file: l.id, offset: uint64(l.size) - j.sent, writing: true} // #nosec G115 -- no size is negative
	from := at.tail + j.sent
	lines := j.batch(from, max(room, 1))
	buf := j.piece(&l.batch, from, lines[len(lines)-1].end)
	j.setPosition(at)
	n, err := l.put(buf)
	whole := l.sealLines(lines, from, buf[:n])
	j.done += whole
	reached := from + uint64(n) // #nosec G115 -- nor is that
	if whole > 0 {
		end := lines[whole-1].end
		at.tail, at.offset = end, at.offset+end-at.tail
	}
	j.sent = reached - at.tail
	at.writing = j.sent > 0
	j.setPosition(at)
	if err == nil && len(l.seal.unsealed) >= maxUnsealed {
		_ = l.checkpoint() // when it cannot be written the next batch is not either
	}
	return err
}

// sealLines takes in what was written of lines, from a place in the journal on. It returns how many are whole in the file; what is there of
// the next one is torn.
func (l *Log) sealLines(lines []journaled, from uint64, written []byte) (whole int) {
	reached := from + uint64(len(written))
	for whole < len(lines) && lines[whole].end <= reached {
		line := lines[whole]
		if l.seal.torn() { // the file had the beginning of it
			l.seal.wrote(written[:line.end-from])
		} else {
			l.seal.add(line.leaf)
		}
		written, from = written[line.end-from:], line.end
		whole++
	}
	l.seal.wrote(written)
	return whole
}
