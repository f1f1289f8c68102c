package audit

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// shm is where the tests' journals are: no test of them says anything on a disk.
const shm = "/dev/shm"

// withJournal opens a log that has a journal.
func withJournal(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(Config{Path: path, Journal: shm})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(journalName(shm, path)) }) // of a test that has failed
	return l
}

// inMemory is a journal of nobody's file, with a small ring.
func inMemory(room int) *journal {
	j := newJournal(nil, make([]byte, headerSize+room), "audit.log")
	j.run()
	return j
}

// add accepts a line that says nothing of texts.
func (j *journal) add(text []byte) bool {
	return j.addEvent(&line{buf: append([]byte{0}, text...)}, nil, nil, omitted{}) == addDone
}

// TestRing fills a ring and empties it in part, again and again, so that lines lie across its end in every way.
func TestRing(t *testing.T) {
	const room = 101
	j := inMemory(room)
	var accepted, drained bytes.Buffer
	full := 0
	for n := range 1000 {
		line := []byte(strings.Repeat(string(rune('a'+n%26)), n%23) + "\n")
		if j.add(line) {
			accepted.Write(line)
		} else {
			full++
		}
		if used := j.head - j.tail.Load(); used > room {
			t.Fatalf("%d bytes are in %d", used, room)
		}
		if n%3 == 0 {
			tail, end := j.tail.Load(), j.head
			end -= (end - tail) / 2
			drained.Write(j.read(nil, tail, end))
			j.setPosition(position{tail: end})
		}
	}
	drained.Write(j.read(nil, j.tail.Load(), j.head))
	if !bytes.Equal(drained.Bytes(), accepted.Bytes()) {
		t.Error("what comes out is not what was accepted")
	}
	if full == 0 || full > 900 {
		t.Errorf("it was full %d times", full)
	}
}

// TestJournalAccepts only while somebody drains and the file takes something.
func TestJournalAccepts(t *testing.T) {
	j := inMemory(2 * maxJournalLine)
	line := []byte("line\n")
	for _, step := range []struct {
		name   string
		change func()
		line   []byte
		want   bool
	}{
		{"running", func() {}, line, true},
		{"halted", j.halt, line, false},
		{"resumed", j.resume, line, true},
		{"stopped", func() { j.stop() }, line, false},
		{"running again", j.run, line, true},
		{"the longest line", func() {}, make([]byte, maxJournalLine), true},
		{"a longer line", func() {}, make([]byte, maxJournalLine+1), false},
		{"no room", func() {}, make([]byte, maxJournalLine), false},
		{"a line that fits", func() {}, line, true},
	} {
		step.change()
		if got := j.add(step.line); got != step.want {
			t.Errorf("%s: accepted %v", step.name, got)
		}
	}
}

// TestPosition: a process that is killed while it replaces a position leaves the one before.
func TestPosition(t *testing.T) {
	j := inMemory(1 << 10)
	for n := range uint64(5) {
		want := position{tail: n, file: fileID{2 * n, 3 * n}, offset: 4 * n, writing: n%2 == 0}
		j.add([]byte("\n"))
		j.setPosition(want)
		if got := j.position(); got != want || j.tail.Load() != n {
			t.Errorf("got %+v, want %+v", got, want)
		}
		memory := bytes.Clone(j.memory)
		next := j.positionAt(*j.word(atCurrent) + 1)
		copy(memory[next:next+positionSize], bytes.Repeat([]byte{0xff}, positionSize))
		killed, err := leftJournal(nil, memory)
		if err != nil {
			t.Fatal(err)
		}
		if killed.position() != want || killed.head != n+1 {
			t.Errorf("left is %+v, want %+v", killed.position(), want)
		}
	}
}

func TestJournalFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := withJournal(t, path)
	name := journalName(shm, path)
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if info.Mode() != 0o600 || !ok || stat.Blocks*512 < headerSize+journalSize {
		t.Errorf("mode %v, %d blocks: want 0600, and all of them there", info.Mode(), stat.Blocks)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after the end: %v", err)
	}
}

// TestJournalIsRefused: where it is named and cannot be had, the log is not opened without it.
func TestJournalIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(t *testing.T, dir, journal string) (place string)
		want    string
	}{
		"not in memory": {func(*testing.T, string, string) string { return "/proc" }, "not memory-backed"},
		"no directory":  {func(*testing.T, string, string) string { return shm + "/nowhere" }, "no such file"},
		"replaceable": {func(t *testing.T, _, _ string) string {
			dir, err := os.MkdirTemp(shm, "test")
			if err := errors.Join(err, os.Chmod(dir, 0o777)); err != nil { // #nosec G302 -- that is what is refused
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(dir) })
			return dir
		}, "sticky bit"},
		"another account's directory": {func(t *testing.T, _, _ string) string {
			dir, err := os.MkdirTemp(shm, "test")
			if err := errors.Join(err, os.Chown(dir, 65534, 65534)); err != nil { // this test needs root
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(dir) })
			return dir
		}, "another account"},
		"another account's file": {func(t *testing.T, _, journal string) string {
			if err := errors.Join(os.WriteFile(journal, nil, 0o600), os.Chown(journal, 65534, 65534)); err != nil {
				t.Fatal(err)
			}
			return shm
		}, "another account or process"},
		"a symbolic link": {func(t *testing.T, dir, journal string) string {
			if err := os.Symlink(filepath.Join(dir, "target"), journal); err != nil {
				t.Fatal(err)
			}
			return shm
		}, "another account or process"},
		"one that others may read": {func(t *testing.T, _, journal string) string {
			if err := errors.Join(os.WriteFile(journal, nil, 0o600), os.Chmod(journal, 0o644)); err != nil { // #nosec G302 -- that is what is refused
				t.Fatal(err)
			}
			return shm
		}, "another account or process"},
		"another gateway's": {func(t *testing.T, dir, journal string) string {
			l := withJournal(t, filepath.Join(dir, "other.log"))
			t.Cleanup(func() { _ = l.Close() })
			if err := os.Rename(l.journal.file.Name(), journal); err != nil {
				t.Fatal(err)
			}
			return shm
		}, "another account or process"},
		"another version's": {func(t *testing.T, _, journal string) string {
			if err := os.WriteFile(journal, append([]byte("sallyport journal 9\n"), make([]byte, headerSize+journalSize)...), 0o600); err != nil {
				t.Fatal(err)
			}
			return shm
		}, "another version"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "audit.log")
			journal := journalName(shm, path)
			t.Cleanup(func() { _ = os.Remove(journal) })
			place := test.prepare(t, dir, journal)
			if _, err := Open(Config{Path: path, Journal: place}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestJournalAnywhere: where nobody has named a place, one that cannot be had is no reason not to start.
func TestJournalAnywhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	taken := journalName(shm, path)
	if err := os.Symlink("/nowhere", taken); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(taken)
	private, err := os.MkdirTemp(shm, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(private)
	for _, step := range []struct{ runtime, want string }{
		{"", ""},
		{"/proc", ""},
		{"/proc:" + private, journalName(private, path)},
	} {
		t.Setenv("RUNTIME_DIRECTORY", step.runtime)
		l, err := Open(Config{Path: path, Journal: JournalAnywhere})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if l.journal != nil {
			got = l.journal.file.Name()
		}
		if got != step.want {
			t.Errorf("in %q the journal is %q, want %q", step.runtime, got, step.want)
		}
		appendEvents(t, l, 1)
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := os.Remove(taken); err != nil {
		t.Fatal(err)
	}
	l, err := Open(Config{Path: path, Journal: JournalAnywhere})
	if err != nil {
		t.Fatal(err)
	}
	if l.journal == nil || l.journal.file.Name() != taken {
		t.Error("it is not where it may be")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
