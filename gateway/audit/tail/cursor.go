package tail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// Directory is where cursors are kept. It belongs to one gateway: two with the same cursors would each send what the other has sent.
type Directory struct {
	path string
	lock *os.File
}

// OpenDirectory opens a directory for cursors, and makes it when there is none.
func OpenDirectory(path string) (*Directory, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	lock, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := private(lock); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	raw, err := lock.SyscallConn()
	var locked error
	if err == nil {
		err = raw.Control(func(fd uintptr) { locked = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
	}
	if errors.Is(locked, syscall.EWOULDBLOCK) {
		locked = fmt.Errorf("%s is used by another process", path)
	}
	if err = errors.Join(err, locked); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Directory{path, lock}, nil
}

// private refuses a directory in which others can write cursors: what those say is sent no more.
func private(directory *os.File) error {
	info, err := directory.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s may be written by others (mode %#o): chmod 0700", directory.Name(), info.Mode().Perm())
	case ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to another account (uid %d)", directory.Name(), stat.Uid)
	}
	return nil
}

// Close lets others use the directory.
func (d *Directory) Close() error { return d.lock.Close() }

// kept is a cursor as it is kept: a place up to which a receiver has taken everything.
type kept struct {
	File   []byte    `json:"file"` // the hash of its first line
	Began  time.Time `json:"began"`
	Offset int64     `json:"offset"`
	Length int64     `json:"length"` // of the line before
	Line   []byte    `json:"line"`   // its hash
	Leaf   int64     `json:"leaf"`   // the index of the next event
	Tree   [][]byte  `json:"tree"`
}

func (d *Directory) file(name string) string { return filepath.Join(d.path, name+".cursor") }

// load reads a cursor. It is the zero place when there is none.
func (d *Directory) load(name string) (p place, err error) {
	content, err := os.ReadFile(d.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	var k kept
	if err := json.Unmarshal(content, &k); err != nil {
		return p, fmt.Errorf("%s is not a cursor: %w", d.file(name), err)
	}
	edge := make([]proof.Hash, len(k.Tree))
	whole := copy(p.first[:], k.File) == len(k.File) && copy(p.hash[:], k.Line) == len(k.Line) && k.Offset >= 0 && k.Length >= 0 && k.Length <= k.Offset
	for i, h := range k.Tree {
		whole = whole && copy(edge[i][:], h) == len(h)
	}
	p.began, p.offset, p.last = k.Began, k.Offset, k.Length
	if p.tree, err = proof.NewTree(k.Leaf, edge); err != nil || !whole {
		return place{}, fmt.Errorf("%s is not a cursor", d.file(name))
	}
	return p, nil
}

// store keeps a cursor, on the disk when it returns.
func (d *Directory) store(name string, p *place) error {
	k := kept{File: p.first[:], Began: p.began, Offset: p.offset, Length: p.last, Line: p.hash[:], Leaf: p.tree.Size()}
	for _, h := range p.tree.Edge() {
		k.Tree = append(k.Tree, h[:])
	}
	content, err := json.Marshal(k)
	if err != nil {
		return err
	}
	temporary := d.file(name) + ".new"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(content, '\n'))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, d.file(name)); err != nil {
		return err
	}
	return d.lock.Sync() // the name, too
}
