package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

const (
	// sealInterval is how long an event waits for its checkpoint at most.
	sealInterval = time.Second
	// maxUnsealed is how many events a checkpoint speaks of: their hashes stand in its line, which readers hold in memory.
	maxUnsealed = 1024
)

// seal is the proof that grows with the log. Its methods are called with the log's lock held.
type seal struct {
	key      *proof.Key // nil: checkpoints are not signed
	tree     proof.Tree
	nodes    proof.Hasher
	unsealed []proof.Hash // leaves behind the last checkpoint
	earlier  int          // so many of them are in files before this one, whose checkpoints list none but their own
	line     []byte       // of the last checkpoint, for its memory
	part     []byte       // the beginning of a line whose end could not be written
	observe  func(Checkpoint)
}

// Checkpoint is one that was written to the log.
type Checkpoint struct {
	Time   time.Time
	Events int64  // of the log from its beginning
	Note   string // signed, as https://c2sp.org/tlog-checkpoint has it
}

// add takes in a whole line by its hash.
func (s *seal) add(leaf proof.Hash) {
	s.tree.AddBy(&s.nodes, leaf)
	s.unsealed = append(s.unsealed, leaf)
}

// wrote takes in what a write has brought to the file, which may end within a line.
func (s *seal) wrote(p []byte) {
	for {
		line, rest, whole := bytes.Cut(p, []byte{'\n'})
		if len(s.part) == 0 {
			s.part = append(s.part, 0)
		}
		s.part = append(s.part, line...)
		if !whole {
			if len(s.part) == 1 {
				s.part = s.part[:0]
			}
			return
		}
		switch proof.KindOf(s.part[1:]) {
		case proof.KindLeaf:
			s.add(proof.PrefixedLeafHash(s.part))
		case proof.KindCheckpoint: // it lacked nothing but its newline
			s.unsealed, s.earlier = s.unsealed[:0], 0
		}
		s.part, p = s.part[:0], rest
	}
}

// torn says whether the last line lacks its end.
func (s *seal) torn() bool { return len(s.part) > 0 }

// resume goes on where a file ends.
func (s *seal) resume(state proof.State) {
	s.tree, s.unsealed, s.earlier, s.part = state.Tree, state.Unsealed, 0, nil
	if len(state.Torn) > 0 {
		s.part = append([]byte{0}, state.Torn...)
	}
}

// Run drains the journal, makes a checkpoint every second in which there were events, rotates, and looks after the file, until ctx ends.
func (l *Log) Run(ctx context.Context) error {
	drained := l.drainBeside(ctx)
	defer drained()
	tidied := make(chan struct{}, 1)
	tidied <- struct{}{}
	defer func() { <-tidied }() // nothing is left behind
	ticker := time.NewTicker(sealInterval)
	defer ticker.Stop()
	l.tidyBeside(ctx, tidied)
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			if l.tick(now) {
				l.tidyBeside(ctx, tidied)
			}
		}
	}
}

// tick does what is due every second, and says whether there is a new old file.
func (l *Log) tick(now time.Time) (rotated bool) {
	if !l.gate.enter() {
		if l.stalled != nil {
			l.stalled()
		}
		return false
	}
	old, texts, err := l.tend(now)
	l.leave()
	if err = errors.Join(err, l.end(old, texts)); err != nil {
		l.logger.Error("audit log cannot be rotated", "error", err)
	}
	return old != nil
}

// tend looks after the file and the one beside it, and returns those before if it has begun new ones.
func (l *Log) tend(now time.Time) (old, texts sink, err error) {
	if l.file == nil {
		return nil, nil, nil
	}
	l.tendJournal()
	texts = l.tendTexts()
	if !l.gone && l.missing() {
		l.gone, l.err = true, errGone
		l.journal.halt()
		l.logger.Error("audit log cannot be written", "error", errGone)
	}
	if l.gone && l.heal() != nil {
		return nil, texts, nil // Healthy says why
	}
	if l.err != nil && l.replaced() { // a file system that failed was mounted anew: what is open is still the one that failed
		old, err = l.reopen()
		if texts == nil {
			texts = l.leaveTexts()
		}
		return old, texts, err
	}
	_ = l.finish() // that the log cannot be written was said by the write
	if !l.due(now) {
		return nil, texts, nil
	}
	old, err = l.rotate(now)
	if old != nil && texts == nil {
		texts = l.leaveTexts()
	}
	return old, texts, err
}

var errGone = errors.New("audit log was removed")

// tidyBeside tidies in a goroutine, which Run waits for: compressing takes longer than a second. Whoever holds token tidies.
func (l *Log) tidyBeside(ctx context.Context, token chan struct{}) {
	if l.rotation == (Rotation{}) {
		return
	}
	select {
	case <-token:
	default:
		return // what is new now is found at the next time
	}
	go func() {
		defer func() { token <- struct{}{} }()
		if err := l.tidy(ctx, time.Now()); err != nil && ctx.Err() == nil {
			l.logger.Error("old audit logs were not tidied", "error", err)
		}
	}()
}

// Seal makes a checkpoint if there were events since the last one.
func (l *Log) Seal() error {
	if !l.gate.enter() {
		return ErrSlow
	}
	defer l.leave()
	return l.finish()
}

// ChangeKey has checkpoints signed by another key from now on. The event says so; it is under the last checkpoint of the key before, which
// so vouches for the one that follows it.
func (l *Log) ChangeKey(key *proof.Key, event Event) error {
	if err := l.Append(event); err != nil {
		return err
	}
	if !l.gate.enter() {
		return ErrSlow
	}
	defer l.leave()
	if err := l.finish(); err != nil {
		return err
	}
	l.seal.key = key
	return nil
}

// finish writes what was accepted, and a checkpoint of it.
func (l *Log) finish() error {
	if err := l.settle(); err != nil {
		return err
	}
	return l.checkpoint()
}

// checkpoint writes a checkpoint if there is something new.
func (l *Log) checkpoint() error {
	if len(l.seal.unsealed) == 0 {
		return nil
	}
	signed, err := l.seal.key.Sign(&l.seal.tree)
	if err != nil {
		return err
	}
	made := Checkpoint{Time: time.Now(), Events: l.seal.tree.Size(), Note: signed}
	last := l.seal.unsealed[max(l.seal.earlier, len(l.seal.unsealed)-maxUnsealed):] // more are in a log from before there were checkpoints
	l.seal.line = append(proof.AppendCheckpoint(l.seal.line[:0], made.Time, &l.seal.tree, last, signed), '\n')
	if err := l.mark(l.seal.line); err != nil {
		return err
	}
	l.seal.unsealed, l.seal.earlier = l.seal.unsealed[:0], 0
	if l.seal.observe != nil {
		l.seal.observe(made)
	}
	return nil
}

// begin writes what a file begins with.
func (l *Log) begin() error {
	line := proof.AppendStart(nil, time.Now(), &l.seal.tree)
	if err := l.mark(append(line, '\n')); err != nil {
		return fmt.Errorf("begin a file: %w", err)
	}
	l.start, l.seal.earlier = l.size, len(l.seal.unsealed)
	if !l.regular {
		return nil
	}
	if err := syncDirectory(l.path); err != nil { // or a crashed machine has what is synced, and no name for it
		return fmt.Errorf("begin a file: %w", err)
	}
	return nil
}
