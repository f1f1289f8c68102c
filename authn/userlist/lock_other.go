//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package userlist

import (
	"errors"
	"io/fs"
	"os"
)

func lockDirectory(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func keepOwner(*os.File, fs.FileInfo) error { return errors.ErrUnsupported }
