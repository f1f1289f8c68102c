package tail

import (
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

const (
	packed  = ".gz"
	packing = ".part"  // what the log itself calls a file that is being packed
	beside  = ".texts" // and what it keeps long texts in, whoever rotates that too
)

// candidate is a file of the log, by its first line.
type candidate struct {
	name   string
	info   fs.FileInfo
	packed bool
	first  proof.Hash // of the first line: no two files have the same
	began  time.Time
	start  proof.Tree // with the events before the file
}

// files finds the files of a log.
type files struct {
	path  string
	known []candidate // as they were found last: old files do not change, and there may be hundreds
}

// list returns the files of the log that there are, in the order of their beginnings. A file that is there twice, packed and as it was,
// is returned as it was: the packed one may not be complete yet.
func (f *files) list() ([]candidate, error) {
	entries, err := os.ReadDir(filepath.Dir(f.path))
	if err != nil {
		return nil, err
	}
	base := filepath.Base(f.path)
	var found []candidate
	for _, entry := range entries {
		rest, ours := strings.CutPrefix(entry.Name(), base)
		if !ours || !entry.Type().IsRegular() || !named(rest) {
			continue
		}
		c, ok, err := f.look(filepath.Join(filepath.Dir(f.path), entry.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // it was packed or removed meanwhile
		case err != nil:
			return nil, err
		case ok:
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(a.began.Compare(b.began), cmp.Compare(a.start.Size(), b.start.Size()), slices.Compare(a.first[:], b.first[:]), order(a.packed, b.packed))
	})
	found = slices.CompactFunc(found, func(a, b candidate) bool { return a.first == b.first })
	f.known = found
	return found, nil
}

// named says whether a name that goes on so behind that of the log can be that of a file of the log.
func named(rest string) bool {
	return rest == "" || (rest[0] == '.' || rest[0] == '-') && !strings.HasSuffix(rest, packing) && !strings.Contains(rest, beside)
}

func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// look reads the first line of a file; ok is false when there is none yet, or it cannot be read: then it is none of the log's.
func (f *files) look(name string) (c candidate, ok bool, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return c, false, err
	}
	for _, known := range f.known {
		if os.SameFile(info, known.info) && info.Size() == known.info.Size() && info.ModTime().Equal(known.info.ModTime()) {
			known.name = name
			return known, true, nil
		}
	}
	c = candidate{name: name, info: info, packed: strings.HasSuffix(name, packed)}
	s, err := c.open()
	if err != nil {
		return c, false, unreadable(err)
	}
	line, ok, err := s.lines.next()
	if ok && proof.Readable(line) != nil {
		ok = false // nobody can say how many events are in it
	}
	if ok {
		c.first, c.began = proof.LeafHash(line), proof.TimeOf(line)
		c.start, _ = proof.ParseStart(line) // a log from before there were starts begins with nothing
	}
	return c, ok, errors.Join(unreadable(err), s.file.Close())
}

// unreadable is nil for an error that says that a file is no log, or not completely packed.
func unreadable(err error) error {
	if corrupt(err) || errors.Is(err, proof.ErrLong) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// source is a file that is read.
type source struct {
	candidate
	file  *os.File
	lines growing
}

// open opens a file, at its beginning.
func (c *candidate) open() (*source, error) {
	file, err := os.Open(c.name)
	if err != nil {
		return nil, err
	}
	s := &source{candidate: *c, file: file, lines: growing{from: file}}
	if s.info, err = file.Stat(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if !c.packed {
		return s, nil
	}
	if s.lines.from, err = gzip.NewReader(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

// behind says whether the last line before p is the one that was there when p was kept, and leaves s at p. It is not where a crashed
// machine has lost the end of a file, and something else was written since.
func (s *source) behind(p *place) (bool, error) {
	if p.offset == 0 {
		return true, nil
	}
	before := p.offset - p.last
	if s.packed {
		if _, err := io.CopyN(io.Discard, s.lines.from, before); err != nil {
			return false, unreadable(err)
		}
	} else if _, err := s.file.Seek(before, io.SeekStart); err != nil {
		return false, err
	}
	line, ok, err := s.lines.next()
	return ok && err == nil && int64(len(line)+1) == p.last && proof.LeafHash(line) == p.hash, unreadable(err)
}
