package refusals

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxFileBytes bounds what is read: MaxRefusals of the longest.
const maxFileBytes = 64 << 20

// fileVersion is that of the file's format.
const fileVersion = 1

// content is the file.
type content struct {
	Version  int       `json:"version"`
	Refusals []Refusal `json:"refusals"`
}

// ErrInUse says that another gateway has the file: each needs its own, for each writes all of it.
var ErrInUse = errors.New("another gateway uses it")

// take locks a file beside path: path itself is another file after every change.
func take(path string) (_ *os.File, err error) {
	name := path + ".lock"
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { // #nosec G115 -- a descriptor
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return file, nil
}

// Read reads a file; one that is not there has no entries. A file that is not understood to the last byte is an error: a refusal that
// was overlooked would be one that is lifted.
func Read(path string) (map[Who]Refusal, error) {
	entries := map[Who]Refusal{}
	text, err := read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return entries, nil
	case err != nil:
		return nil, fmt.Errorf("read refusals: %w", err)
	}
	var c content
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return nil, fmt.Errorf("read refusals %s: it says nothing that can be relied on: %w", path, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read refusals %s: something stands behind the list", path)
	}
	if c.Version != fileVersion || c.Refusals == nil {
		return nil, fmt.Errorf("read refusals %s: no list of version %d", path, fileVersion)
	}
	for i, r := range c.Refusals {
		if err := r.Validate(); err != nil {
			return nil, fmt.Errorf("read refusals %s: entry %d: %w", path, i+1, err)
		}
		entries[r.Who] = r
	}
	return entries, nil
}

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(text) > maxFileBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return text, err
}

// write puts a new file in the old one's place, whole and on the disk: who loses power meanwhile has one or the other.
func write(path string, all []Refusal) (err error) {
	text, err := json.MarshalIndent(content{fileVersion, all}, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	if _, err := file.Write(append(text, '\n')); err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
