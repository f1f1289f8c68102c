package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/e2e/stack"
)

const (
	// lockFile holds the demo's process id and is locked as long as it lives,
	// so that an id that another process has got since is never signalled.
	lockFile = "demo.pid"
	// downPatience is longer than a demo takes to stop, drain included.
	downPatience = 90 * time.Second
	// downInterval is the pace of asking whether it has.
	downInterval = 50 * time.Millisecond
)

// acquire makes an empty directory for the demo and locks it.
func acquire(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if !tryLock(lock) {
		return nil, errors.Join(errors.New("a demo is running already; make demo-down ends it"), lock.Close())
	}
	if err := prepare(dir, lock); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", dir, err), lock.Close())
	}
	return lock, nil
}

// prepare removes what a demo that was killed left in the directory, and writes our process id.
func prepare(dir string, lock *os.File) error {
	if err := stack.RemoveLeftovers(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == lockFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	if err := lock.Truncate(0); err != nil {
		return err
	}
	_, err = lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// down asks a running demo to end and waits until it has.
func down(ctx context.Context, dir string, out io.Writer) error {
	lock, err := os.Open(filepath.Join(dir, lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(out, "No demo is running.")
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if tryLock(lock) {
		fmt.Fprintln(out, "No demo is running; what one left behind is removed.")
		return errors.Join(stack.RemoveLeftovers(dir), os.RemoveAll(dir))
	}
	data, err := io.ReadAll(lock)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(data)))
	if err != nil || pid <= 1 {
		return errors.New("the lock file holds no process id")
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("end process %d: %w", pid, err)
	}
	return waitUnlocked(ctx, lock, pid)
}

// waitUnlocked returns when the demo's process has let go of its lock.
func waitUnlocked(ctx context.Context, lock *os.File, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, downPatience)
	defer cancel()
	ticker := time.NewTicker(downInterval)
	defer ticker.Stop()
	for !tryLock(lock) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for process %d to end: %w", pid, ctx.Err())
		}
	}
	return nil
}
