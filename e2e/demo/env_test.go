package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteEnv(t *testing.T) {
	values := map[string]string{
		"plain":             "abc",
		"spaces":            "two  words",
		"single quote":      "it's",
		"double quote":      `a "b" c`,
		"expansions":        "$HOME `id` $(id) \\ !",
		"newline":           "a\nb",
		"empty":             "",
		"connection string": "postgresql://postgres:x@127.0.0.1:5433/app?sslmode=verify-full&sslrootcert=%2Fa",
	}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), envFile)
			if err := writeEnv(path, [][2]string{{"A", value}, {"B", "b"}}); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("sh", "-euc", `. "$1"; printf '%s|%s' "$A" "$B"`, "sh", path).Output()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(out), value+"|b"; got != want {
				t.Errorf("the shell reads %q, want %q", got, want)
			}
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := info.Mode(), fs.FileMode(0o600); got != want {
				t.Errorf("mode %v, want %v", got, want)
			}
		})
	}
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	first, err := acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "leftover"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if second, err := acquire(dir); err == nil || !strings.Contains(err.Error(), "running already") {
		t.Errorf("a second demo may start: %v %v", second, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "leftover")); err != nil {
		t.Errorf("the second demo removed the first one's file: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	third, err := acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if _, err := os.Stat(filepath.Join(dir, "leftover")); err == nil {
		t.Error("what a dead demo left behind is still there")
	}
}

func TestDownWithoutDemo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	var out strings.Builder
	if err := down(t.Context(), dir, &out); err != nil || !strings.Contains(out.String(), "No demo") {
		t.Errorf("no directory: %v, %q", err, out.String())
	}
	lock, err := acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if err := down(t.Context(), dir, &out); err != nil {
		t.Errorf("a dead demo: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory of a dead demo is still there")
	}
}
