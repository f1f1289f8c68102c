package audit

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

const (
	// initialBuffer holds nearly every event without growing.
	initialBuffer = 4 << 10
	// maxKeptBuffer is the largest buffer kept between events; one long text must not pin its escaped form for ever.
	maxKeptBuffer = 256 << 10
)

// ErrClosed is what Append answers after Close.
var ErrClosed = errors.New("audit log is closed")

// Config configures a Log.
type Config struct {
	// Path of the file. It is created with mode 0600 when there is none. It may be /dev/null (nothing is kept: for measurements).
	Path string
	// AllowPipe accepts a named pipe at Path. It needs a reader when the log is opened, and no line of more than PIPE_BUF is atomic.
	AllowPipe bool
	// MaxTextBytes bounds how much of a text stands in a line; 0 is DefaultMaxTextBytes.
	MaxTextBytes int
	// MaxWholeBytes is how long a text may be that is kept whole all the same, in the file beside this one; 0: none is. A log that is no
	// file has none beside it.
	MaxWholeBytes int
	// Strict has events accepted when they are on the disk (fsync), many at a time. Otherwise they are accepted by write(2), or when they
	// are in the journal: they survive a killed process, not a crashed machine.
	Strict bool
	// Journal is a directory in memory-backed storage (tmpfs) for what is accepted and not written yet, at most some milliseconds of it
	// while the file can be written; or JournalAnywhere. Without one ("") every event is a write(2) of its own. It is used while the log
	// is run, and not if it is strict: what waits for the disk gains nothing by it.
	Journal string
	// Rotation is done by Run.
	Rotation Rotation
	// Key signs the checkpoints; nil: nobody does, and whoever changes the file can make its checkpoints fit.
	Key *proof.Key
	// OnCheckpoint, which may be nil, is called for every checkpoint when it is in the file. It is called with the log's lock held: it
	// must not wait, nor call the log.
	OnCheckpoint func(Checkpoint)
	// OnStall, which may be nil, is called by Run every second while the file takes nothing. Whoever's write hangs is not answered by
	// Append: this is the time to answer otherwise.
	OnStall func()
	// Logger hears about repairs, failures and recoveries; nil is silence.
	Logger *slog.Logger
}

// Log writes events to a file, one line each, and the proof of them. It is safe for concurrent use. Whoever opens it runs it, or only
// every 1024th event has a checkpoint, and the journal is not used.
//
// With a journal an event is accepted when it is there, and in the file within milliseconds, in the same order: see drain. What the
// journal does not take, for it is full or the file takes nothing, is written as without one: by write(2), behind all that was accepted.
//
// A write can fail, and callers must act on it: see Statement and Outcome. After a failure the log is unhealthy until something was
// written again; every Append tries, and completes a torn line first. A write that hangs fails for all who come after it.
type Log struct {
	path      string
	allowPipe bool
	strict    bool
	rotation  Rotation
	bounds    textBounds
	stalled   func()
	logger    *slog.Logger

	refused atomic.Uint64 // events that were not even tried, for the log was slow

	journal *journal  // nil: every event is written by itself
	lines   sync.Pool // of *line, for the journal
	known   *written  // the texts that are in the file, and beside it; the journal's lock guards it too, unless that is halted

	gate gate // guards what is below
	place
	line  *line
	batch []byte // what is written of the journal where that does not lie in one piece, for its memory
	seal  seal
	err   error  // of the last write; nil when healthy
	lost  uint64 // events refused since then
	left  uint64 // events that were found without a checkpoint and were not yet spoken of

	aside aside

	commits, textCommits committer

	retry  time.Time // until then it is not rotated: that failed
	closed bool
}

// place is where a log is written to.
type place struct {
	file    sink // nil before Open and after Close
	id      fileID
	pipe    bool // it is one, and a write can be given up
	regular bool // it is a file
	gone    bool // it has no name any more
	size    int64
	start   int64     // size behind its first line
	since   time.Time // when it was begun
}

// sink is what Log needs of an *os.File.
type sink interface {
	io.WriteCloser
	Sync() error
}

// Open opens or creates the file. It refuses what is not a regular file (but see Config), what others may write, and symbolic links:
// whoever can place one chooses where the audit goes. It goes on with the tree that the file ends with, and refuses a file whose
// checkpoints do not fit its lines: to go on would be to sign what somebody has changed. What a gateway that was killed has left, a torn
// line or events without a checkpoint, is followed by a LogRepair.
func Open(cfg Config) (*Log, error) {
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{
		path:      cfg.Path,
		allowPipe: cfg.AllowPipe,
		strict:    cfg.Strict,
		rotation:  cfg.Rotation,
		bounds:    textBounds{line: cfg.MaxTextBytes, whole: cfg.MaxWholeBytes},
		stalled:   cfg.OnStall,
		logger:    logger,
		gate:      newGate(),
		line:      newLine(),
		seal:      seal{key: cfg.Key, observe: cfg.OnCheckpoint},
		known:     new(written),
		aside:     aside{path: cfg.Path + Beside},
	}
	l.lines.New = func() any { return newLine() }
	if err := l.open(cfg.Journal); err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	return l, nil
}

// Text is NewText with the bounds of this log.
func (l *Log) Text(sql string) Text { return l.bounds.text(sql) }

// PassingText is Text in the given memory, for an event that is appended before the next.
func (l *Log) PassingText(memory *PassingText, sql []byte) Text {
	return memory.set(sql, l.bounds)
}

// Append records one event. The event was not accepted unless the error is nil.
//
// It waits for at most two seconds while somebody else's write hangs. One that hangs itself is waited for: nobody can say whether the
// event will be in the file; see Config.OnStall.
func (l *Log) Append(event Event) error {
	if l.journal != nil && l.accept(event) {
		return nil
	}
	if !l.gate.enter() {
		l.refused.Add(1)
		return ErrSlow
	}
	err := l.append(event)
	file, texts := l.file, l.aside.file
	l.leave()
	if err != nil || !l.strict {
		return err
	}
	if s, ok := event.(*Statement); ok && s.hasLong() && texts != nil { // somebody else may have written it just now
		err = l.textCommits.wait(texts)
	}
	if err == nil {
		err = l.commits.wait(file)
	}
	if err != nil {
		l.refused.Add(1)
		return err
	}
	return nil
}

// accept puts an event into the journal, if that takes it.
func (l *Log) accept(event Event) bool {
	statement, _ := event.(*Statement)
	if statement != nil && statement.hasLong() {
		return false // something has to be in a file before it
	}
	line, _ := l.lines.Get().(*line)
	result := addStale
	for result == addStale {
		var omit omitted
		if statement != nil {
			omit = l.known.omitted(statement)
		}
		line.set(event, omit)
		result = l.journal.addEvent(line, l.known, statement, omit)
	}
	if cap(line.buf) <= maxKeptBuffer {
		l.lines.Put(line)
	}
	return result == addDone
}

// leave leaves the gate. The journal accepts again if somebody has halted it and nothing is wrong any more.
func (l *Log) leave() {
	if l.err == nil {
		l.journal.resume()
	}
	l.gate.leave()
}

// append writes an event behind all that was accepted before, and ahead of whatever is accepted after it.
func (l *Log) append(event Event) error {
	l.journal.halt()
	if err := l.settle(); err != nil {
		l.lost++
		return err
	}
	if err := l.encode(event); err != nil {
		l.lost++
		return err
	}
	line := l.line
	if cap(line.buf) > maxKeptBuffer {
		l.line = newLine()
	}
	buf := line.bytes()
	n, err := l.put(buf)
	if err != nil {
		l.lost++
		l.seal.wrote(buf[:n])
		return err
	}
	l.seal.add(line.leaf)
	if s, ok := event.(*Statement); ok {
		l.known.add(s)
	}
	if len(l.seal.unsealed) >= maxUnsealed {
		_ = l.checkpoint() // when it cannot be written the next event is refused
	}
	return nil
}

// encode makes the line of an event. A statement's texts are in it if the file does not have them yet.
func (l *Log) encode(event Event) error {
	var omit omitted
	if s, ok := event.(*Statement); ok && !l.pipe { // whoever reads a pipe may have begun just now
		if err := l.setAside(s); err != nil {
			return err
		}
		omit = l.known.omitted(s)
	}
	l.line.set(event, omit)
	return nil
}

// repair completes what a failed write left behind and says that something is missing.
func (l *Log) repair() error {
	var buf []byte
	l.forget() // what was written last may not be there
	slow := l.refused.Swap(0)
	l.lost += slow
	repair := LogRepair{Cause: "open", Lost: l.lost, Unsealed: l.left}
	if l.seal.torn() {
		buf = append(buf, '\n')
	}
	switch {
	case errors.Is(l.err, errGone):
		repair.Cause = "removed"
	case l.err != nil:
		repair.Cause = "write"
	case slow > 0:
		repair.Cause = "wait"
	}
	if err := l.write(append(repair.AppendJSON(buf), '\n')); err != nil {
		return err
	}
	if repair.Cause != "open" {
		l.logger.Info("audit log can be written again", "lost_events", l.lost)
	}
	l.err, l.lost, l.left = nil, 0, 0
	return nil
}

// write writes whole lines, or the rest of one.
func (l *Log) write(buf []byte) error {
	n, err := l.put(buf)
	l.seal.wrote(buf[:n])
	return err
}

// mark writes a line that is no leaf.
func (l *Log) mark(line []byte) error {
	n, err := l.put(line)
	if err != nil {
		l.seal.wrote(line[:n])
	}
	return err
}

// put is write for those who tell the seal themselves what of buf is in the file.
func (l *Log) put(buf []byte) (n int, err error) {
	if file, ok := l.file.(*os.File); ok && l.pipe {
		_ = file.SetWriteDeadline(time.Now().Add(maxWait)) // whoever reads it may have stopped
	}
	if l.gone {
		return 0, l.err // the next second, or Healthy, sees to it
	}
	n, err = l.file.Write(buf)
	l.size += int64(n)
	if err == nil && n < len(buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		if l.err == nil {
			l.logger.Error("audit log cannot be written", "error", err)
		}
		l.journal.halt()
		l.err = fmt.Errorf("append to audit log: %w", err)
		return n, l.err
	}
	return n, nil
}

// Healthy is the error of the last write, or nil. When there is one it tries to write what was accepted and a LogRepair, so that a log
// recovers without a client.
func (l *Log) Healthy() error {
	if !l.gate.enter() {
		return ErrSlow
	}
	err := l.heal()
	file := l.file
	l.leave()
	if err != nil || !l.strict {
		return err
	}
	return l.commits.wait(file)
}

func (l *Log) heal() error {
	switch {
	case l.file == nil:
		return ErrClosed
	case l.gone:
		if err := l.restore(); err != nil {
			return fmt.Errorf("%w, and cannot be written again: %w", errGone, err)
		}
	case l.err == nil && l.refused.Load() == 0:
		return nil
	}
	return l.settle()
}

// Reopen opens the file by its name again, for use after logrotate has moved it. On an error the old file stays in use.
func (l *Log) Reopen() error {
	if !l.gate.enter() {
		return ErrSlow
	}
	if l.closed {
		l.gate.leave()
		return ErrClosed
	}
	old, err := l.reopen()
	texts := l.leaveTexts()
	l.leave()
	err = errors.Join(err, l.end(old, texts))
	if err != nil {
		return fmt.Errorf("open audit log: %w", err)
	}
	return nil
}

// Close writes what was accepted, seals, syncs and closes the file. Append fails afterwards. What cannot be written stays in the journal,
// for the next Open.
func (l *Log) Close() error {
	l.journal.stop()
	if !l.gate.enter() {
		return ErrSlow
	}
	defer l.gate.leave()
	if l.file == nil {
		return nil
	}
	err := l.finish()
	if l.journal != nil { // not before the lock on the file ends: whoever has that looks for journals
		err = errors.Join(err, l.journal.close())
	}
	err = errors.Join(err, l.end(l.aside.leave(), l.file))
	l.file, l.closed = nil, true
	return err
}

// end syncs and closes files; nil is none.
func (l *Log) end(files ...sink) (err error) {
	for _, file := range files {
		if file == nil {
			continue
		}
		syncErr := file.Sync()
		if errors.Is(syncErr, syscall.EINVAL) { // a pipe, /dev/null
			syncErr = nil
		}
		if syncErr != nil {
			l.commits.broke(file)
			l.textCommits.broke(file)
		}
		err = errors.Join(err, syncErr, file.Close())
	}
	return err
}
