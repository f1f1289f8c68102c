package audit

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// dying is a file that takes so many bytes, and calls died when it has.
type dying struct {
	file sink
	room int
	died func()
}

func (d *dying) Write(p []byte) (int, error) {
	if d.room >= len(p) {
		d.room -= len(p)
		return d.file.Write(p)
	}
	n, _ := d.file.Write(p[:d.room])
	d.room = 0
	if d.died != nil {
		d.died()
	}
	return n, syscall.ENOSPC
}

func (d *dying) Sync() error  { return nil }
func (d *dying) Close() error { return d.file.Close() }

// abandon leaves a log as a killed process does. memory is what is in the journal then; nil: what is there now.
func abandon(t *testing.T, l *Log, memory []byte) {
	t.Helper()
	if memory != nil {
		copy(l.journal.memory, memory)
	}
	// A mapping keeps the lock as an open file does.
	if err := errors.Join(l.file.Close(), l.journal.file.Close(), unix.Munmap(l.journal.memory)); err != nil {
		t.Fatal(err)
	}
}

// killed makes a log with events, all of them in the journal, and so many bytes of them in the file: the gateway was killed within the
// write, or behind it.
func killed(t *testing.T, path string, events, arrived int, within bool) {
	t.Helper()
	l := withJournal(t, path)
	l.journal.run()
	var memory []byte
	l.file = &dying{file: l.file, room: arrived, died: func() { memory = bytes.Clone(l.journal.memory) }}
	if n, err := appendNumbered(l, 0, events); n != events {
		t.Fatal(err)
	}
	l.drainOnce(l.journal)
	if memory == nil {
		t.Fatalf("all of it has arrived")
	}
	if !within {
		memory = nil
	}
	abandon(t, l, memory)
}

// wantRecovered opens a log and wants n numbered events in its files, each once, and all proved.
func wantRecovered(t *testing.T, cfg Config, n int, older ...string) {
	t.Helper()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range append(older, cfg.Path) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	if diff := cmp.Diff(numbers(n), numbered(t, all)); diff != "" {
		t.Errorf("%s\n%s", diff, all)
	}
	if r := verifyFiles(t, nil, cfg.Path); len(r.Findings) > 0 || r.Unsealed > 0 || r.Torn.Line > 0 {
		t.Errorf("%+v", r)
	}
	for _, dir := range commonPlaces() {
		if _, err := os.Lstat(journalName(dir, cfg.Path)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the journal is still there: %v", err)
		}
	}
}

// TestRecovered kills a gateway at every byte of a write.
func TestRecovered(t *testing.T) {
	for _, within := range []bool{true, false} {
		for arrived := 0; arrived < 560; arrived += 9 {
			path := filepath.Join(t.TempDir(), "audit.log")
			killed(t, path, 4, arrived, within)
			wantRecovered(t, Config{Path: path, Journal: shm}, 4)
			wantKinds(t, path, "outcome", "outcome", "outcome", "outcome", "log_repair")
			if t.Failed() {
				t.Fatalf("killed at byte %d, within the write: %v", arrived, within)
			}
		}
	}
}

// TestRecoveredElsewhere: the configuration has changed since the gateway was killed, or the file was moved.
func TestRecoveredElsewhere(t *testing.T) {
	const events = 4
	for name, test := range map[string]struct {
		cfg    Config
		change func(path string) (older string, err error)
	}{
		"no journal":   {Config{}, nil},
		"strict":       {Config{Strict: true}, nil},
		"anywhere":     {Config{Journal: JournalAnywhere}, nil},
		"rotated away": {Config{Journal: shm}, func(path string) (string, error) { return path + ".1", os.Rename(path, path+".1") }},
		"and made again": {Config{Journal: shm}, func(path string) (string, error) {
			return path + ".1", errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, nil, 0o600))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, arrived := range []int{0, 200, 300} {
				test.cfg.Path = filepath.Join(t.TempDir(), "audit.log")
				killed(t, test.cfg.Path, events, arrived, true)
				older := ""
				if test.change != nil {
					var err error
					if older, err = test.change(test.cfg.Path); err != nil {
						t.Fatal(err)
					}
				}
				wantWhole(t, test.cfg, events, older)
			}
		})
	}
}

// wantWhole is wantRecovered where a torn line may stay in an older file.
func wantWhole(t *testing.T, cfg Config, events int, older string) {
	t.Helper()
	if older == "" {
		wantRecovered(t, cfg, events)
		return
	}
	data, err := os.ReadFile(older)
	if err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(t.TempDir(), "whole")
	if err := os.WriteFile(whole, data[:bytes.LastIndexByte(data, '\n')+1], 0o600); err != nil {
		t.Fatal(err)
	}
	wantRecovered(t, cfg, events, whole)
}

// TestRecoveredWithoutItsFile: nobody knows what has arrived there. All of it is written, and a warning says that it may be there twice.
func TestRecoveredWithoutItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	killed(t, path, 4, 300, true)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	wantRecovered(t, Config{Path: path}, 4)
	wantKinds(t, path, "outcome", "outcome", "outcome", "outcome", "log_repair")
}

// TestRecoveryFails: what is in the journal stays there until all of it can be written.
func TestRecoveryFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	killed(t, path, 4, 300, true)
	for _, room := range []int{0, 30, 60, 90} { // together less than is left
		failed, err := Open(Config{Path: path + ".other"}) // another log, to which its file is given
		if err != nil {
			t.Fatal(err)
		}
		other := failed.file
		failed.path = path
		file, info, err := failed.openFile()
		if err != nil {
			t.Fatal(err)
		}
		state, err := stateOf(file, info)
		if err != nil {
			t.Fatal(err)
		}
		failed.use(file, info)
		failed.seal.resume(state)
		failed.file = &dying{file: file, room: room}
		if _, err := failed.recover(shm); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("room %d: %v", room, err)
		}
		if err := errors.Join(other.Close(), file.Close()); err != nil {
			t.Fatal(err)
		}
	}
	wantRecovered(t, Config{Path: path}, 4)
}

// TestUnfinishedJournal: a gateway was killed while it made one.
func TestUnfinishedJournal(t *testing.T) {
	for name, size := range map[string]int{"empty": 0, "short": 100, "without its head": headerSize + journalSize} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			if err := os.WriteFile(journalName(shm, path), make([]byte, size), 0o600); err != nil {
				t.Fatal(err)
			}
			wantRecovered(t, Config{Path: path, Journal: shm}, 0)
		})
	}
}

// TestRecoverySaysWhatWasRecovered in the log of the gateway and in the audit log.
func TestRecoverySaysWhatWasRecovered(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	killed(t, path, 4, 300, true)
	wantRecovered(t, Config{Path: path}, 4)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"cause":"open","lost":0,"unsealed":4}`) {
		t.Errorf("%s", data)
	}
}

// TestJournalRemoved: what the next gateway would not find takes nothing more.
func TestJournalRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := withJournal(t, path)
	l.journal.run()
	if n, err := appendNumbered(l, 0, 1); n != 1 {
		t.Fatal(err)
	}
	if err := os.Remove(l.journal.file.Name()); err != nil {
		t.Fatal(err)
	}
	l.tick(time.Now())
	if n, err := appendNumbered(l, 1, 1); n != 1 {
		t.Fatal(err)
	}
	abandon(t, l, nil)
	wantRecovered(t, Config{Path: path, Journal: shm}, 2)
}

// TestJournalIsLeftLate: of a process that is killed the kernel takes the lock on the log before the one on its journal.
func TestJournalIsLeftLate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	killed(t, path, 4, 300, true)
	dead, err := os.Open(journalName(shm, path))
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := unix.Flock(int(dead.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	released := make(chan error, 1)
	go func() {
		for unix.Flock(int(log.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil { // nobody opens it yet
			if err := unix.Flock(int(log.Fd()), unix.LOCK_UN); err != nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		released <- dead.Close()
	}()
	l, err := Open(Config{Path: path})
	if err := errors.Join(err, <-released); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantKinds(t, path, "outcome", "outcome", "outcome", "outcome", "log_repair")
}

// TestJournalOfOthers: where a journal may be that cannot be read, the log's last events may be in it.
func TestJournalOfOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	name := journalName(shm, path)
	if err := errors.Join(os.WriteFile(name, nil, 0o600), os.Chown(name, 65534, 65534)); err != nil { // this test needs root
		t.Fatal(err)
	}
	defer os.Remove(name)
	var said bytes.Buffer
	l, err := Open(Config{Path: path, Journal: JournalAnywhere, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "level=WARN") || !strings.Contains(said.String(), name) {
		t.Errorf("it says %q", &said)
	}
}

// TestJournalWasCut: a journal that somebody has made shorter is not thrown away as one that was never finished.
func TestJournalWasCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	killed(t, path, 4, 300, true)
	name := journalName(shm, path)
	defer os.Remove(name)
	if err := os.Truncate(name, journalSize); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: path, Journal: shm}); !errors.Is(err, errForeignJournal) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}

// TestJournalHalfMade: a gateway was killed while it wrote what a journal is known by.
func TestJournalHalfMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	half := make([]byte, headerSize+journalSize)
	copy(half[8:], journalMagic[8:])
	if err := os.WriteFile(journalName(shm, path), half, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRecovered(t, Config{Path: path, Journal: shm}, 0)
}

// asWritten is an event whose line is given.
type asWritten string

func (e asWritten) AppendJSON(dst []byte) []byte { return append(dst, e...) }

// TestRecoveredOfAnEarlierSchema: what a gateway of before has left comes into the file as it is.
func TestRecoveredOfAnEarlierSchema(t *testing.T) {
	const earlier = `{"time":"2026-03-02T09:14:07.120431Z","type":"outcome","session":"s","id":"s.1","status":"completed","rows":0,"bytes":0,"duration_us":1}`
	path := filepath.Join(t.TempDir(), "audit.log")
	l := withJournal(t, path)
	l.journal.run()
	for range 3 {
		if err := l.Append(asWritten(earlier)); err != nil {
			t.Fatal(err)
		}
	}
	abandon(t, l, nil)
	l = withJournal(t, path)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), earlier+"\n"); n != 3 {
		t.Errorf("%d are in %s", n, data)
	}
	if r := verifyFiles(t, nil, path); len(r.Findings) > 0 || r.Unsealed > 0 || r.Torn.Line > 0 {
		t.Errorf("%+v", r)
	}
}

// TestDamagedJournal: what does not end as a line does was not accepted by a gateway, and nobody knows what it is.
func TestDamagedJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := withJournal(t, path)
	l.journal.run()
	appendEvents(t, l, 3)
	l.journal.ring[l.journal.head-1] = ' '
	abandon(t, l, nil)
	if l, err := Open(Config{Path: path, Journal: shm}); !errors.Is(err, errDamaged) {
		if err == nil {
			err = l.Close()
		}
		t.Errorf("it was opened (%v)", err)
	}
}
