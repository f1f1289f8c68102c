package audit

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// newKey makes a key that signs, and what verifies it.
func newKey(t *testing.T) (*proof.Key, *proof.Verifiers) {
	t.Helper()
	private, public, err := proof.GenerateKey("log")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(private), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := proof.ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := proof.NewVerifiers(public)
	if err != nil {
		t.Fatal(err)
	}
	return key, keys
}

// verifyFiles verifies files together, in their order.
func verifyFiles(t *testing.T, keys *proof.Verifiers, paths ...string) proof.Report {
	t.Helper()
	v := proof.NewVerifier(keys)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.File(filepath.Base(path), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	return v.End()
}

// wantProved wants all of the files to be proved.
func wantProved(t *testing.T, keys *proof.Verifiers, events int64, paths ...string) {
	t.Helper()
	r := verifyFiles(t, keys, paths...)
	if len(r.Findings) > 0 || r.Unsealed > 0 || r.Events != events || r.Torn.Line > 0 {
		t.Errorf("got %+v, want %d events, all proved", r, events)
	}
}

func appendEvents(t *testing.T, l *Log, n int) {
	t.Helper()
	for range n {
		if err := l.Append(&Outcome{Session: "s", Status: StatusCompleted}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSealed(t *testing.T) {
	key, keys := newKey(t)
	path := filepath.Join(t.TempDir(), "audit.log")
	var made []Checkpoint
	open := func() *Log {
		l, err := Open(Config{Path: path, Key: key, OnCheckpoint: func(c Checkpoint) { made = append(made, c) }})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open()
	appendEvents(t, l, maxUnsealed+3) // one checkpoint when so many wait, one at the end
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open()
	if err := errors.Join(l.Seal(), l.Close()); err != nil { // there is nothing new
		t.Fatal(err)
	}
	wantProved(t, keys, maxUnsealed+3, path)
	var sizes []int64
	for _, c := range made {
		if checkpoint, err := keys.Open(c.Note); err != nil || checkpoint.Size != c.Events {
			t.Errorf("%+v: %v", c, err)
		}
		sizes = append(sizes, c.Events)
	}
	if diff := cmp.Diff([]int64{maxUnsealed, maxUnsealed + 3}, sizes); diff != "" {
		t.Error(diff)
	}
}

// TestRunSealsEverySecond: a second after an event there is a checkpoint, and none where nothing happens.
func TestRunSealsEverySecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	synctest.Test(t, func(t *testing.T) {
		var made []int64
		began := time.Now()
		l, err := Open(Config{Path: path, OnCheckpoint: func(Checkpoint) { made = append(made, int64(time.Since(began)/time.Second)) }})
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		group.Go(func() {
			if err := l.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		for range 3 {
			appendEvents(t, l, 2)
			time.Sleep(2300 * time.Millisecond)
		}
		stop()
		group.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int64{1, 3, 5}, made); diff != "" {
			t.Error(diff)
		}
	})
}

func TestReopenGoesOnWithTheTree(t *testing.T) {
	key, keys := newKey(t)
	dir := t.TempDir()
	path, moved := filepath.Join(dir, "audit.log"), filepath.Join(dir, "audit.log.1")
	l, err := Open(Config{Path: path, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 5)
	if err := l.Reopen(); err != nil { // nobody has moved it
		t.Fatal(err)
	}
	appendEvents(t, l, 2)
	if err := errors.Join(os.Rename(path, moved), l.Reopen()); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantProved(t, keys, 10, moved, path)
	wantProved(t, keys, 7, moved)
	wantProved(t, keys, 3, path)
}

// TestKilled: what a killed gateway has left is completed and proved, and the log says since when nothing had proved it.
func TestKilled(t *testing.T) {
	key, keys := newKey(t)
	for name, test := range map[string]struct {
		tail     string
		want     string
		proved   int64
		unsealed string
	}{
		"between two events":    {"", "outcome outcome log_repair outcome", 4, `"unsealed":2`},
		"within an event":       {`{"time":"2026-`, "outcome outcome torn log_repair outcome", 5, `"unsealed":2`},
		"before a newline":      {`{"type":"x"}`, "outcome outcome x log_repair outcome", 5, `"unsealed":2`},
		"a machine's lost page": {"\x00\x00\x00", "outcome outcome torn log_repair outcome", 5, `"unsealed":2`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, killed := filepath.Join(dir, "audit.log"), filepath.Join(dir, "killed.log")
			l, err := Open(Config{Path: path, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			appendEvents(t, l, 2)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(l.Close(), os.WriteFile(killed, append(data, test.tail...), 0o600)); err != nil {
				t.Fatal(err)
			}
			if l, err = Open(Config{Path: killed, Key: key}); err != nil {
				t.Fatal(err)
			}
			appendEvents(t, l, 1)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			wantKinds(t, killed, strings.Fields(test.want)...)
			wantProved(t, keys, test.proved, killed)
			if data, err = os.ReadFile(killed); err != nil || !bytes.Contains(data, []byte(test.unsealed)) {
				t.Errorf("the repair does not say what was unsealed: %s, %v", data, err)
			}
		})
	}
}

// TestKilledWithinACheckpoint cuts a log within its checkpoint.
func TestKilledWithinACheckpoint(t *testing.T) {
	key, keys := newKey(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	l, err := Open(Config{Path: path, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 2)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	begin := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
	const dense = 4 // the last bytes are those that matter
	for n := begin; n <= len(data); n += max(1, min(11, len(data)-dense-n)) {
		if err := os.WriteFile(path, data[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err = Open(Config{Path: path, Key: key}); err != nil {
			t.Fatalf("cut at %d: %v", n-begin, err)
		}
		appendEvents(t, l, 1)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if r := verifyFiles(t, keys, path); len(r.Findings) > 0 || r.Unsealed > 0 {
			t.Fatalf("cut at %d: %+v", n-begin, r)
		}
	}
}

func TestOpenRefusesWhatWasChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 3)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte("completed"), []byte("cancelled"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: path}); err == nil || !strings.Contains(err.Error(), "line 2: this event was changed") {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefusesASecondWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	openLog(t, path)
	if _, err := Open(Config{Path: path}); err == nil || !strings.Contains(err.Error(), "written by another process") {
		t.Errorf("got %v", err)
	}
}

// TestSealedThroughFailures writes to a disk that fills up at every possible byte, and recovers. The log that is left must be proved.
func TestSealedThroughFailures(t *testing.T) {
	key, keys := newKey(t)
	var whole int
	for room := 0; room == 0 || room < whole; room += 13 {
		disk := &failing{room: 1 << 20}
		l, err := Open(Config{Path: os.DevNull, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		l.file = disk
		if err := l.begin(); err != nil {
			t.Fatal(err)
		}
		disk.room = room
		for range 3 {
			_ = l.Append(&Outcome{})
			_ = l.Seal()
		}
		disk.room = 1 << 20
		if err := errors.Join(l.Healthy(), l.Append(&Outcome{}), l.Close()); err != nil {
			t.Fatal(err)
		}
		if whole == 0 {
			whole = 3 * disk.Len()
		}
		v := proof.NewVerifier(keys)
		if err := v.File("log", bytes.NewReader(disk.Bytes())); err != nil {
			t.Fatal(err)
		}
		if r := v.End(); len(r.Findings) > 0 || r.Unsealed > 0 {
			t.Fatalf("room %d: %+v\n%s", room, r, disk)
		}
	}
}

// TestReopenWhenFull: the repair of what could not be written to a full disk stands in the next file.
func TestReopenWhenFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.file = &failing{}
	if err := l.Append(&Outcome{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Reopen(), l.Append(&Outcome{})); err != nil {
		t.Fatal(err)
	}
	wantKinds(t, path, "log_repair", "outcome")
	if r := verifyFiles(t, nil, path); r.Torn.Line > 0 {
		t.Errorf("%+v", r)
	}
}

// TestReopenFailsInItsFirstLine: a file that could not be begun is none, and can be begun later.
func TestReopenFailsInItsFirstLine(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	l, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 1)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	_ = l.Seal()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 40, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	failed := l.Reopen()
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if failed == nil {
		t.Fatal("no error")
	}
	appendEvents(t, l, 1)
	if err := errors.Join(l.Reopen(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if r := verifyFiles(t, nil, path+".1", path); len(r.Findings) > 0 || r.Unsealed > 0 || r.Torn.Line > 0 {
		t.Errorf("%+v", r)
	}
}

// TestChangeKey: what was accepted before the change, and the change itself, are under a checkpoint of the key before.
func TestChangeKey(t *testing.T) {
	first, firstKeys := newKey(t)
	second, secondKeys := newKey(t)
	var notes []string
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(Config{Path: path, Key: first, OnCheckpoint: func(c Checkpoint) { notes = append(notes, c.Note) }})
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 3)
	if err := l.ChangeKey(second, &ConfigurationChange{Action: "audit_key", Key: second.ID(), PreviousKey: first.ID()}); err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 2)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 2 {
		t.Fatalf("%d checkpoints", len(notes))
	}
	if c, err := firstKeys.Open(notes[0]); err != nil || c.Size != 4 {
		t.Errorf("the last of the key before: %+v, %v", c, err)
	}
	if c, err := secondKeys.Open(notes[1]); err != nil || c.Size != 6 {
		t.Errorf("the first of the other: %+v, %v", c, err)
	}
}
