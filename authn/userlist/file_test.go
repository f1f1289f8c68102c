package userlist

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched opens a file and runs it in a bubble, where seconds pass at once.
func watched(t *testing.T, text string) (file *File, path string, observed chan error) {
	t.Helper()
	path, observed = newFile(t, text, 0o600), make(chan error, 100)
	file, err := Open(FileConfig{Path: path, Config: config, Observe: func(err error) { observed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- file.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return file, path, observed
}

// poll lets the file be looked at once more.
func poll() {
	time.Sleep(pollInterval)
	synctest.Wait()
}

func TestFileFollowsUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, path, observed := watched(t, `"old" "md5`+strings.Repeat("0", 32)+`"`)
		if _, ok := file.MD5("old"); !ok || len(file.Warnings()) != 1 {
			t.Errorf("MD5: %v, warnings %q", ok, file.Warnings())
		}
		poll()
		if len(observed) != 0 {
			t.Errorf("reloaded although nothing changed: %d times", len(observed))
		}
		if err := Update(path, func(e *Entries) error { return e.SetVerifier("ana", pencil(t)) }); err != nil {
			t.Fatal(err)
		}
		if _, ok := file.Lookup("ana"); ok {
			t.Error("known before it was looked at")
		}
		poll()
		if _, ok := file.Lookup("ana"); !ok || len(observed) != 1 || file.Err() != nil {
			t.Errorf("Lookup: %v, observed %d, %v", ok, len(observed), file.Err())
		}
		if err := Update(path, func(e *Entries) error { e.Remove("ana"); return nil }); err != nil {
			t.Fatal(err)
		}
		poll()
		if _, ok := file.Lookup("ana"); ok {
			t.Error("a removed user is still known")
		}
	})
}

func TestBadReloadKeepsTheOldList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file, path, observed := watched(t, `"ana" "`+verifier+`"`)
		for name, spoil := range map[string]func() error{
			"malformed": func() error { return os.WriteFile(path, []byte("ana hunter2"), 0o600) },
			"removed":   func() error { return os.Remove(path) },
		} {
			seen := len(observed)
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			poll()
			poll() // a failure is told once
			if _, ok := file.Lookup("ana"); !ok || len(observed) != seen+1 || file.Err() == nil || strings.Contains(file.Err().Error(), "hunter2") {
				t.Errorf("%s: Lookup %v, %d observed, %v", name, ok, len(observed)-seen, file.Err())
			}
			if err := os.WriteFile(path, []byte(`"ana" "`+verifier+`"`), 0o600); err != nil {
				t.Fatal(err)
			}
			poll()
			if file.Err() != nil {
				t.Errorf("after %s: %v", name, file.Err())
			}
		}
	})
}

func TestOpenRefuses(t *testing.T) {
	if _, err := Open(FileConfig{Path: filepath.Join(t.TempDir(), "none"), Config: config}); err == nil {
		t.Error("no file")
	}
	if _, err := Open(FileConfig{Path: newFile(t, "x", 0o600), Config: config}); err == nil {
		t.Error("malformed")
	}
}

func TestReload(t *testing.T) {
	path := newFile(t, `"ana" "`+verifier+`"`, 0o600)
	file, err := Open(FileConfig{Path: path, Config: config})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := file.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, ok := file.Lookup("ana"); ok {
		t.Error("the file is empty")
	}
}

// TestSettled: who is missing from a list that has just been read may be yet to be written. A list that has stood for a poll is told of, once;
// not while the file is one that cannot be used, for then it may still be written.
func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ana, bob = `"ana" "` + verifier + `"`, `"bob" "` + verifier + `"`
		var settled atomic.Int32
		path := newFile(t, ana, 0o600)
		file, err := Open(FileConfig{Path: path, Config: config, Settled: func() { settled.Add(1) }})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- file.Run(ctx) }()
		for i, step := range []struct {
			text string // "": stays as it is
			want int32
		}{
			{"", 0},
			{"", 0}, // as it was opened
			{ana + "\n" + bob, 0},
			{"", 1},
			{"", 1},
			{"#", 1},
			{ana, 1},
			{ana + "\n" + bob + "\n", 1},
			{"", 2}, // in pieces
			{bob, 2},
			{bob + "\n\"ana\" \"SCR", 2},
			{"", 2},
			{"", 2}, // a piece that can be used, and then one that cannot
			{bob + "\n\n", 2},
			{"", 3},
			{"", 3},
		} {
			if step.text != "" {
				if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			poll()
			if got := settled.Load(); got != step.want {
				t.Errorf("step %d: told %d times, want %d", i, got, step.want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
