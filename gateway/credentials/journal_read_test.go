package credentials

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestJournalTorn: a gateway that is killed while it writes a line has not used that lease.
func TestJournalTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j, _ := opens(t, path)
	if err := errors.Join(j.opened(entry(0)), j.opened(entry(1)), j.close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.Index(string(whole), "\n") + 1
	for cut := first; cut < len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, left, err := openJournal(path)
		if err != nil || len(left) != 1 || left[0].ID != entry(0).ID {
			t.Fatalf("cut at %d: %v, %v", cut, left, err)
		}
		if err := errors.Join(j.opened(entry(2)), j.close()); err != nil {
			t.Fatal(err)
		}
		if read, err := ReadJournal(path); err != nil || len(read) != 2 {
			t.Fatalf("cut at %d, and written on: %v, %v", cut, read, err)
		}
	}
}

// TestJournalZeroed: what a machine that crashed had not written yet may be there as zeros, from anywhere in a line on, for pages. Nothing of
// that was used, and nothing before it is lost.
func TestJournalZeroed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j, _ := opens(t, path)
	if err := errors.Join(j.opened(entry(0)), j.ended(entry(0).Hash()), j.opened(entry(1)), j.opened(entry(2)), j.close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := strings.LastIndex(strings.TrimSuffix(string(whole), "\n"), "\n") + 1
	for name, test := range map[string]struct{ from, zeros int }{
		"a line":                {last, len(whole) - last},
		"its end":               {len(whole) - 1, 1},
		"half a line":           {last + 20, len(whole) - last - 20},
		"a page":                {last, 4 << 10},
		"as long as a line":     {last, maxJournalLine},
		"longer than a line":    {last, maxJournalLine + 1},
		"half a line and pages": {last + 20, 20 * 4 << 10},
		"nothing else":          {0, 12 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			zeroed := string(whole[:test.from]) + strings.Repeat("\x00", test.zeros)
			if err := os.WriteFile(path, []byte(zeroed), 0o600); err != nil {
				t.Fatal(err)
			}
			want := []Entry{entry(1)}
			if test.from == 0 {
				want = nil
			}
			if read, err := ReadJournal(path); err != nil || cmp.Diff(want, read) != "" {
				t.Errorf("ReadJournal: %v, %v", read, err)
			}
			var log strings.Builder
			l := ledger{log: slog.New(slog.NewTextHandler(&log, nil))}
			if err := l.openJournal(path); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, l.left); diff != "" {
				t.Error(diff)
			}
			if want := fmt.Sprintf("bytes=%d", len(zeroed)-min(test.from, last)); !strings.Contains(log.String(), want) || !strings.Contains(log.String(), path) {
				t.Errorf("the log has no %s: %s", want, log.String())
			}
			if err := errors.Join(l.journal.opened(entry(3)), l.closeJournal()); err != nil {
				t.Fatal(err)
			}
			if read, err := ReadJournal(path); err != nil || cmp.Diff(append(want, entry(3)), read) != "" {
				t.Errorf("written on: %v, %v", read, err)
			}
		})
	}
}

// TestJournalZeroedWithin: where something follows the zeros, the disk has lost what it had. That is not passed over, and who has read what to
// do, and done it, keeps the rest.
func TestJournalZeroedWithin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j, _ := opens(t, path)
	for n := range 4 {
		if err := j.opened(entry(n)); err != nil {
			t.Fatal(err)
		}
	}
	_ = j.close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	one := len(whole) / 4
	for name, test := range map[string]struct {
		from, to int
		want     []Entry
	}{
		"a line with its end": {one, 2 * one, []Entry{entry(0), entry(3)}},
		"a line":              {one, 2*one - 1, []Entry{entry(0), entry(2), entry(3)}},
		"two halves":          {one + one/2, 2*one + one/2, []Entry{entry(0), entry(3)}},
		"the beginning":       {0, one / 2, []Entry{entry(1), entry(2), entry(3)}},
		"but for its end":     {3 * one, 4*one - 1, []Entry{entry(0), entry(1), entry(2)}},
		"one byte":            {one + 10, one + 11, []Entry{entry(0), entry(2), entry(3)}},
	} {
		t.Run(name, func(t *testing.T) {
			damaged := slices.Clone(whole)
			clear(damaged[test.from:test.to])
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := openJournal(path)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "NUL") {
				t.Fatalf("it opens: %v", err)
			}
			if _, readErr := ReadJournal(path); readErr == nil {
				t.Error("it can be read")
			}
			if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, damaged) {
				t.Error("the file was changed")
			}
			_, advice, _ := strings.Cut(err.Error(), "`")
			command, _, _ := strings.Cut(advice, "`")
			if output, err := exec.CommandContext(t.Context(), "/bin/sh", "-c", command).CombinedOutput(); err != nil { // as somebody who follows it
				t.Fatalf("%s: %v: %s", command, err, output)
			}
			j, left := opens(t, path)
			if diff := cmp.Diff(test.want, left); diff != "" {
				t.Error(diff)
			}
			_ = j.close()
		})
	}
}

func TestJournalIsRefused(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"text":     "hello\n",
		"nothing":  "{}\n",
		"both":     `{"opened":{"id":"x"},"ended":"y"}` + "\n",
		"too long": `{"ended":"` + strings.Repeat("x", maxJournalLine) + `"}` + "\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := openJournal(path); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%s: %v", name, err)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != content {
			t.Errorf("%s: the file was changed", name)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openJournal(link); err == nil {
		t.Error("a symbolic link was followed")
	}
}
