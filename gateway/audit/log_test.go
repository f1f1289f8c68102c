package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func openLog(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// kinds returns the type of each event in data, "torn" for what is not JSON. Lines that are the log's own are no events.
func kinds(data []byte) []string {
	var got []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(data), "\n"), "\n") {
		var event struct{ Type string }
		if json.Unmarshal([]byte(line), &event) != nil {
			event.Type = "torn"
		}
		if event.Type == "tree" || event.Type == "checkpoint" {
			continue
		}
		got = append(got, event.Type)
	}
	return got
}

func wantKinds(t *testing.T, path string, want ...string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, kinds(data)); diff != "" {
		t.Error(diff)
	}
}

func TestLogAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openLog(t, path)
	for _, event := range []Event{&SessionStart{Session: "s"}, &Statement{Session: "s"}, &Outcome{Session: "s"}} {
		if err := l.Append(event); err != nil {
			t.Fatal(err)
		}
	}
	wantKinds(t, path, "session_start", "statement", "outcome")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}

func TestLogContinuesAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	for range 2 {
		l := openLog(t, path)
		if err := errors.Join(l.Append(&Outcome{}), l.Close()); err != nil {
			t.Fatal(err)
		}
	}
	wantKinds(t, path, "outcome", "outcome")
}

func TestLogCompletesATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte("{\"type\":\"outcome\"}\n{\"type\":\"stat"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := openLog(t, path)
	if err := l.Append(&Outcome{}); err != nil {
		t.Fatal(err)
	}
	wantKinds(t, path, "outcome", "torn", "log_repair", "outcome")
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("target"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path("target"), path("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path("nowhere"), path("dangling")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path("open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path("open"), 0o620); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"no path":             {Config{}, "no such file"},
		"symbolic link":       {Config{Path: path("link")}, "not a regular file"},
		"dangling link":       {Config{Path: path("dangling")}, "not a regular file"},
		"pipe":                {Config{Path: path("pipe")}, "not a regular file"},
		"pipe without reader": {Config{Path: path("pipe"), AllowPipe: true}, "no such device"},
		"directory":           {Config{Path: dir}, "not a regular file"},
		"device":              {Config{Path: "/dev/zero"}, "not a regular file"},
		"no directory":        {Config{Path: path("a/b")}, "no such file"},
		"others may write":    {Config{Path: path("open")}, "chmod 0600"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Open(test.cfg)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if _, err := os.Stat(path("nowhere")); err == nil {
		t.Error("the link's target was created")
	}
}

func TestOpenTakes(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for name, cfg := range map[string]Config{
		"the null device": {Path: os.DevNull},
		"a pipe":          {Path: pipe, AllowPipe: true},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(l.Append(&Outcome{}), l.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// failing is a sink that takes at most room bytes.
type failing struct {
	bytes.Buffer
	room int
}

func (f *failing) Write(p []byte) (int, error) {
	if f.room >= len(p) {
		f.room -= len(p)
		return f.Buffer.Write(p)
	}
	n, _ := f.Buffer.Write(p[:f.room])
	f.room = 0
	return n, syscall.ENOSPC
}

func (f *failing) Close() error { return nil }
func (f *failing) Sync() error  { return nil }

func TestLogFailsAndRecovers(t *testing.T) {
	tests := map[string]struct {
		room int
		want []string
	}{
		"nothing of it was written": {0, []string{"log_repair", "outcome"}},
		"a part of it was written":  {10, []string{"torn", "log_repair", "outcome"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			disk := &failing{room: test.room}
			l := openLog(t, os.DevNull)
			l.file = disk
			for range 3 {
				if err := l.Append(&Statement{}); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("got %v, want ENOSPC", err)
				}
			}
			if err := l.Healthy(); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("healthy: %v", err)
			}
			disk.room = 1 << 20
			if err := l.Append(&Outcome{}); err != nil {
				t.Fatal(err)
			}
			if err := l.Healthy(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(test.want, kinds(disk.Bytes())); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(disk.String(), `"cause":"write","lost":3`) {
				t.Errorf("the repair does not count what was lost: %s", disk)
			}
		})
	}
}

func TestHealthyRecoversWithoutAnEvent(t *testing.T) {
	disk := &failing{}
	l := openLog(t, os.DevNull)
	l.file = disk
	if l.Append(&Outcome{}) == nil {
		t.Fatal("no error")
	}
	disk.room = 1 << 20
	if err := l.Healthy(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"log_repair"}, kinds(disk.Bytes())); diff != "" {
		t.Error(diff)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path, moved := filepath.Join(dir, "audit.log"), filepath.Join(dir, "audit.log.1")
	l := openLog(t, path)
	if err := l.Append(&Statement{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(&Statement{}); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(&Outcome{}); err != nil {
		t.Fatal(err)
	}
	wantKinds(t, moved, "statement", "statement")
	wantKinds(t, path, "outcome")
}

func TestReopenKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path, moved := filepath.Join(dir, "audit.log"), filepath.Join(dir, "audit.log.1")
	l := openLog(t, path)
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err == nil {
		t.Fatal("no error")
	}
	if err := l.Append(&Outcome{}); err != nil {
		t.Fatal(err)
	}
	wantKinds(t, moved, "outcome")
}

func TestClosed(t *testing.T) {
	l := openLog(t, filepath.Join(t.TempDir(), "audit.log"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(&Outcome{}); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := l.Healthy(); !errors.Is(err, ErrClosed) {
		t.Errorf("healthy: %v", err)
	}
	if err := l.Reopen(); !errors.Is(err, ErrClosed) {
		t.Errorf("reopen: %v", err)
	}
}

func TestConcurrentLinesStayWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openLog(t, path)
	const writers, events = 8, 50
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range events {
				if err := l.Append(&Outcome{Command: strings.Repeat("x", 500)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := kinds(data)
	if len(got) != writers*events {
		t.Errorf("%d lines, want %d", len(got), writers*events)
	}
	for _, kind := range got {
		if kind != "outcome" {
			t.Fatalf("a line is %s", kind)
		}
	}
}

func hotEvents() (*Statement, *Outcome) {
	const session = "0123456789abcdef"
	who := NewWho(Statements{
		Session:  session,
		Identity: &Identity{User: "analyst@example.com", Method: "oidc", Issuer: "https://id.example.com", Subject: "1234", Groups: []string{"analysts", "staff"}},
		Database: "app", ClientAddress: "192.0.2.1", BackendHost: "db.example.com:5432", BackendRole: "v-approle-app-readonly-0123456789-1760000000", LeaseIDHash: "0123456789abcdef",
	})
	statement := &Statement{
		Session: session, Number: 1 << 40, Who: who,
		Protocol: ProtocolExecute, Text: NewText("SELECT abalance FROM pgbench_accounts WHERE aid = 7", 0), Normalized: NewText("SELECT abalance FROM pgbench_accounts WHERE aid = $1", 0),
		Facts:    NewFacts([]string{"SELECT"}, []string{"pgbench_accounts select (abalance,aid)"}, "0123456789abcdef"),
		Decision: DecisionAllow, PolicyRevision: "0123456789abcdef",
	}
	return statement, &Outcome{
		Session: session, Number: 1 << 40, Who: who,
		Status: StatusCompleted, Command: "SELECT 1", Rows: 1, Bytes: 20, Duration: 123456, JudgeDuration: 1234,
	}
}

// TestHotPathDoesNotAllocate: two events cost no allocation but those of their hashes under the race detector. Of these there are two with a
// journal, which whoever drains goes on from; without one there are as many again, of nodes, but for the first leaf's.
func TestHotPathDoesNotAllocate(t *testing.T) {
	for name, test := range map[string]struct {
		cfg    Config
		hashes int
	}{
		"journal": {Config{Path: filepath.Join(t.TempDir(), "audit.log"), Journal: shm}, 2},
		"writes":  {Config{Path: os.DevNull}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := Open(test.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if l.journal != nil {
				l.journal.run()
			}
			statement, outcome := hotEvents()
			const runs = 1000
			stockLines(t, l, statement, runs)
			n := testing.AllocsPerRun(runs, func() {
				if err := errors.Join(l.Append(statement), l.Append(outcome)); err != nil {
					t.Fatal(err)
				}
			})
			if n > float64(test.hashes*hashAllocations) {
				t.Errorf("%v allocations", n)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// stockLines puts lines into the log's pool that have hashed already, of which nothing is collected until the test ends: under the race
// detector a sync.Pool loses every fourth that it is given, and new ones are not what is counted.
func stockLines(t *testing.T, l *Log, event Event, lines int) {
	percent := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(percent) })
	for range lines {
		line := newLine()
		line.set(event, omitted{})
		l.lines.Put(line)
	}
}

// cpuTime is what the process has used: on a machine that does other things too, it says more than the clock.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkEncodeStatement(b *testing.B) {
	statement, _ := hotEvents()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = statement.AppendJSON(buf[:0])
	}
}

func BenchmarkNewText(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewText("SELECT abalance FROM pgbench_accounts WHERE aid = 123456", 0)
	}
}
