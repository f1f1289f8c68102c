package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// open opens the file for the first time, and goes on where it ends.
func (l *Log) open(journal string) error {
	file, info, err := l.openFile()
	if err != nil {
		return err
	}
	err = l.takeUp(file, info, journal)
	switch {
	case err != nil:
	case l.regular:
		if err = l.aside.check(); err == nil {
			err = l.openJournal(journal)
		}
	default:
		l.bounds.whole = 0
	}
	if err != nil {
		l.file = nil
		return errors.Join(err, file.Close())
	}
	return nil
}

// takeUp goes on where a file ends, first with what is left of it in a journal.
func (l *Log) takeUp(file *os.File, info fs.FileInfo, journal string) error {
	if err := lock(file, info); err != nil {
		return err
	}
	state, err := stateOf(file, info)
	if err != nil {
		return err
	}
	l.use(file, info)
	unbegun, err := l.unbegun(state)
	if err != nil {
		return err
	}
	if unbegun {
		state, err = l.first()
	} else {
		l.seal.resume(state)
	}
	if err != nil {
		return err
	}
	if !state.Began.IsZero() {
		l.since = state.Began
	}
	recovered, err := l.recover(journal)
	if err != nil {
		return err
	}
	if len(state.Torn) == 0 && len(state.Unsealed) == 0 && recovered == 0 {
		return nil
	}
	l.left = uint64(len(state.Unsealed)) + uint64(recovered) // #nosec G115 -- a count
	l.logger.Warn("audit log was not closed", "torn_line", l.seal.torn(), "events_without_checkpoint", l.left, "events_from_journal", recovered)
	return l.repair()
}

// unbegun says whether a file has no line yet, and empties one that has a part of its first: a file without that is no part of a tree.
func (l *Log) unbegun(s proof.State) (bool, error) {
	file, ok := l.file.(*os.File)
	if s.Lines != 1 || len(s.Torn) == 0 || proof.KindOf(s.Torn) != proof.KindLeaf || !proof.BeginsStart(s.Torn) || !ok {
		return s.Lines == 0 && len(s.Torn) == 0, nil
	}
	l.logger.Warn("audit log was not begun", "bytes_of_its_first_line", len(s.Torn))
	l.size = 0
	return true, file.Truncate(0)
}

// first begins the first file, or goes on from one that was rotated away, where that ends.
func (l *Log) first() (before proof.State, err error) {
	if l.regular {
		if before, err = l.predecessor(); err != nil {
			return before, err
		}
		if err := l.pairTexts(); err != nil {
			return before, err
		}
	}
	l.seal.resume(before)
	before.Began = time.Time{} // this one begins now
	return before, l.begin()
}

// restore writes a file whose name was removed again: the gateway still has it open. Events that came since are in it too.
func (l *Log) restore() error {
	removed, ok := l.file.(*os.File)
	if !ok {
		return nil
	}
	file, info, err := l.openFile()
	if err != nil {
		return err
	}
	if info.Size() > 0 {
		return errors.Join(fmt.Errorf("%s holds something else: move it away", l.path), file.Close())
	}
	err = lock(file, info)
	if err == nil {
		_, err = io.Copy(file, io.NewSectionReader(removed, 0, l.size))
	}
	if err == nil && l.strict { // what was accepted was on the disk
		err = errors.Join(file.Sync(), syncDirectory(l.path))
	}
	if err != nil {
		return errors.Join(err, file.Truncate(0), file.Close())
	}
	l.file, l.id, l.gone = file, idOf(info), false
	return l.end(removed)
}

// missing says whether the file has no name any more. Whoever has given it another one will send a signal.
func (l *Log) missing() bool {
	return l.regular && nameless(l.file)
}

// nameless says whether a file that is open has no name any more.
func nameless(open sink) bool {
	file, ok := open.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}

// replaced says whether the log's name is that of another file now.
func (l *Log) replaced() bool {
	file, ok := l.file.(*os.File)
	if !ok || !l.regular {
		return false
	}
	named, err := os.Lstat(l.path)
	if err != nil {
		return false
	}
	info, err := file.Stat()
	return err == nil && !os.SameFile(info, named)
}

// reopen goes over to the file that has the name now, and returns the one before, for its end: to sync it takes longer than others should
// wait. When the name has not changed nothing happens: what is written goes there already.
func (l *Log) reopen() (old sink, err error) {
	file, info, err := l.openFile()
	if err != nil {
		return nil, err
	}
	before := l.place
	if current, ok := before.file.(*os.File); ok && info.Mode().IsRegular() {
		if was, err := current.Stat(); err == nil && os.SameFile(was, info) {
			return nil, file.Close()
		}
	}
	l.journal.halt()                   // no line of this file may rely on what is in the one before
	if err := l.finish(); err != nil { // the first checkpoint in the new file covers what is in the old one too
		l.logger.Warn("audit log ends without a checkpoint", "error", err)
	}
	if err := l.goOver(file, info); err != nil {
		l.place = before
		return nil, errors.Join(err, file.Close())
	}
	return before.file, nil
}

// goOver makes file, which must be empty or hold what the old one does, the one that is written to. The tree goes on.
func (l *Log) goOver(file *os.File, info fs.FileInfo) error {
	if err := lock(file, info); err != nil {
		return err
	}
	state, err := stateOf(file, info)
	switch {
	case err != nil:
		return err
	case len(state.Torn) > 0 || state.Lines > 0 && (state.Tree.Size() != l.seal.tree.Size() || state.Tree.Root() != l.seal.tree.Root()):
		return fmt.Errorf("%s holds something else: move it away", l.path)
	}
	l.use(file, info)
	part := l.seal.part // a torn line stays in the old file; it is no leaf
	l.seal.part = nil
	if state.Lines == 0 {
		if err := l.begin(); err != nil {
			l.seal.part = part
			if l.regular { // or what is in it is taken for something else when it is tried again
				err = errors.Join(err, file.Truncate(0))
			}
			return err
		}
	}
	l.journal.again()
	return nil
}

// use makes file the one that is written to.
func (l *Log) use(file *os.File, info fs.FileInfo) {
	l.place = place{
		file: file, id: idOf(info), pipe: info.Mode()&fs.ModeNamedPipe != 0, regular: info.Mode().IsRegular(), size: info.Size(), since: time.Now(),
	}
}

// lock makes sure that nobody else writes the file: two trees in it would be none. The lock ends with the file, however it is closed.
func lock(file *os.File, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return nil
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var locked error
	if err := raw.Control(func(fd uintptr) { locked = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) }); err != nil {
		return err
	}
	if errors.Is(locked, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%s is written by another process", file.Name())
	}
	return locked
}

// stateOf reads what a file ends with; of what is not a file, nothing.
func stateOf(file *os.File, info fs.FileInfo) (s proof.State, err error) {
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return s, nil
	}
	s, err = proof.Resume(io.NewSectionReader(file, 0, math.MaxInt64))
	if err != nil {
		return s, fmt.Errorf("%s does not fit its checkpoints (%w): see what sallyport audit verify says, and move it away", file.Name(), err)
	}
	return s, nil
}

// syncDirectory has the names beside path on the disk when it returns.
func syncDirectory(path string) error {
	directory, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// openFile opens what has the log's name, and checks what it is.
func (l *Log) openFile() (file *os.File, info fs.FileInfo, err error) {
	// O_NONBLOCK: a named pipe without a reader is an error instead of a wait. O_RDWR: what is there is read once.
	flags := os.O_RDWR | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	if info, err := os.Lstat(l.path); err == nil {
		if err := l.acceptable(info); err != nil {
			return nil, nil, err
		}
		if !info.Mode().IsRegular() {
			flags = os.O_WRONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
		}
	}
	file, err = os.OpenFile(l.path, flags, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if info, err = file.Stat(); err == nil { // of what was really opened
		err = l.acceptable(info)
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}

func (l *Log) acceptable(info fs.FileInfo) error {
	mode := info.Mode()
	switch {
	case mode.IsRegular() && mode.Perm()&0o022 != 0:
		return fmt.Errorf("%s may be written by others (mode %#o): chmod 0600", l.path, mode.Perm())
	case mode.IsRegular():
		return nil
	case l.path == os.DevNull && mode&fs.ModeCharDevice != 0:
		return nil
	case mode&fs.ModeNamedPipe != 0 && l.allowPipe:
		return nil
	}
	return fmt.Errorf("%s is not a regular file (%s)", l.path, mode.Type())
}
