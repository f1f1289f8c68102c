package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// createJournal makes a journal in dir for the log at path. It must not exist yet.
func createJournal(dir, path string) (*journal, error) {
	if err := memoryBacked(dir); err != nil {
		return nil, err
	}
	name := journalName(dir, path)
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s %w", name, errNotOurs)
	}
	if err != nil {
		return nil, err
	}
	memory, err := mapNew(file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make %s: %w", name, err), os.Remove(name), file.Close())
	}
	return newJournal(file, memory, path), nil
}

// mapNew locks a new file and maps it, all of whose memory is there from then on: no store finds that there is none left.
func mapNew(file *os.File) ([]byte, error) {
	const size = headerSize + journalSize
	fd := int(file.Fd()) // #nosec G115 -- a descriptor
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, err
	}
	if err := unix.Fallocate(fd, 0, 0, size); err != nil {
		return nil, err
	}
	memory, err := mapped(file, size)
	if err != nil {
		return nil, err
	}
	clear(memory)          // which touches every page
	_ = unix.Mlock(memory) // against swapping; not everybody may
	return memory, nil
}

func mapped(file *os.File, size int) ([]byte, error) {
	return unix.Mmap(int(file.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED) // #nosec G115 -- a descriptor
}

// findJournal opens the journal that a gateway has left in dir; nil when there is none. For what cannot be this log's it is errNotOurs.
func findJournal(dir, path string) (*journal, error) {
	file, err := os.OpenFile(journalName(dir, path), os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errNotOurs, err)
	}
	size, ours := oursToRead(file)
	if !ours || memoryBacked(dir) != nil || lockLeft(file) != nil {
		return nil, errors.Join(fmt.Errorf("%s %w", file.Name(), errNotOurs), file.Close())
	}
	if size < headerSize+journalSize {
		return nil, errors.Join(removeUnfinished(file), file.Close())
	}
	memory, err := mapped(file, size)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", file.Name(), err), file.Close())
	}
	j, err := leftJournal(file, memory)
	switch {
	case err != nil:
		return nil, errors.Join(err, unix.Munmap(memory), file.Close())
	case j == nil:
		return nil, errors.Join(os.Remove(file.Name()), unix.Munmap(memory), file.Close())
	}
	return j, nil
}

// lockLeft locks a journal. Whoever does that has the lock on the log: a process that has this one is about to end, and the kernel takes
// its locks one after the other.
func lockLeft(file *os.File) error {
	const again = 5 * time.Millisecond
	for began := time.Now(); ; time.Sleep(again) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) // #nosec G115 -- a descriptor
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Since(began) > maxWait {
			return err
		}
	}
}

// removeUnfinished removes a journal that has not its size yet. One that has it no more is not this gateway's to throw away.
func removeUnfinished(file *os.File) error {
	var beginning [atSize]byte
	n, err := file.ReadAt(beginning[:], 0)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case !unfinished(beginning[:n]):
		return fmt.Errorf("%s %w", file.Name(), errForeignJournal)
	}
	return os.Remove(file.Name())
}

// oursToRead says how large a file is that only this account can have written.
func oursToRead(file *os.File) (size int, ours bool) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil { // #nosec G115 -- a descriptor
		return 0, false
	}
	const regular = unix.S_IFREG | 0o600
	ours = stat.Mode == regular && int(stat.Uid) == os.Geteuid() && stat.Nlink == 1
	return int(stat.Size), ours
}

// close gives the memory back. The file stays when there is something in it.
func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var err error
	if j.head == j.tail.Load() && j.named() {
		err = os.Remove(j.file.Name())
	}
	j.runs = false
	err = errors.Join(err, unix.Munmap(j.memory), j.file.Close())
	j.memory, j.ring = nil, nil
	return err
}

// memoryBacked says why a directory is not fit for a journal: a store must not wait for a disk, and nobody else may replace the file.
func memoryBacked(dir string) error {
	var system unix.Statfs_t
	if err := unix.Statfs(dir, &system); err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if system.Type != unix.TMPFS_MAGIC {
		return fmt.Errorf("%s is not memory-backed (tmpfs)", dir)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner := idOfOwner(info); owner != 0 && owner != os.Geteuid() {
		return fmt.Errorf("%s belongs to another account (uid %d)", dir, owner)
	}
	if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("others can replace files in %s (mode %#o): it needs the sticky bit, or chmod 0700", dir, info.Mode().Perm())
	}
	return nil
}

func idOfOwner(info fs.FileInfo) int {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(stat.Uid)
}
