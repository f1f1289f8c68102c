package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hanging is a disk whose writes and syncs wait while it is held.
type hanging struct {
	mu     sync.Mutex
	held   chan struct{} // closed when it goes on
	syncs  int
	err    error // of Sync
	buffer bytes.Buffer

	syncOnly bool // writes do not wait
}

func (h *hanging) hold() (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := make(chan struct{})
	h.held = held
	return func() { close(held) }
}

func (h *hanging) wait() {
	h.mu.Lock()
	held := h.held
	h.mu.Unlock()
	if held != nil {
		<-held
	}
}

func (h *hanging) Write(p []byte) (int, error) {
	if !h.syncOnly {
		h.wait()
	}
	return h.buffer.Write(p)
}

func (h *hanging) Sync() error {
	h.wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.syncs++
	return h.err
}

func (h *hanging) Close() error { return nil }

// onDisk opens a log on a disk of the test's.
func onDisk(t *testing.T, disk sink, strict bool) *Log {
	t.Helper()
	l, err := Open(Config{Path: os.DevNull, Strict: strict})
	if err != nil {
		t.Fatal(err)
	}
	l.file = disk
	return l
}

// TestHangingWrite: while a write hangs others wait for a bounded time, then for none; when it has ended all goes on, and the log says how
// many events were refused.
func TestHangingWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &hanging{}
		l := onDisk(t, disk, false)
		release := disk.hold()
		var first sync.WaitGroup
		first.Go(func() {
			if err := l.Append(&Statement{}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		for i, want := range []time.Duration{maxWait, 0, 0} {
			began := time.Now()
			if err := l.Append(&Statement{}); !errors.Is(err, ErrSlow) || time.Since(began) != want {
				t.Errorf("event %d: %v after %s, want %s", i, err, time.Since(began), want)
			}
		}
		if err := l.Healthy(); !errors.Is(err, ErrSlow) {
			t.Errorf("healthy: %v", err)
		}
		release()
		first.Wait()
		if err := errors.Join(l.Healthy(), l.Append(&Outcome{}), l.Close()); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"statement", "log_repair", "outcome"}, kinds(disk.buffer.Bytes())); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(disk.buffer.String(), `"cause":"wait","lost":3`) {
			t.Errorf("the repair does not count what was refused: %s", &disk.buffer)
		}
	})
}

// TestShortHang: a write that takes less than an event waits refuses nothing.
func TestShortHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &hanging{}
		l := onDisk(t, disk, false)
		release := disk.hold()
		var group sync.WaitGroup
		for range 5 {
			group.Go(func() {
				if err := l.Append(&Statement{}); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(maxWait - time.Millisecond)
		release()
		group.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestStrictCommitsInGroups: events that come while a sync runs share the next one.
func TestStrictCommitsInGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &hanging{syncOnly: true}
		l := onDisk(t, disk, true)
		release := disk.hold()
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() {
				if err := l.Append(&Outcome{}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		if got := kinds(disk.buffer.Bytes()); len(got) != 20 {
			t.Errorf("%d events were written while a sync ran, want 20", len(got))
		}
		release()
		group.Wait()
		if disk.syncs != 2 {
			t.Errorf("%d syncs, want 2", disk.syncs)
		}
	})
}

// TestStrictRefuses: an event that is not on the disk is not accepted, for whatever reason.
func TestStrictRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &hanging{err: syscall.EIO}
		l := onDisk(t, disk, true)
		if err := l.Append(&Statement{}); !errors.Is(err, syscall.EIO) {
			t.Errorf("append: %v", err)
		}
		if err := l.Healthy(); !errors.Is(err, syscall.EIO) {
			t.Errorf("healthy: %v", err)
		}
		synctest.Wait() // who comes before a failed sync is quite over hears of that
		disk.err = nil
		if err := errors.Join(l.Healthy(), l.Append(&Statement{})); err != nil {
			t.Error(err)
		}
		disk.syncOnly = true
		release := disk.hold()
		began := time.Now()
		if err := l.Append(&Statement{}); !errors.Is(err, ErrSlow) || time.Since(began) != maxWait {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		release()
		if err := errors.Join(l.Healthy(), l.Close()); err != nil {
			t.Error(err)
		}
	})
}

// TestPipeWithoutAReader: a pipe that nobody empties refuses events, and takes them again.
func TestPipeWithoutAReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l, err := Open(Config{Path: path, AllowPipe: true})
	if err != nil {
		t.Fatal(err)
	}
	full := &Outcome{Session: strings.Repeat("x", 1000)}
	for err == nil {
		err = l.Append(full)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	drained := make([]byte, 1<<20)
	if _, err := reader.Read(drained); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Append(full), l.Close()); err != nil {
		t.Error(err)
	}
}

// failingOnce is a disk whose first sync fails: the kernel says it once.
type failingOnce struct{ hanging }

func (f *failingOnce) Sync() error {
	if err := f.hanging.Sync(); err != nil || f.syncs > 1 {
		return err
	}
	return syscall.EIO
}

// TestStrictSyncFails: events that were written while a sync ran that has failed may have been on its pages, and the next sync does not say so.
func TestStrictSyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &failingOnce{hanging{syncOnly: true}}
		l := onDisk(t, disk, true)
		release := disk.hold()
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				if err := l.Append(&Outcome{}); !errors.Is(err, syscall.EIO) {
					t.Errorf("error %v", err)
				}
			})
			synctest.Wait()
		}
		release()
		group.Wait()
		if err := errors.Join(l.Append(&Outcome{}), l.Close()); err != nil {
			t.Error(err)
		}
	})
}

// closable is a disk whose file can be closed.
type closable struct {
	hanging
	closed bool
}

func (c *closable) Close() error {
	c.closed = true
	return nil
}

func (c *closable) Sync() error {
	if c.closed {
		return os.ErrClosed
	}
	return c.hanging.Sync()
}

// TestStrictLeavesAFile: who has written to a file that is left before the fsync it waits for has that of the file's end, and its error.
func TestStrictLeavesAFile(t *testing.T) {
	for _, want := range []error{nil, syscall.EIO} {
		disk := &closable{hanging: hanging{err: want}}
		l := onDisk(t, disk, true)
		if err := l.end(disk); !errors.Is(err, want) {
			t.Fatal(err)
		}
		if err := l.commits.wait(disk); (err == nil) != (want == nil) {
			t.Errorf("its end: %v, the event: %v", want, err)
		}
	}
}
