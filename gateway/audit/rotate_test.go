package audit

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// names lists what is in the log's directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	return got
}

// verifyAll verifies files, the packed ones too.
func verifyAll(t *testing.T, keys *proof.Verifiers, dir string, files ...string) proof.Report {
	t.Helper()
	v := proof.NewVerifier(keys)
	for _, name := range files {
		file, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var r io.Reader = file
		if strings.HasSuffix(name, packed) {
			if r, err = gzip.NewReader(file); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(v.File(name, r), file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return v.End()
}

func TestRotation(t *testing.T) {
	key, keys := newKey(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	l, err := Open(Config{Path: path, Key: key, Rotation: Rotation{Size: 2000, Age: time.Hour, Compress: true, Keep: 3, KeepFor: 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	l.since = noon
	steps := []struct {
		events  int
		after   time.Duration
		rotated bool
	}{
		{2, 0, false},
		{20, time.Minute, true},               // full
		{0, 3 * time.Hour, false},             // old, and nothing is in it
		{1, 3 * time.Hour, true},              // old
		{20, 3 * time.Hour, true},             // full, in the same second
		{20, 4 * time.Hour, true},             // full again: the oldest is not kept
		{0, 4*time.Hour + time.Minute, false}, // nothing new
	}
	for i, step := range steps {
		appendEvents(t, l, step.events)
		now := noon.Add(step.after)
		if rotated := l.tick(now); rotated != step.rotated {
			t.Errorf("step %d: rotated %v", i, rotated)
		}
		l.since = earlier(l.since, now)
		if err := l.tidy(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	appendEvents(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{"audit.log", "audit.log.20260302T150000Z.gz", "audit.log.20260302T150001Z.gz", "audit.log.20260302T160000Z.gz"}
	if diff := cmp.Diff(want, names(t, dir)); diff != "" {
		t.Fatal(diff)
	}
	r := verifyAll(t, keys, dir, append(want[1:], want[0])...)
	if len(r.Findings) > 0 || r.From != 22 || r.Size != 64 || r.Unsealed > 0 {
		t.Errorf("%+v", r)
	}
	if err := l.tidy(t.Context(), noon.Add(28*time.Hour)); err != nil { // by age
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{want[0], want[3]}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// earlier is the earlier of two times: a file is begun by the clock, and this test is not.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// TestTidyLeavesOthers: what has another form of name is not compressed, nor removed.
func TestTidyLeavesOthers(t *testing.T) {
	dir := t.TempDir()
	others := []string{"audit.log.1", "audit.log.2.gz", "audit.log.20260302T150000Z.bak", "other.log.20260302T150000Z"}
	for _, name := range others {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Open(Config{Path: filepath.Join(dir, "audit.log"), Rotation: Rotation{Size: 1, Compress: true, Keep: 1, KeepFor: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.tidy(t.Context(), time.Now()), l.Close()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append([]string{"audit.log"}, others...), names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// TestTidyGoesOn: what a gateway left that was killed while it compressed is done again.
func TestTidyGoesOn(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"audit.log.20260302T150000Z": "old", "audit.log.20260302T150000Z.gz.part": "half"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l := &Log{path: filepath.Join(dir, "audit.log"), rotation: Rotation{Compress: true}}
	if err := l.tidy(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"audit.log.20260302T150000Z.gz"}, names(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// TestRotationFails: when the new file cannot be begun the old one is written on, under its own name.
func TestRotationFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	l, err := Open(Config{Path: path, Rotation: Rotation{Size: 1}})
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 1)
	l.path = filepath.Join(dir, "none", "audit.log")
	if l.tick(noon) {
		t.Error("rotated")
	}
	l.path = path
	appendEvents(t, l, 1)
	if l.tick(noon.Add(retryRotation - time.Second)) {
		t.Error("it is tried again at once")
	}
	if !l.tick(noon.Add(retryRotation)) {
		t.Error("it is not tried again")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := verifyAll(t, nil, dir, "audit.log.20260302T120100Z", "audit.log")
	if len(r.Findings) > 0 || r.Size != 2 {
		t.Errorf("%+v", r)
	}
}

// TestKilledBetweenFiles: a gateway that was killed when its file had its old name no more, and the next was not begun, goes on with the
// tree.
func TestKilledBetweenFiles(t *testing.T) {
	for name, end := range map[string]func(*Log) error{"closed": (*Log).Close, "killed": func(l *Log) error { return l.file.Close() }} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "audit.log")
			l, err := Open(Config{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			appendEvents(t, l, 3)
			if err := errors.Join(end(l), os.Rename(path, path+".20260302T120000Z")); err != nil {
				t.Fatal(err)
			}
			if l, err = Open(Config{Path: path}); err != nil {
				t.Fatal(err)
			}
			appendEvents(t, l, 1)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			r := verifyAll(t, nil, dir, "audit.log.20260302T120000Z", "audit.log")
			if len(r.Findings) > 0 || r.Unsealed > 0 || r.Size < 4 {
				t.Errorf("%+v", r)
			}
			if l, err = Open(Config{Path: path}); err != nil { // which knows this file only
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRemoved: a file that was removed is written again, with all that was in it.
func TestRemoved(t *testing.T) {
	key, keys := newKey(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	l, err := Open(Config{Path: path, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	appendEvents(t, l, 3)
	if err := os.RemoveAll(dir); err != nil { // the directory too: it cannot be written again yet
		t.Fatal(err)
	}
	appendEvents(t, l, 1) // nobody has noticed
	l.tick(time.Now())
	if err := l.Append(&Outcome{}); !errors.Is(err, errGone) {
		t.Errorf("append: %v", err)
	}
	if err := l.Healthy(); !errors.Is(err, errGone) {
		t.Errorf("healthy: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l.tick(time.Now())
	appendEvents(t, l, 1)
	if err := errors.Join(l.Healthy(), l.Close()); err != nil {
		t.Error(err)
	}
	wantKinds(t, path, "outcome", "outcome", "outcome", "outcome", "log_repair", "outcome")
	wantProved(t, keys, 6, path)
	if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), `"cause":"removed","lost":1`) {
		t.Errorf("%s, %v", data, err)
	}
}

// TestRotationWithTheClockSetBack: files are named in the order they were written in. The next gateway goes on from the last, and it is the
// oldest that goes first.
func TestRotationWithTheClockSetBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	l, err := Open(Config{Path: path, Rotation: Rotation{Size: 1, Keep: 2}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, back := range []time.Duration{0, time.Hour, 2 * time.Hour} {
		appendEvents(t, l, 2)
		if !l.tick(now.Add(-back)) {
			t.Fatal("not rotated")
		}
	}
	if err := errors.Join(l.tidy(t.Context(), now.Add(-2*time.Hour)), l.Close(), os.Remove(path)); err != nil { // as one that was killed before it began
		t.Fatal(err)
	}
	if l, err = Open(Config{Path: path}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := verifyAll(t, nil, dir, "audit.log.20260302T120001Z", "audit.log.20260302T120002Z", "audit.log")
	if len(r.Findings) > 0 || r.From != 2 || r.Size != 6 {
		t.Errorf("%+v", r)
	}
}

// TestFirstLineIsTorn: a file whose first line is not whole was not begun; it goes on from the one before. No event can be in it.
func TestFirstLineIsTorn(t *testing.T) {
	for _, arrived := range []int{1, 20, 40, 60, 90} {
		dir := t.TempDir()
		path := filepath.Join(dir, "audit.log")
		l, err := Open(Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		appendEvents(t, l, 3)
		older := path + ".20260302T120000Z"
		if err := errors.Join(os.Rename(path, older), l.Reopen(), l.Close()); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, int64(arrived)); err != nil {
			t.Fatal(err)
		}
		if l, err = Open(Config{Path: path}); err != nil {
			t.Fatal(err)
		}
		appendEvents(t, l, 1)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if r := verifyFiles(t, nil, older, path); len(r.Findings) > 0 || r.Unsealed > 0 || r.Size != 4 {
			t.Errorf("%d bytes: %+v", arrived, r)
		}
	}
}

// TestKilledWhileRotating: a gateway was killed when the log had its new name, and what is beside it had not.
func TestKilledWhileRotating(t *testing.T) {
	const rotated, earlier = "audit.log.20260302T120000Z", "audit.log.20260301T120000Z"
	for name, test := range map[string]struct {
		others []string // were there before
		want   []string
	}{
		"the first":      {nil, []string{"audit.log", rotated, rotated + Beside, "audit.log.texts"}},
		"packed":         {[]string{earlier + packed}, []string{"audit.log", earlier + packed, rotated, rotated + Beside, "audit.log.texts"}},
		"it has its own": {[]string{rotated + Beside + packed}, []string{"audit.log", rotated, rotated + Beside + packed, "audit.log.texts"}},
		"one before it":  {[]string{earlier, earlier + Beside}, []string{"audit.log", earlier, earlier + Beside, rotated, rotated + Beside, "audit.log.texts"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "audit.log")
			l := openTexts(t, path, Rotation{})
			say(t, l, long)
			if err := errors.Join(l.Close(), os.Rename(path, filepath.Join(dir, rotated))); err != nil {
				t.Fatal(err)
			}
			for _, other := range test.others {
				if err := os.WriteFile(filepath.Join(dir, other), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			l = openTexts(t, path, Rotation{})
			say(t, l, long+" ")
			if diff := cmp.Diff(test.want, names(t, dir)); diff != "" {
				t.Error(diff)
			}
			if name == "it has its own" {
				return
			}
			wantSaid(t, filepath.Join(dir, rotated+Beside), long)
			wantSaid(t, path+Beside, long+" ")
		})
	}
}
