package authz

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const broken = "package sallyport.statement\ndecision := {"

func denies(reason string) string {
	return "package sallyport.statement\ndecision := {\"allow\": false, \"reasons\": [\"" + reason + "\"]}\n"
}

// reason is what the engine says now.
func reason(t *testing.T, e *Engine) string {
	t.Helper()
	got, err := e.Statement(t.Context(), sampleStatements()["select"])
	if err != nil {
		t.Fatal(err)
	}
	return got.Reasons[0]
}

func TestReload(t *testing.T) {
	dir := directory(t, map[string]string{"statement.rego": denies("one")})
	var announced []Status
	e, err := New(Config{Timeout: patience, Directory: dir, OnReload: func(s Status) { announced = append(announced, s) }})
	if err != nil {
		t.Fatal(err)
	}
	first := e.Status()
	if first.Err != nil || first.Revision == "" || first.LoadedAt.IsZero() || len(first.Files) != 2 {
		t.Errorf("after New: %+v", first)
	}
	if err := e.Reload(); err != nil || len(announced) != 0 {
		t.Errorf("a reload of the same: %v, announced %v", err, announced)
	}

	put(t, filepath.Join(dir, "statement.rego"), broken)
	for range 2 {
		if err := e.Reload(); err == nil || !strings.Contains(err.Error(), "statement.rego") {
			t.Errorf("a broken policy: %v", err)
		}
	}
	if got := e.Status(); got.Err == nil || got.FailedAt.IsZero() || got.Revision != first.Revision || !got.LoadedAt.Equal(first.LoadedAt) {
		t.Errorf("after a broken policy: %+v", got)
	}
	if len(announced) != 1 {
		t.Errorf("announced %d times, want once", len(announced))
	}
	if got := reason(t, e); got != "one" {
		t.Errorf("a broken policy decided: %q", got)
	}

	put(t, filepath.Join(dir, "statement.rego"), denies("two"))
	if err := e.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := e.Status(); got.Err != nil || !got.FailedAt.IsZero() || got.Revision == first.Revision || got.Revision != e.Policy().Revision() {
		t.Errorf("after a good policy: %+v", got)
	}
	if got := reason(t, e); got != "two" {
		t.Errorf("got %q, want two", got)
	}
}

// TestReloadForgetsAFailure: putting back what is in use is a recovery too.
func TestReloadForgetsAFailure(t *testing.T) {
	dir := directory(t, map[string]string{"statement.rego": denies("one")})
	e, err := New(Config{Timeout: patience, Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "extra.rego"), broken)
	if err := e.Reload(); err == nil {
		t.Fatal("a broken policy was taken")
	}
	if err := os.Remove(filepath.Join(dir, "extra.rego")); err != nil {
		t.Fatal(err)
	}
	if err := e.Reload(); err != nil || e.Status().Err != nil {
		t.Errorf("got %v, status %v", err, e.Status().Err)
	}
}

// TestRun changes the directory in the ways that editors, people and Kubernetes do.
func TestRun(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string){
		"write": func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "statement.rego"), denies("new"))
		},
		"rename over, as editors save": func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, ".statement.rego.swp"), denies("new"))
			rename(t, filepath.Join(dir, ".statement.rego.swp"), filepath.Join(dir, "statement.rego"))
		},
		"directory replaced": func(t *testing.T, dir string) {
			rename(t, dir, dir+".old")
			put(t, filepath.Join(dir+".new", "connect.rego"), connectAllowed)
			put(t, filepath.Join(dir+".new", "statement.rego"), denies("new"))
			rename(t, dir+".new", dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "policies")
			put(t, filepath.Join(dir, "connect.rego"), connectAllowed)
			put(t, filepath.Join(dir, "statement.rego"), denies("old"))
			watchChange(t, dir, func() { change(t, dir) })
		})
	}
	// A mounted volume: the files are links into a directory that is swapped by renaming a link.
	t.Run("volume", func(t *testing.T) {
		dir := t.TempDir()
		for version, reason := range map[string]string{"..1": "old", "..2": "new"} {
			put(t, filepath.Join(dir, version, "connect.rego"), connectAllowed)
			put(t, filepath.Join(dir, version, "statement.rego"), denies(reason))
		}
		link(t, "..1", filepath.Join(dir, "..data"))
		link(t, "..data/connect.rego", filepath.Join(dir, "connect.rego"))
		link(t, "..data/statement.rego", filepath.Join(dir, "statement.rego"))
		watchChange(t, dir, func() {
			link(t, "..2", filepath.Join(dir, "..data_tmp"))
			rename(t, filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))
		})
	})
	t.Run("directory is a link", func(t *testing.T) {
		root := t.TempDir()
		for version, reason := range map[string]string{"v1": "old", "v2": "new"} {
			put(t, filepath.Join(root, version, "connect.rego"), connectAllowed)
			put(t, filepath.Join(root, version, "statement.rego"), denies(reason))
		}
		link(t, "v1", filepath.Join(root, "current"))
		watchChange(t, filepath.Join(root, "current"), func() {
			link(t, "v2", filepath.Join(root, "next"))
			rename(t, filepath.Join(root, "next"), filepath.Join(root, "current"))
		})
	})
}

// watchChange runs the engine, makes the change and waits for the policy that says "new".
func watchChange(t *testing.T, dir string, change func()) {
	t.Helper()
	reloaded := make(chan Status, 16)
	e, err := New(Config{Timeout: patience, Directory: dir, OnReload: func(s Status) { reloaded <- s }})
	if err != nil {
		t.Fatal(err)
	}
	if got := reason(t, e); got != "old" {
		t.Fatalf("got %q before the change", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	// Run reads the directory once when it begins. What it says about this file shows that it watches by now.
	put(t, filepath.Join(dir, "broken.rego"), broken)
	<-reloaded
	if err := os.Remove(filepath.Join(dir, "broken.rego")); err != nil {
		t.Fatal(err)
	}
	<-reloaded
	change()
	// Well under pollInterval, so that it is the notification that is tested.
	deadline := time.After(pollInterval / 2)
	for reason(t, e) != "new" {
		select {
		case <-reloaded:
		case <-deadline:
			t.Error("the change was not noticed")
			cancel()
			<-ended
			return
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
