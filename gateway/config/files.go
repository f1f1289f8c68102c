package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// file is one that the configuration refers to.
type file struct {
	path string // of the key
	name string
	use  fileUse
}

type fileUse uint8

const (
	useRead fileUse = iota
	useSecret
	useDirectory
	useWrite
)

func (c *Config) refers(path, name string, use fileUse) {
	if name != "" {
		c.files = append(c.files, file{path, name, use})
	}
}

func (c *Config) reads(path, name string)          { c.refers(path, name, useRead) }
func (c *Config) readsSecret(path, name string)    { c.refers(path, name, useSecret) }
func (c *Config) readsDirectory(path, name string) { c.refers(path, name, useDirectory) }
func (c *Config) writes(path, name string)         { c.refers(path, name, useWrite) }

// errElsewhere says that a file is in a directory that does not exist on this machine.
var errElsewhere = errors.New("its directory does not exist on this machine")

// check finds out whether a file is there and can be used as it is meant to.
func (f file) check() (warning string, err error) {
	info, err := os.Stat(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(f.name)); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s: %w", f.name, errElsewhere)
		}
		if f.use == useWrite {
			return "", nil // is created at start
		}
		return "", fmt.Errorf("%s does not exist", f.name)
	}
	if err != nil {
		return "", err
	}
	if info.IsDir() != (f.use == useDirectory) {
		return "", fmt.Errorf("%s is %s", f.name, map[bool]string{true: "a directory", false: "not a directory"}[info.IsDir()])
	}
	if f.use == useDirectory || f.use == useWrite {
		return "", nil
	}
	opened, err := os.Open(f.name)
	if err != nil {
		return "", err
	}
	if f.use == useSecret && info.Mode().Perm()&0o007 != 0 {
		warning = fmt.Sprintf("%s is open to every user of this machine (mode %04o): chmod 0600", f.name, info.Mode().Perm())
	}
	return warning, opened.Close()
}
