//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package userlist

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// lockDirectory opens a directory and waits until nobody else has it locked. Closing it unlocks it. The file itself cannot be locked:
// it is another one after every change.
func lockDirectory(path string) (*os.File, error) {
	directory, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(directory.Fd()), syscall.LOCK_EX) // #nosec G115 -- a descriptor is small
		if err == nil {
			return directory, nil
		}
		if !errors.Is(err, syscall.EINTR) {
			_ = directory.Close()
			return nil, err
		}
	}
}

// keepOwner gives file to the owner and group of old: root adds users, and the gateway must go on reading them.
func keepOwner(file *os.File, old fs.FileInfo) error {
	want, ok1 := old.Sys().(*syscall.Stat_t)
	info, err := file.Stat()
	if err != nil {
		return err
	}
	have, ok2 := info.Sys().(*syscall.Stat_t)
	if !ok1 || !ok2 || (want.Uid == have.Uid && want.Gid == have.Gid) {
		return nil
	}
	return file.Chown(int(want.Uid), int(want.Gid))
}
