package tail

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// place is one in a log: behind a line.
type place struct {
	first  proof.Hash // of the file's first line; zero: nothing was read yet
	began  time.Time  // the file's
	offset int64      // in the file, unpacked
	last   int64      // how long the line before it is, with its newline
	hash   proof.Hash // of that line
	tree   proof.Tree // with the events before it
}

// follower reads a log, from one file into the next.
type follower struct {
	files  files
	logger *slog.Logger

	at     place // behind the last line that was read
	source *source
	listed bool // the end of source was seen when others could be written to already
	next   []candidate
	lost   int64 // events that were gone before they were read
	buf    []byte
}

func newFollower(path string, from place, logger *slog.Logger) *follower {
	return &follower{files: files{path: path}, logger: logger, at: from}
}

func (f *follower) close() {
	if f.source != nil {
		_ = f.source.file.Close() // it was read only
		f.source = nil
	}
}

// read returns what there is, up to a batch; nothing: all was read.
func (f *follower) read() (*batch, error) {
	b := &batch{}
	err := f.fill(b)
	b.end = f.at
	return b, err
}

func (f *follower) fill(b *batch) error {
	for !b.full() {
		if f.source == nil {
			if found, err := f.resume(); err != nil || !found {
				return err
			}
		}
		line, ok, err := f.source.lines.next()
		switch {
		case ok:
			f.take(b, line)
			continue
		case err != nil && !corrupt(err):
			return fmt.Errorf("read %s: %w", f.source.name, err)
		case err != nil:
			f.logger.Error("old audit log cannot be unpacked", "file", f.source.name, "error", err)
		}
		if len(b.records) > 0 {
			return nil // it is sent before more is looked for
		}
		if more, err := f.ended(); err != nil || !more {
			return err
		}
	}
	return nil
}

// take adds a line to a batch.
func (f *follower) take(b *batch, line []byte) {
	f.buf = append(append(f.buf[:0], 0), line...)
	r := Record{Kind: proof.KindOf(line), Leaf: f.at.tree.Size(), Hash: proof.PrefixedLeafHash(f.buf), Line: append([]byte(nil), line...)}
	if r.Kind == proof.KindLeaf {
		f.at.tree.Add(r.Hash)
		b.events++
	}
	f.at.last, f.at.hash = int64(len(line)+1), r.Hash
	f.at.offset += f.at.last
	f.listed = false
	b.records, b.bytes = append(b.records, r), b.bytes+len(line)
}

// resume opens the file that f.at is in, or the one to go on with when that is gone; found is false when there is none yet.
func (f *follower) resume() (found bool, err error) {
	all, err := f.files.list()
	if err != nil {
		return false, err
	}
	for i := range all {
		if all[i].first == f.at.first {
			return true, f.reopen(&all[i])
		}
	}
	if f.at.first == (proof.Hash{}) {
		if len(all) == 0 {
			return false, nil
		}
		return true, f.begin(&all[0])
	}
	return f.goOn(all)
}

// reopen opens a file that was read before, at the same place.
func (f *follower) reopen(c *candidate) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	same, err := s.behind(&f.at)
	if err != nil {
		return errors.Join(err, s.file.Close())
	}
	if !same {
		f.logger.Warn("audit log is not what it was, and is sent again", "file", c.name)
		return errors.Join(s.file.Close(), f.begin(c))
	}
	f.close()
	f.source = s
	return nil
}

// begin opens a file that was not read before.
func (f *follower) begin(c *candidate) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	f.close()
	f.source, f.listed = s, false
	f.at = place{first: c.first, began: c.began, tree: c.start}
	return nil
}

// ended is what to do at the end of a file. more is false when nothing is there to be read now.
func (f *follower) ended() (more bool, err error) {
	named, err := os.Stat(f.files.path)
	if err == nil && os.SameFile(named, f.source.info) {
		cut := named.Size() < f.at.offset
		if cut { // by somebody else: nothing that was written here is where it was
			f.close()
		}
		return cut, nil
	}
	if f.listed {
		f.listed = false
		return f.goOn(f.next)
	}
	// What was written to this file before others were begun is read before one of them is gone over to.
	if f.next, err = f.files.list(); err != nil {
		return false, err
	}
	for i := range f.next {
		if f.next[i].first == f.at.first && f.next[i].name == f.files.path { // it was removed, and written again
			return true, f.reopen(&f.next[i])
		}
	}
	f.listed = true
	return true, nil
}

// goOn goes over to the file behind f.at, if there is one.
func (f *follower) goOn(all []candidate) (found bool, err error) {
	next := f.following(all)
	if next == nil {
		return false, nil
	}
	switch lost := next.start.Size() - f.at.tree.Size(); {
	case lost > 0:
		f.lost += lost
		f.logger.Error("audit log was removed before it was delivered", "lost_events", lost, "file", next.name)
	case lost < 0 || next.start.Root() != f.at.tree.Root():
		f.logger.Warn("another audit log begins", "file", next.name)
	}
	return true, f.begin(next)
}

// following is the file behind f.at: the one that begins with the same tree, or the first one begun later. Times only choose where
// trees do not, for a clock may have been set.
func (f *follower) following(all []candidate) *candidate {
	var later *candidate
	for i := range all {
		c := &all[i]
		after := c.began.After(f.at.began)
		switch {
		case c.first == f.at.first:
		case c.start.Size() == f.at.tree.Size() && c.start.Root() == f.at.tree.Root() && (after || f.grown(all)):
			return c
		case after && later == nil:
			later = c
		}
	}
	return later
}

// grown says whether the file that f.at is in has added events: then no file before it begins with the same tree.
func (f *follower) grown(all []candidate) bool {
	for i := range all {
		if all[i].first == f.at.first {
			return all[i].start.Size() < f.at.tree.Size()
		}
	}
	return f.source == nil || f.source.start.Size() < f.at.tree.Size()
}

// corrupt says that a packed file is not whole, and will not be.
func corrupt(err error) bool {
	var wrong flate.CorruptInputError
	return errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &wrong)
}
