package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
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

// running opens a log that has a journal and runs it, on a disk of the test's if there is one; end stops that.
func running(t *testing.T, path string, disk sink) (l *Log, end func()) {
	t.Helper()
	l = withJournal(t, path)
	if disk != nil {
		if err := l.file.Close(); err != nil {
			t.Fatal(err)
		}
		l.file, l.size = disk, 0
	}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait() // until then nothing is drained
	return l, func() {
		stop()
		group.Wait()
	}
}

// numbered are the sessions of the outcomes in a log, which number them in these tests.
func numbered(t *testing.T, data []byte) []string {
	t.Helper()
	var got []string
	for line := range bytes.Lines(data) {
		if _, rest, ok := bytes.Cut(line, []byte(`"type":"outcome","session":"`)); ok {
			session, _, _ := bytes.Cut(rest, []byte(`"`))
			got = append(got, string(session))
		}
	}
	return got
}

func numbers(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

// appendNumbered appends outcomes until one is refused, at most n, and returns how many were accepted.
func appendNumbered(l *Log, from, n int) (accepted int, err error) {
	for i := range n {
		if err := l.Append(&Outcome{Session: fmt.Sprint(from + i)}); err != nil {
			return i, err
		}
	}
	return n, nil
}

// TestDrained: what is accepted is in the file within two batches' time, in its order, by few writes.
func TestDrained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	synctest.Test(t, func(t *testing.T) {
		disk := &counting{}
		l, end := running(t, path, disk)
		for i := range 30 {
			if _, err := appendNumbered(l, 10*i, 10); err != nil {
				t.Fatal(err)
			}
			time.Sleep(batchTime / 10)
		}
		time.Sleep(2 * batchTime)
		synctest.Wait()
		if diff := cmp.Diff(numbers(300), numbered(t, disk.Bytes())); diff != "" {
			t.Error(diff)
		}
		if disk.writes > 5 {
			t.Errorf("%d writes", disk.writes)
		}
		end()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// counting counts writes.
type counting struct {
	bytes.Buffer
	writes int
}

func (c *counting) Write(p []byte) (int, error) {
	c.writes++
	return c.Buffer.Write(p)
}

func (c *counting) Close() error { return nil }
func (c *counting) Sync() error  { return nil }

// TestDrainHangs: while a write hangs events are accepted for as long as one waits for a write, then refused at once. All that were
// accepted are written when it goes on.
func TestDrainHangs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	synctest.Test(t, func(t *testing.T) {
		disk := &hanging{}
		l, end := running(t, path, disk)
		release := disk.hold()
		if _, err := appendNumbered(l, 0, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(batchTime + maxWait - time.Millisecond)
		if _, err := appendNumbered(l, 1, 9); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Millisecond)
		for range 3 {
			began := time.Now()
			if _, err := appendNumbered(l, 10, 1); !errors.Is(err, ErrSlow) || time.Since(began) != 0 {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		}
		if err := l.Healthy(); !errors.Is(err, ErrSlow) {
			t.Errorf("healthy: %v", err)
		}
		release()
		synctest.Wait()
		if err := l.Healthy(); err != nil {
			t.Error(err)
		}
		if _, err := appendNumbered(l, 10, 5); err != nil {
			t.Error(err)
		}
		end()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(numbers(15), numbered(t, disk.buffer.Bytes())); diff != "" {
			t.Error(diff)
		}
		if got := kinds(disk.buffer.Bytes()); len(got) != 16 || got[10] != "log_repair" || !strings.Contains(disk.buffer.String(), `"cause":"wait","lost":3`) {
			t.Errorf("the repair does not say what was refused: %s", &disk.buffer)
		}
	})
}

// TestDrainIsHeldUp: a write of somebody else's that hangs is the same to those that come after it.
func TestDrainIsHeldUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	synctest.Test(t, func(t *testing.T) {
		disk := &hanging{}
		l, end := running(t, path, disk)
		release := disk.hold()
		var group sync.WaitGroup
		group.Go(func() {
			if err := l.Append(&Outcome{Session: "0", Command: strings.Repeat("x", 1000), SQLSTATE: "x"}); err != nil {
				t.Error(err)
			}
			if err := l.Append(&Statement{Text: NewText(strings.Repeat("x", 2*maxJournalLine), 1<<20)}); err != nil { // no journal takes it
				t.Error(err)
			}
		})
		synctest.Wait()
		time.Sleep(batchTime + maxWait + time.Millisecond)
		if _, err := appendNumbered(l, 1, 1); !errors.Is(err, ErrSlow) {
			t.Errorf("got %v", err)
		}
		release()
		group.Wait()
		end()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"outcome", "log_repair", "statement"}, kinds(disk.buffer.Bytes())); diff != "" {
			t.Error(diff)
		}
	})
}

// TestDrainEndsWithAHangingDisk: Run ends, and Close says that not everything was written. It stays in the journal.
func TestDrainEndsWithAHangingDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	synctest.Test(t, func(t *testing.T) {
		disk := &hanging{}
		l, end := running(t, path, disk)
		release := disk.hold()
		if _, err := appendNumbered(l, 0, 3); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * batchTime)
		began := time.Now()
		end()
		if err := l.Close(); !errors.Is(err, ErrSlow) || time.Since(began) > 2*maxWait {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		release()
		synctest.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(numbers(3), numbered(t, disk.buffer.Bytes())); diff != "" {
			t.Error(diff)
		}
	})
}

// TestDrainFails fills the disk at every byte. What was accepted is written when there is room again, the rest of a torn line first;
// what was refused is counted; all is proved.
func TestDrainFails(t *testing.T) {
	key, keys := newKey(t)
	for room := 0; room < 700; room += 9 {
		path := filepath.Join(t.TempDir(), "audit.log")
		l, err := Open(Config{Path: path, Key: key, Journal: shm})
		if err != nil {
			t.Fatal(err)
		}
		disk := &failing{room: 1 << 20}
		if err := l.file.Close(); err != nil {
			t.Fatal(err)
		}
		l.file, l.size = disk, 0
		if err := l.begin(); err != nil {
			t.Fatal(err)
		}
		disk.room = room
		l.journal.run()
		const accepted = 5
		if n, err := appendNumbered(l, 0, accepted); n != accepted {
			t.Fatal(err)
		}
		l.drainOnce(l.journal)
		for range 3 {
			if _, err := appendNumbered(l, accepted, 1); !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("room %d: %v", room, err)
			}
		}
		disk.room = 1 << 20
		if err := l.Healthy(); err != nil {
			t.Fatal(err)
		}
		if _, err := appendNumbered(l, accepted, 2); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(numbers(accepted+2), numbered(t, disk.Bytes())); diff != "" {
			t.Fatalf("room %d: %s", room, diff)
		}
		if got := kinds(disk.Bytes()); len(got) != accepted+3 || got[accepted] != "log_repair" || !strings.Contains(disk.String(), `"cause":"write","lost":3`) {
			t.Fatalf("room %d: the repair does not say what was refused: %s", room, disk)
		}
		v := proof.NewVerifier(keys)
		if err := v.File("log", bytes.NewReader(disk.Bytes())); err != nil {
			t.Fatal(err)
		}
		if r := v.End(); len(r.Findings) > 0 || r.Unsealed > 0 || r.Torn.Line > 0 {
			t.Fatalf("room %d: %+v", room, r)
		}
	}
}

// TestDrainRecoversByItself: nobody has to ask for it.
func TestDrainRecoversByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	synctest.Test(t, func(t *testing.T) {
		disk := &failing{room: 10}
		l, end := running(t, path, disk)
		if _, err := appendNumbered(l, 0, 4); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * batchTime)
		synctest.Wait()
		l.gate.enter()
		disk.room = 1 << 20
		l.gate.leave()
		time.Sleep(sealInterval)
		synctest.Wait()
		if diff := cmp.Diff(numbers(4), numbered(t, disk.Bytes())); diff != "" {
			t.Error(diff)
		}
		if !l.journal.add([]byte("\n")) {
			t.Error("the journal does not accept again")
		}
		end()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestJournalIsFull: what it has no room for waits for the file, and keeps its place.
func TestJournalIsFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := withJournal(t, path)
	l.journal.run()
	const events = 30
	padding := NewText(strings.Repeat("x", maxJournalLine-1000), 1<<20)
	for n := range events {
		if err := errors.Join(l.Append(&Statement{Text: padding}), l.Append(&Outcome{Session: fmt.Sprint(n)})); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(events), numbered(t, data)); diff != "" {
		t.Error(diff)
	}
	wantProved(t, nil, 2*events, path)
}

// TestReopenWithATornLine: the line that a full disk has torn is whole in the next file.
func TestReopenWithATornLine(t *testing.T) {
	dir := t.TempDir()
	path, moved := filepath.Join(dir, "audit.log"), filepath.Join(dir, "audit.log.1")
	l := withJournal(t, path)
	l.journal.run()
	file := l.file
	l.file = &dying{file: file, room: 200}
	if _, err := appendNumbered(l, 0, 4); err != nil {
		t.Fatal(err)
	}
	l.drainOnce(l.journal)
	l.file = file
	l.gone = true // the old one takes nothing any more
	if err := errors.Join(os.Rename(path, moved), l.Reopen()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantKinds(t, moved, "outcome", "torn")
	wantKinds(t, path, "outcome", "outcome", "outcome", "log_repair")
	if r := verifyFiles(t, nil, moved, path); len(r.Findings) > 0 || r.Unsealed > 0 || r.Events != 5 {
		t.Errorf("%+v", r)
	}
}

// TestRemovedWithAJournal: a log that is written again has everything that was accepted.
func TestRemovedWithAJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := withJournal(t, path)
	l.journal.run()
	if _, err := appendNumbered(l, 0, 3); err != nil {
		t.Fatal(err)
	}
	l.drainOnce(l.journal)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := appendNumbered(l, 3, 3); err != nil {
		t.Fatal(err)
	}
	l.tick(time.Now())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(6), numbered(t, data)); diff != "" {
		t.Error(diff)
	}
	wantProved(t, nil, 7, path)
}

// TestRotationWithAJournal: events that come all the time are in one file or the next, in their order.
func TestRotationWithAJournal(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(Config{Path: filepath.Join(dir, "audit.log"), Journal: shm, Rotation: Rotation{Size: 1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	const rounds, events = 5, 200
	for i := range rounds {
		var feed sync.WaitGroup
		feed.Go(func() {
			if _, err := appendNumbered(l, i*events, events); err != nil {
				t.Error(err)
			}
		})
		l.tick(time.Now().Add(time.Duration(i) * time.Hour))
		feed.Wait()
	}
	stop()
	group.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	files := names(t, dir)
	files = append(files[1:], files[0])
	var all []byte
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	if diff := cmp.Diff(numbers(rounds*events), numbered(t, all)); diff != "" {
		t.Error(diff)
	}
	if r := verifyAll(t, nil, dir, files...); len(r.Findings) > 0 || r.Unsealed > 0 || len(files) < 2 {
		t.Errorf("%d files: %+v", len(files), r)
	}
}
