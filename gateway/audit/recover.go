package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// JournalAnywhere as Config.Journal is /dev/shm, or else a directory that systemd has made for the service ($RUNTIME_DIRECTORY), or else
// none. /dev/shm comes first because what is there outlives a service that is killed also where nobody has set RuntimeDirectoryPreserve.
const JournalAnywhere = "anywhere"

// commonPlaces are where a journal may be if nobody says where.
func commonPlaces() []string {
	return append([]string{"/dev/shm"}, filepath.SplitList(os.Getenv("RUNTIME_DIRECTORY"))...)
}

// CheckJournal says why a directory cannot hold a journal.
func CheckJournal(dir string) error { return memoryBacked(dir) }

// journalName is the name of a log's journal in dir. path is the log's, in one way of writing only.
func journalName(dir, path string) string {
	sum := sha256.Sum256([]byte(path))
	const enough = 16
	return filepath.Join(dir, "sallyport-"+hex.EncodeToString(sum[:enough])+".journal")
}

// realPath is a path that a file has however it is called.
func realPath(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(absolute))
	return filepath.Join(dir, filepath.Base(absolute)), err
}

// openJournal makes the journal that is configured, when it can be used and there is a place for it.
func (l *Log) openJournal(configured string) error {
	if l.strict || !l.regular {
		return nil // nothing is accepted before it is on the disk; nothing is kept
	}
	path, err := realPath(l.path)
	if err != nil {
		return err
	}
	var problems []error
	switch configured {
	case "":
		problems = append(problems, errors.New("none is configured"))
	case JournalAnywhere:
		for _, dir := range commonPlaces() {
			if l.journal, err = createJournal(dir, path); err == nil {
				return nil
			}
			problems = append(problems, err)
		}
	default:
		l.journal, err = createJournal(configured, path)
		return err
	}
	l.logger.Info("audit log has no journal: every event is written by itself", "reason", errors.Join(problems...).Error())
	return nil
}

// recover writes what gateways that were killed have left in journals, wherever those are: the configuration may have changed since. It
// returns how many lines that were.
func (l *Log) recover(configured string) (lines int64, err error) {
	if !l.regular {
		return 0, nil
	}
	path, err := realPath(l.path)
	if err != nil {
		return 0, err
	}
	places := commonPlaces()
	if configured != "" && configured != JournalAnywhere && !slices.Contains(places, configured) {
		places = append(places, configured)
	}
	before := l.seal.tree.Size()
	for _, dir := range places {
		j, err := findJournal(dir, path)
		if errors.Is(err, errNotOurs) { // anybody can put something there: no reason not to start
			l.logger.Warn("audit log's journal is not looked into: if a gateway that was killed has made it, its last events are there", "error", err)
			continue
		}
		if err == nil && j != nil {
			err = errors.Join(l.takeOver(j), j.close())
		}
		if err != nil {
			return 0, fmt.Errorf("write what is in the journal of a gateway that was killed: %w", err)
		}
	}
	return l.seal.tree.Size() - before, nil
}

// takeOver writes what is left in a journal.
func (l *Log) takeOver(j *journal) error {
	if j.head == j.tail.Load() {
		return nil
	}
	at := j.position()
	sent, known := l.arrived(j, at)
	if !known {
		l.logger.Warn("audit log is not what was last written: its last events may be there twice")
	}
	lines := j.read(nil, at.tail, at.tail+sent)
	whole := uint64(bytes.LastIndexByte(lines, '\n') + 1) // #nosec G115 -- that is not negative
	j.tail.Store(at.tail + whole)
	if at.file == l.id {
		j.sent = sent - whole // what stays of a line in another file is torn there
	}
	if l.seal.torn() && j.sent == 0 {
		if err := l.write([]byte{'\n'}); err != nil {
			return err
		}
	}
	if err := j.list(); err != nil {
		return err
	}
	l.journal = j
	defer func() { l.journal = nil }()
	return l.flush()
}

// arrived finds out how much of what a gateway was writing when it was killed is in the file. It is not known when that file is
// not there any more; then it is better written twice than not at all.
func (l *Log) arrived(j *journal, at position) (n uint64, known bool) {
	if !at.writing {
		return 0, true
	}
	file, end, err := l.fileOf(at.file)
	if err != nil {
		return 0, false
	}
	defer end()
	limit := j.head - at.tail
	written := make([]byte, limit+1)
	count, err := file.ReadAt(written, int64(at.offset)) // #nosec G115 -- it came from a size
	n = uint64(count)                                    // #nosec G115 -- that is not negative
	if !errors.Is(err, io.EOF) || n > limit || !bytes.Equal(written[:n], j.read(nil, at.tail, at.tail+n)) {
		return 0, false
	}
	info, err := file.Stat()
	return n, err == nil && uint64(info.Size()) == at.offset+n // #nosec G115 -- nor is that
}

// fileOf finds a file by what it is: somebody may have moved it.
func (l *Log) fileOf(id fileID) (file *os.File, end func(), err error) {
	if current, ok := l.file.(*os.File); ok && id == l.id {
		return current, func() {}, nil
	}
	dir := filepath.Dir(l.path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || idOf(info) != id {
			continue
		}
		file, err = os.OpenFile(filepath.Join(dir, entry.Name()), os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, nil, err
		}
		return file, func() { _ = file.Close() }, nil
	}
	return nil, nil, fs.ErrNotExist
}

func idOf(info fs.FileInfo) fileID {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}
	}
	return fileID{uint64(stat.Dev), stat.Ino} // #nosec G115 -- compared only
}
