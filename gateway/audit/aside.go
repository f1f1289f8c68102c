package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Beside is what the name of a log ends with where texts are kept that are too long for its lines.
const Beside = ".texts"

// aside is the file beside a log with the texts that are too long for its lines, one a line. It needs no proof of its own: the digest
// of each is in a leaf. It is made when the first such text comes. Its methods are called with the log's lock held.
type aside struct {
	path string
	file sink // nil: it is not open
	size int64
	torn bool // its last line lacks its end; nobody will look for it
}

// put writes one line.
func (a *aside) put(line []byte) error {
	if a.file == nil {
		if err := a.open(); err != nil {
			return err
		}
	}
	if a.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := a.file.Write(line)
	a.size += int64(n)
	if err == nil && n < len(line) {
		err = io.ErrShortWrite
	}
	a.torn = err != nil && (n > 0 || a.torn)
	return err
}

// open opens or creates the file, under the same conditions as the log.
func (a *aside) open() error {
	if info, err := os.Lstat(a.path); err == nil {
		if err := acceptableAside(a.path, info); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(a.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat() // of what was really opened
	if err == nil {
		err = acceptableAside(a.path, info)
	}
	if err == nil && info.Size() > 0 {
		var last [1]byte
		_, err = file.ReadAt(last[:], info.Size()-1)
		a.torn = last[0] != '\n'
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	a.file, a.size = file, info.Size()
	return nil
}

func acceptableAside(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file (%s)", path, info.Mode().Type())
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s may be written by others (mode %#o): chmod 0600", path, info.Mode().Perm())
	}
	return nil
}

// check says at the start what would deny statements later.
func (a *aside) check() error {
	_, err := os.Lstat(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = a.open()
	}
	return err
}

// leave goes away from the file, and returns it for its end; nil: there is none. The next text opens what has its name then.
func (a *aside) leave() (old sink) {
	old = a.file
	*a = aside{path: a.path}
	return old
}

// longText is a line of the file beside the log.
type longText struct {
	session string
	text    *Text
}

func (e longText) AppendJSON(dst []byte) []byte {
	o := begin(dst, time.Time{}, "text", e.session)
	o.digest("text_digest", &e.text.digest)
	o.key("text")
	o.buf = appendString(o.buf, e.text.whole)
	return o.end()
}

// setAside writes the texts of a statement that are too long for its line to the file beside the log, if they are not there yet.
func (l *Log) setAside(s *Statement) error {
	if !s.hasLong() {
		return nil
	}
	for _, t := range [...]*Text{&s.Text, s.normalized()} {
		if t == nil || t.whole == "" || l.known.has(t) {
			continue
		}
		if err := l.aside.put(append(longText{s.Session, t}.AppendJSON(nil), '\n')); err != nil {
			if l.err == nil {
				l.logger.Error("audit log cannot be written", "file", l.aside.path, "error", err)
			}
			l.err = fmt.Errorf("append to audit log's texts: %w", err)
			return l.err
		}
	}
	return nil
}

// hasLong says whether a text of it is too long for its line and kept all the same.
func (e *Statement) hasLong() bool {
	n := e.normalized()
	return e.Text.whole != "" || n != nil && n.whole != ""
}

// forget has every text written again: those of before are in another file, or nobody knows whether they are in one.
func (l *Log) forget() {
	if l.journal == nil {
		l.known.clear()
		return
	}
	l.journal.set(l.known.clear)
}

// leaveTexts goes away from the file beside the log, and returns it for its end.
func (l *Log) leaveTexts() (old sink) {
	l.forget()
	return l.aside.leave()
}

// tendTexts goes away from the file beside the log when that has no name any more: texts are written again as they come.
func (l *Log) tendTexts() (old sink) {
	if !nameless(l.aside.file) {
		return nil
	}
	l.logger.Warn("the audit log's texts were removed; those that come are written again", "file", l.aside.path)
	return l.leaveTexts()
}
