package userlist

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// newFileMode: the secrets are the owner's alone.
	newFileMode fs.FileMode = 0o600
	// keptMode is what an existing file may keep: a gateway that runs as another user may read it by its group. Nobody else may.
	keptMode fs.FileMode = 0o640
)

// Update changes a file. It waits for other writers, reads the file, which need not exist, lets change do its work, and puts the new
// file in the old one's place in one step: whoever reads it meanwhile, and whoever loses power, has all of the old or all of the new.
// If change returns an error, that is Update's, and nothing is written; if it changes nothing, neither.
//
// The file keeps its comments, its order, its owner and group; others than these two lose what access they had. A symbolic link
// stays one. The lock is the directory's (flock): change must not call Update, nor ask a human anything.
func Update(path string, change func(*Entries) error) (err error) {
	target, err := resolve(path)
	if err != nil {
		return fmt.Errorf("update userlist: %w", err)
	}
	directory, err := lockDirectory(filepath.Dir(target))
	if err != nil {
		return fmt.Errorf("update userlist: lock directory: %w", err)
	}
	defer directory.Close() // unlocks
	text, info, err := readFile(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("update userlist: %w", err)
	}
	entries, err := parseEntries(text)
	if err != nil {
		return fmt.Errorf("update userlist %s: %w", path, err)
	}
	if err := change(entries); err != nil {
		return err
	}
	if !entries.changed {
		return nil
	}
	text = entries.text()
	if _, err := parseEntries(text); err != nil { // what was written could not be read again
		return fmt.Errorf("update userlist %s: %w", path, err)
	}
	if err := replace(target, text, info); err != nil {
		return fmt.Errorf("update userlist: %w", err)
	}
	if err := directory.Sync(); err != nil {
		return fmt.Errorf("update userlist: sync directory: %w", err)
	}
	return nil
}

// Users lists a file's entries in the file's order. Unlike Update it needs no more than to read the file.
func Users(path string) ([]User, error) {
	text, _, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("list userlist: %w", err)
	}
	entries, err := parseEntries(text)
	if err != nil {
		return nil, fmt.Errorf("list userlist %s: %w", path, err)
	}
	return entries.Users(), nil
}

// resolve finds the file that a path means. A link to nothing is an error: to write a file in its place is not what it was made for.
func resolve(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if err == nil {
		return target, nil
	}
	if _, lstatErr := os.Lstat(path); lstatErr == nil || !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	directory, err := filepath.EvalSymlinks(filepath.Dir(path))
	return filepath.Join(directory, filepath.Base(path)), err
}

// replace writes text beside path and renames it to path. old is what stands there; nil: nothing.
func replace(path string, text []byte, old fs.FileInfo) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".userlist-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	mode := newFileMode
	if old != nil {
		if !old.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		mode |= old.Mode().Perm() & keptMode
		// The owner first: until the mode is set, the new file is readable by its owner alone.
		if err := keepOwner(file, old); err != nil {
			return fmt.Errorf("keep owner of %s: %w", path, err)
		}
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
