package tail

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// all reads until there is nothing more, and returns the lines.
func (f *follower) all(t *testing.T) (lines []string) {
	t.Helper()
	for {
		b, err := f.read()
		if err != nil {
			t.Fatal(err)
		}
		if len(b.records) == 0 {
			return lines
		}
		for _, r := range b.records {
			lines = append(lines, string(r.Line))
		}
	}
}

func follow(t *testing.T, path string, from place) *follower {
	t.Helper()
	f := newFollower(path, from, slog.New(slog.DiscardHandler))
	t.Cleanup(f.close)
	return f
}

// want wants the follower to read exactly these lines.
func (f *follower) want(t *testing.T, what, text string) {
	t.Helper()
	if diff := cmp.Diff(text, strings.Join(append(f.all(t), ""), "\n")); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

// TestFollowsEveryRotation: whatever the old files are called, and whether anybody has followed meanwhile.
func TestFollowsEveryRotation(t *testing.T) {
	for name, stay := range map[string]bool{"all along": true, "from a cursor": false} {
		t.Run(name, func(t *testing.T) {
			tr := newTrail(t)
			f := follow(t, tr.path, place{})
			read := 0
			step := func(what string) {
				t.Helper()
				if !stay {
					f.close()
					f = follow(t, tr.path, f.at)
				}
				whole := tr.whole()
				f.want(t, what, whole[read:])
				read = len(whole)
			}
			step("the first line")
			tr.append(3)
			step("events")
			tr.append(3)
			tr.rotate(false)
			step("logrotate")
			tr.rotate(false)
			tr.rotate(false)
			tr.append(1)
			tr.rotate(true)
			step("several at once, packed")
			tr.append(2)
			tr.must(os.Rename(tr.path, tr.path+"-20260302"))
			tr.files = append(tr.files, tr.path+"-20260302")
			step("a file that was moved away")
			tr.append(2)
			step("what is written to it then")
			tr.must(tr.log.Reopen())
			step("dateext")
			tr.append(1)
			tr.close()
			tr.open()
			tr.append(1)
			step("a restart")
			tr.files = append(tr.files, tr.path+".20260302T091407Z.gz")
			tr.must(os.Rename(tr.path, tr.path+".20260302T091407Z"))
			tr.must(tr.log.Reopen())
			tr.pack(tr.path + ".20260302T091407Z")
			tr.must(os.WriteFile(tr.path+".20260302T091408Z.gz.part", []byte("half"), 0o600))
			tr.append(1)
			step("by itself")
			if f.lost > 0 {
				t.Errorf("%d events are lost", f.lost)
			}
		})
	}
}

// readerFunc is an io.Reader.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestWrittenMeanwhile: after the end of a file was seen more is written to it, and it is rotated, before anybody looks for the next one.
func TestWrittenMeanwhile(t *testing.T) {
	tr := newTrail(t)
	tr.append(3)
	f := follow(t, tr.path, place{})
	f.want(t, "before", tr.whole())
	file, rotated := f.source.file, false
	f.source.lines.from = readerFunc(func(p []byte) (int, error) {
		n, err := file.Read(p)
		if errors.Is(err, io.EOF) && !rotated {
			rotated = true
			tr.append(2)
			tr.rotate(false)
			tr.append(1)
		}
		return n, err
	})
	before := f.at.offset
	got := strings.Join(append(f.all(t), ""), "\n")
	if diff := cmp.Diff(tr.whole()[before:], got); diff != "" {
		t.Error(diff)
	}
	if f.lost > 0 {
		t.Errorf("%d events are lost", f.lost)
	}
}

// TestRemovedAndWrittenAgain: the gateway writes a file again that was removed. Nothing comes twice.
func TestRemovedAndWrittenAgain(t *testing.T) {
	tr := newTrail(t)
	tr.append(3)
	f := follow(t, tr.path, place{})
	f.want(t, "before", tr.whole())
	content, err := os.ReadFile(tr.path)
	tr.must(err)
	tr.must(os.Remove(tr.path))
	f.want(t, "removed", "")
	tr.must(os.WriteFile(tr.path, content, 0o600)) // as Log does it
	file, err := os.OpenFile(tr.path, os.O_APPEND|os.O_WRONLY, 0)
	tr.must(err)
	_, err = file.WriteString("{\"new\":1}\n")
	tr.must(err)
	tr.must(file.Close())
	f.want(t, "written again", "{\"new\":1}\n")
	if f.lost > 0 {
		t.Errorf("%d events are lost", f.lost)
	}
}

// TestRetired: files that were removed before they were read are counted, and what follows them is read.
func TestRetired(t *testing.T) {
	tr := newTrail(t)
	tr.append(10)
	f := follow(t, tr.path, place{})
	f.want(t, "before", tr.whole())
	f.close()
	tr.append(7)
	tr.rotate(false)
	tr.append(5)
	tr.rotate(true)
	tr.append(2)
	for _, name := range tr.files {
		tr.must(os.Remove(name))
	}
	tr.files = nil
	f = follow(t, tr.path, f.at)
	f.want(t, "after", tr.whole())
	if f.lost != 12 {
		t.Errorf("%d events are lost, want 12", f.lost)
	}
}

// TestRetiredAtItsEnd: a file that was read to its end may go.
func TestRetiredAtItsEnd(t *testing.T) {
	tr := newTrail(t)
	tr.append(10)
	tr.rotate(false)
	f := follow(t, tr.path, place{})
	f.all(t)
	tr.append(2)
	f.all(t)
	at := f.at
	f.close()
	tr.rotate(false)
	for _, name := range tr.files {
		tr.must(os.Remove(name))
	}
	tr.files = nil
	tr.append(1)
	f = follow(t, tr.path, at)
	// The checkpoint at the end of the file is gone with it; every event was read.
	f.want(t, "after", tr.whole())
	if f.lost != 0 {
		t.Errorf("%d events are lost", f.lost)
	}
}

// TestCorrupt: a packed file that is not whole ends where it can be read. What is missing is counted.
func TestCorrupt(t *testing.T) {
	tr := newTrail(t)
	tr.append(2000)
	tr.rotate(true)
	tr.append(3)
	info, err := os.Stat(tr.files[0])
	tr.must(err)
	tr.must(os.Truncate(tr.files[0], info.Size()/2))
	f := follow(t, tr.path, place{})
	lines := f.all(t)
	events := 0
	for _, line := range lines {
		if proof.KindOf([]byte(line)) == proof.KindLeaf {
			events++
		}
	}
	if events < 100 || f.lost == 0 || int64(events)+f.lost != 2003 {
		t.Errorf("%d events, %d lost", events, f.lost)
	}
}

// TestTorn: what a killed gateway has left of a line is no line before it is whole, and never one when the next file has begun.
func TestTorn(t *testing.T) {
	tr := newTrail(t)
	tr.append(2)
	tr.close()
	file, err := os.OpenFile(tr.path, os.O_APPEND|os.O_WRONLY, 0)
	tr.must(err)
	_, err = file.WriteString(`{"time":"2026-03-02T`)
	tr.must(err)
	tr.must(file.Close())
	f := follow(t, tr.path, place{})
	whole := tr.whole()
	f.want(t, "a torn line", whole[:strings.LastIndexByte(whole, '\n')+1])
	tr.open() // completes it, and says so
	f.want(t, "completed", tr.whole()[strings.LastIndexByte(whole, '\n')+1:])
	if f.at.tree.Size() != 4 || f.lost > 0 {
		t.Errorf("%d events, %d lost", f.at.tree.Size(), f.lost)
	}
}

// TestCut: a machine has crashed and the file has lost its end, which was sent already; what is written in its place is sent.
func TestCut(t *testing.T) {
	tr := newTrail(t)
	tr.append(10)
	f := follow(t, tr.path, place{})
	before := f.all(t)
	f.close()
	at := f.at
	tr.close()
	cut := strings.Join(before[:6], "\n") + "\n"
	tr.must(os.Truncate(tr.path, int64(len(cut))))
	tr.open() // a repair and more are longer than what was lost
	tr.append(30)
	f = follow(t, tr.path, at)
	f.want(t, "after", tr.whole())
}

// TestAnotherLog: the log was moved away and begun anew, so that nothing proves that one follows the other.
func TestAnotherLog(t *testing.T) {
	tr := newTrail(t)
	tr.append(3)
	f := follow(t, tr.path, place{})
	f.want(t, "the first", tr.whole())
	tr.close()
	tr.must(os.Rename(tr.path, filepath.Join(tr.dir, "kept")))
	tr.open()
	tr.append(1)
	f.want(t, "the last checkpoint of the first, and the second", strings.TrimPrefix(string(tr.content(filepath.Join(tr.dir, "kept"))), strings.Join(before(tr, 4), "\n")+"\n")+tr.whole())
	if f.lost > 0 {
		t.Errorf("%d events are lost", f.lost)
	}
}

// before is the first lines of the file that was kept.
func before(tr *trail, n int) []string {
	return strings.Split(string(tr.content(filepath.Join(tr.dir, "kept"))), "\n")[:n]
}

// TestClockSetBack: the next file says that it was begun before this one.
func TestClockSetBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	var tree proof.Tree
	first := string(proof.AppendStart(nil, noon, &tree)) + "\n1\n2\n"
	if err := os.WriteFile(path, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	f := follow(t, path, place{})
	f.want(t, "the first", first)
	tree.Add(proof.LeafHash([]byte("1")))
	tree.Add(proof.LeafHash([]byte("2")))
	second := string(proof.AppendStart(nil, noon.Add(-time.Hour), &tree)) + "\n3\n"
	if err := errors.Join(os.Rename(path, path+".1"), os.WriteFile(path, []byte(second), 0o600)); err != nil {
		t.Fatal(err)
	}
	f.want(t, "the second", second)
}

// TestBeingPacked: while a file is packed it is there twice, and one of them is not complete.
func TestBeingPacked(t *testing.T) {
	tr := newTrail(t)
	tr.append(2000)
	tr.rotate(false)
	tr.append(1)
	content := tr.content(tr.files[0])
	tr.pack(tr.files[0])
	info, err := os.Stat(tr.files[0] + packed)
	tr.must(err)
	tr.must(errors.Join(os.Truncate(tr.files[0]+packed, info.Size()/2), os.WriteFile(tr.files[0], content, 0o600)))
	f := follow(t, tr.path, place{})
	f.want(t, "all", tr.whole())
}

// TestOthers: files that are none of the log's are not read.
func TestOthers(t *testing.T) {
	tr := newTrail(t)
	tr.append(1)
	for _, name := range []string{"audit.log.part", "audit.logs", "other", "audit.log.1.gz", "audit.log.texts", "audit.log.1.texts", "audit.log.texts.1", "audit.log.texts-20260302"} {
		tr.must(os.WriteFile(filepath.Join(tr.dir, name), []byte("{}\n{}\n"), 0o600))
	}
	later := `{"time":"2026-03-02T09:14:07.120431Z","type":"tree","session":"","schema":"2.0","size":7}`
	tr.must(os.WriteFile(tr.path+".0", []byte(later+"\n{}\n"), 0o600))
	tr.must(os.Mkdir(tr.path+".d", 0o700))
	tr.must(os.Symlink(tr.path, tr.path+".link"))
	follow(t, tr.path, place{}).want(t, "the log", tr.whole())
}

// TestBeforeThereIsALog: a follower waits for the first file.
func TestBeforeThereIsALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	f := follow(t, path, place{})
	f.want(t, "nothing", "")
	if err := os.WriteFile(path, []byte("{\"a\":1}\n{\"b\""), 0o600); err != nil {
		t.Fatal(err)
	}
	f.want(t, "a log from before there were trees", "{\"a\":1}\n")
}

// TestCopytruncate: what was cut off is gone; what is written then is read.
func TestCopytruncate(t *testing.T) {
	tr := newTrail(t)
	tr.append(5)
	f := follow(t, tr.path, place{})
	f.all(t)
	tr.must(os.Truncate(tr.path, 0))
	f.want(t, "truncated", "")
	tr.append(1)
	f.want(t, "after", tr.whole())
	_ = tr.log.Seal()
}

// TestIDs: equal lines in different places, and different lines in the same place of two logs, are told apart.
func TestIDs(t *testing.T) {
	ids := make(map[string]bool)
	for _, r := range []Record{
		{Leaf: 1, Hash: proof.LeafHash([]byte("a"))},
		{Leaf: 2, Hash: proof.LeafHash([]byte("a"))},
		{Leaf: 1, Hash: proof.LeafHash([]byte("b"))},
		{Leaf: 1, Hash: proof.LeafHash([]byte("a")), Kind: proof.KindStart},
		{Leaf: 1, Hash: proof.LeafHash([]byte("a")), Kind: proof.KindCheckpoint},
	} {
		ids[r.ID()] = true
	}
	if len(ids) != 5 {
		t.Errorf("%v", ids)
	}
}

// TestCursor: a place is what it was after it was kept; what is not a cursor is said to be none; a directory has one user.
func TestCursor(t *testing.T) {
	d := openDirectory(t)
	p := place{first: proof.LeafHash([]byte("a")), began: time.Date(2026, 3, 2, 9, 14, 7, 120431000, time.UTC), offset: 12, last: 5, hash: proof.LeafHash([]byte("b"))}
	for i := range 11 {
		p.tree.Add(proof.LeafHash([]byte{byte(i)}))
	}
	if err := d.store("x", &p); err != nil {
		t.Fatal(err)
	}
	got, err := d.load("x")
	if err != nil || got.first != p.first || !got.began.Equal(p.began) || got.offset != 12 || got.last != 5 || got.hash != p.hash || got.tree.Root() != p.tree.Root() {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := d.load("y"); err != nil || got.first != (proof.Hash{}) {
		t.Errorf("none: %+v, %v", got, err)
	}
	for name, text := range map[string]string{
		"empty": "", "no JSON": "x", "a tree that is none": `{"leaf":3}`, "a negative offset": `{"offset":-1}`, "a long hash": `{"file":"` + strings.Repeat("A", 48) + `"}`,
		"a line before the file": `{"offset":1,"length":2}`,
	} {
		if err := os.WriteFile(d.file("x"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := d.load("x"); err == nil || got.offset != 0 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := OpenDirectory(d.path); err == nil || !strings.Contains(err.Error(), "used by another process") {
		t.Errorf("twice: %v", err)
	}
}

// TestDirectoryOfOthers: whoever can write a cursor says what a receiver never gets.
func TestDirectoryOfOthers(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"may be written by others":   func(path string) error { return os.Chmod(path, 0o733) }, // #nosec G302 -- that is what is refused
		"belongs to another account": func(path string) error { return os.Chown(path, 65534, 65534) },
	} {
		path := filepath.Join(t.TempDir(), "cursors")
		if err := errors.Join(os.Mkdir(path, 0o700), change(path)); err != nil { // this test needs root
			t.Fatal(err)
		}
		if _, err := OpenDirectory(path); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %q", err, name)
		}
	}
}
