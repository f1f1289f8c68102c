package credentials

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// compactAt is how long the journal grows before it is written anew: some ten thousand sessions.
const compactAt = 4 << 20

// journal is a file that knows which leases are open, also when the gateway is killed: the next one revokes them. A lease is on the disk
// before its credential is used. Its end is not waited for: to revoke a lease twice does no harm.
type journal struct {
	path string
	torn int64 // bytes at its end that were no line when it was opened

	mu      sync.Mutex
	file    *os.File
	size    int64
	open    map[string]Entry // by hash
	written uint64           // leases so far
	behind  bool             // the file has leases as open that have ended: nothing could be written

	syncing sync.Mutex
	synced  uint64
	doubted bool // a sync has failed: what the file has on the disk is not known, and a later sync would not tell
}

// ErrJournalInUse says that another gateway has the journal open. Its leases are not ours to revoke.
var ErrJournalInUse = errors.New("another gateway uses it")

// openJournal opens or creates the file, and returns what an earlier gateway has left open.
func openJournal(path string) (_ *journal, left []Entry, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open lease journal: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open lease journal %s: %w", path, err), file.Close())
		}
	}()
	if err := errors.Join(lock(file), inPlace(file, path)); err != nil {
		return nil, nil, err
	}
	j := &journal{path: path, file: file}
	if j.open, j.torn, err = entries(file); err != nil {
		return nil, nil, advised(err, path)
	}
	left = slices.SortedFunc(maps.Values(j.open), func(a, b Entry) int { return a.Issued.Compare(b.Issued) })
	return j, left, j.compact()
}

func lock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) // #nosec G115 -- a descriptor
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrJournalInUse
	}
	return err
}

// inPlace finds a file that was replaced by another gateway before it was locked.
func inPlace(file *os.File, path string) error {
	mine, err := file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !os.SameFile(mine, named) {
		return ErrJournalInUse
	}
	if !mine.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	return nil
}

// opened returns when the lease is on the disk. When it cannot be, the credential must not be used.
func (j *journal) opened(e Entry) error {
	j.mu.Lock()
	err := j.append(line{Opened: &e})
	if err == nil {
		j.open[e.Hash()] = e
		j.written++
	}
	mine := j.written
	j.mu.Unlock()
	if err != nil {
		return fmt.Errorf("write lease journal: %w", err)
	}
	return j.sync(mine)
}

// sync has the first of those who wait write for all of them. After a failure the kernel may have dropped what it could not write, and
// call the next sync a success; then the journal is written anew.
func (j *journal) sync(mine uint64) error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	if j.synced >= mine {
		return nil
	}
	if j.doubted {
		return j.renew()
	}
	j.mu.Lock()
	file, upTo, behind := j.file, j.written, j.behind
	j.mu.Unlock()
	if behind && j.renew() == nil { // otherwise there is room for a line and not for all of them: what has ended is revoked once more
		return nil
	}
	if err := file.Sync(); err != nil {
		j.doubted = true
		return fmt.Errorf("sync lease journal: %w", err)
	}
	j.synced = upTo
	return nil
}

// renew writes a journal anew whose file is in doubt. Nobody syncs it meanwhile.
func (j *journal) renew() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.compact(); err != nil {
		return fmt.Errorf("write lease journal anew: %w", err)
	}
	return nil
}

// ended notes that a lease needs no revocation any more.
func (j *journal) ended(hash string) error {
	j.mu.Lock()
	_, known := j.open[hash]
	delete(j.open, hash)
	var err error
	if known {
		err = j.append(line{Ended: hash})
		j.behind = j.behind || err != nil
	}
	long := j.size > compactAt
	j.mu.Unlock()
	if err == nil && long {
		err = j.shorten()
	}
	if err != nil {
		return fmt.Errorf("write lease journal: %w", err)
	}
	return nil
}

// shorten compacts a journal that is long, at a time when nobody syncs it.
func (j *journal) shorten() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size <= compactAt {
		return nil
	}
	return j.compact()
}

// append adds a line; half a line is taken back. The lock is held.
func (j *journal) append(l line) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	n, err := j.file.WriteAt(append(text, '\n'), j.size)
	if err != nil {
		return errors.Join(err, j.file.Truncate(j.size))
	}
	j.size += int64(n)
	return nil
}

// compact writes the journal anew, with what is open. Both locks are held, or nobody else knows the journal.
func (j *journal) compact() error {
	next, err := j.rewritten()
	if err != nil {
		return err
	}
	_ = j.file.Close() // nothing in it counts any more
	j.file, j.size = next.file, next.size
	if err := syncDirectory(filepath.Dir(j.path)); err != nil {
		j.doubted = true // a crash may bring the old file back
		return err
	}
	j.synced, j.doubted, j.behind = j.written, false, false
	return nil
}

// rewritten is another file with what is open, on the disk and in the place of the one before.
func (j *journal) rewritten() (next *journal, err error) {
	file, err := os.CreateTemp(filepath.Dir(j.path), ".leases-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close(), os.Remove(file.Name()))
		}
	}()
	if err := lock(file); err != nil {
		return nil, err
	}
	next = &journal{file: file}
	for _, e := range j.open {
		if err := next.append(line{Opened: &e}); err != nil {
			return nil, err
		}
	}
	if err := file.Sync(); err != nil {
		return nil, err
	}
	return next, os.Rename(file.Name(), j.path)
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (j *journal) close() error { return j.file.Close() }
