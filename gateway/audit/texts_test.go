package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// openTexts opens a log whose lines have ten bytes of a text, with longer ones beside it.
func openTexts(t *testing.T, path string, rotation Rotation) *Log {
	t.Helper()
	l, err := Open(Config{Path: path, MaxTextBytes: 10, MaxWholeBytes: 100, Rotation: rotation})
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

func say(t *testing.T, l *Log, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := l.Append(&Statement{Session: "s", Text: l.Text(text)}); err != nil {
			t.Fatal(err)
		}
	}
}

// said are the texts in the lines of a file: "…" for one of which there is only the digest, behind one that is whole in another file "+".
func said(t *testing.T, path string) (texts []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var e struct {
			Type, Text string
			Digest     string `json:"text_digest"`
			Truncated  bool   `json:"text_truncated"`
			Aside      bool   `json:"text_aside"`
		}
		if json.Unmarshal([]byte(line), &e) != nil {
			texts = append(texts, "torn")
			continue
		}
		if e.Digest == "" {
			continue
		}
		if e.Text == "" {
			e.Text = "…"
		}
		if e.Aside {
			e.Text += "+"
		}
		if e.Truncated && !e.Aside {
			e.Text += "-"
		}
		texts = append(texts, e.Text)
	}
	return texts
}

func wantSaid(t *testing.T, path string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, said(t, path)); diff != "" {
		t.Errorf("%s: %s", filepath.Base(path), diff)
	}
}

// TestTextsOnce: a text is in a file once, and in every file.
func TestTextsOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openTexts(t, path, Rotation{})
	say(t, l, "SELECT 1", "SELECT 2", "SELECT 1", "SELECT 2")
	wantSaid(t, path, "SELECT 1", "SELECT 2", "…", "…")
	if err := errors.Join(os.Rename(path, path+".1"), l.Reopen()); err != nil {
		t.Fatal(err)
	}
	say(t, l, "SELECT 1", "SELECT 1")
	wantSaid(t, path, "SELECT 1", "…")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	say(t, openTexts(t, path, Rotation{}), "SELECT 1") // whoever has opened it does not know what is in it
	wantSaid(t, path, "SELECT 1", "…", "SELECT 1")
}

// TestTextsAfterAFailure: what was not written whole is not taken for known.
func TestTextsAfterAFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openTexts(t, path, Rotation{})
	say(t, l, "SELECT 1")
	kept := l.file
	for name, fails := range map[string]sink{"nothing": full{kept, 0}, "half a line": full{kept, 40}} {
		l.file = fails
		if err := l.Append(&Statement{Session: "s", Text: l.Text("SELECT 2")}); err == nil {
			t.Errorf("%s was written, and no error", name)
		}
		l.file = kept
	}
	say(t, l, "SELECT 2", "SELECT 1", "SELECT 2")
	if got := said(t, path); got[len(got)-3] != "SELECT 2" || got[len(got)-2] != "SELECT 1" || got[len(got)-1] != "…" {
		t.Errorf("%q", got)
	}
}

// full is a file that takes so many bytes of a write.
type full struct {
	sink
	takes int
}

func (f full) Write(p []byte) (int, error) {
	n, err := f.sink.Write(p[:min(f.takes, len(p))])
	return n, errors.Join(err, syscall.ENOSPC)
}

// TestTextsShareAPlace: two texts with one place do not hide each other.
func TestTextsShareAPlace(t *testing.T) {
	l := &Log{bounds: textBounds{line: 100}}
	first := l.Text("SELECT 0")
	var second Text
	for i := 1; ; i++ {
		if second = l.Text(fmt.Sprintf("SELECT %d", i)); second.digest.place() == first.digest.place() {
			break
		}
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	l = openTexts(t, path, Rotation{})
	var reader Texts
	for _, text := range []Text{first, second, second, first} {
		if err := l.Append(&Statement{Session: "s", Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	wantSaid(t, path, first.String(), second.String(), "…", first.String())
	reader.Note(first.Digest(), first.String())
	if text, ok := reader.Find(first.Digest()); !ok || text != first.String() {
		t.Errorf("found %q", text)
	}
	if _, ok := reader.Find(second.Digest()); ok {
		t.Error("a text was found that nobody has noted")
	}
	reader.Note(second.Digest(), second.String())
	if _, ok := reader.Find(first.Digest()); ok {
		t.Error("both have one place")
	}
	for _, wrong := range []string{"", "ab", strings.Repeat("g", 64), first.Digest() + "00"} {
		reader.Note(wrong, "x")
		if text, ok := reader.Find(wrong); ok {
			t.Errorf("%q found %q", wrong, text)
		}
	}
}

// TestNormalizedOnce: the normalized form is recorded like the text, and not at all where it says nothing new or might say too much.
func TestNormalizedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	form := l.Text("SELECT $1")
	for _, text := range []string{"ALTER ROLE r PASSWORD 'x'", "SELECT $1", "SELECT 1", "SELECT 2"} {
		if err := l.Append(&Statement{Session: "s", Text: l.Text(text), Normalized: form}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Append(&Statement{Session: "s", Text: l.Text("SELECT 3, 4"), Normalized: l.Text("SELECT $1, $2")}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(data)) {
		var e struct {
			Type, Normalized string
			Digest           string `json:"normalized_digest"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == "statement" {
			got = append(got, fmt.Sprintf("%s %.4s", e.Normalized, e.Digest))
		}
	}
	// The third has the text of the second for its form.
	want := []string{" ", " ", fmt.Sprintf(" %.4s", form.Digest()), fmt.Sprintf(" %.4s", form.Digest()), fmt.Sprintf("SELECT $1, $2 %.4s", NewText("SELECT $1, $2", 0).Digest())}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTextsOfAPipe: whoever reads a pipe gets every text, as much of it as a line has.
func TestTextsOfAPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	l, err := Open(Config{Path: path, AllowPipe: true, MaxTextBytes: 10, MaxWholeBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	say(t, l, long, long)
	data := make([]byte, 64<<10)
	n, err := reader.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(data[:n]), `"text":"SELECT 'a ","text_digest":"`); got != 2 || strings.Contains(string(data[:n]), "text_aside") {
		t.Errorf("%d of 2 texts in %s", got, data[:n])
	}
	if _, err := os.Lstat(path + Beside); !os.IsNotExist(err) {
		t.Errorf("there is a file beside a pipe: %v", err)
	}
}

// TestTextsThroughAJournal: whatever comes at once, and whenever a new file is begun, whoever reads a file finds the text of every line in it.
func TestTextsThroughAJournal(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(Config{Path: filepath.Join(dir, "audit.log"), Journal: shm, Rotation: Rotation{Size: 1}})
	if err != nil {
		t.Fatal(err)
	}
	texts := sharingPlaces(t, l, 4)
	ctx, stop := context.WithCancel(t.Context())
	var run, say sync.WaitGroup
	run.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	const writers, events = 8, 1500
	for range writers {
		say.Go(func() {
			for range events {
				s := Statement{Session: "s", Text: texts[rand.N(len(texts))], Normalized: texts[rand.N(len(texts))]}
				if err := l.Append(&s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		say.Wait()
		close(done)
	}()
	for i := 0; !closed(done); i++ {
		l.tick(time.Now().Add(time.Duration(i) * time.Hour))
	}
	stop()
	run.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lines, omitted := 0, 0
	for _, name := range names(t, dir) {
		n, without := wantFound(t, filepath.Join(dir, name))
		lines, omitted = lines+n, omitted+without
	}
	if lines != writers*events || omitted < lines/2 {
		t.Errorf("%d lines, %d texts left out", lines, omitted)
	}
}

func closed(done chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// sharingPlaces are pairs of texts that have one place.
func sharingPlaces(t *testing.T, l *Log, pairs int) (texts []Text) {
	t.Helper()
	at := make(map[int]Text)
	for i := 0; len(texts) < 2*pairs; i++ {
		text := l.Text(fmt.Sprintf("SELECT %d", i))
		place := text.digest.place()
		if other, ok := at[place]; ok {
			texts = append(texts, other, text)
		}
		at[place] = text
	}
	return texts
}

// wantFound reads a file as readers do, and counts its statements and the texts that their lines do not have.
func wantFound(t *testing.T, path string) (lines, omitted int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var reader Texts
	for line := range strings.Lines(string(data)) {
		var e struct {
			Type, Text, Normalized string
			Digest                 string `json:"text_digest"`
			NormalizedDigest       string `json:"normalized_digest"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != "statement" {
			continue
		}
		lines++
		for _, part := range []struct{ text, digest string }{{e.Text, e.Digest}, {e.Normalized, e.NormalizedDigest}} {
			if part.text != "" {
				reader.Note(part.digest, part.text)
			}
		}
		for _, part := range []struct{ text, digest string }{{e.Text, e.Digest}, {e.Normalized, e.NormalizedDigest}} {
			if part.text != "" || part.digest == "" {
				continue
			}
			omitted++
			if _, ok := reader.Find(part.digest); !ok {
				t.Fatalf("%s: the text of line %d is in none before it: %s", filepath.Base(path), lines, line)
			}
		}
	}
	return lines, omitted
}

// TestTextsOfALeftJournal: lines that were accepted for one file and come into the next have their texts in the one before. Those that are
// accepted for the next have theirs in it.
func TestTextsOfALeftJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := withJournal(t, path)
	l.journal.run()
	say(t, l, "SELECT 1")
	l.drainOnce(l.journal)
	say(t, l, "SELECT 1")
	abandon(t, l, nil)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	say(t, l, "SELECT 1", "SELECT 1")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, path+".1", "SELECT 1")
	wantSaid(t, path, "…", "SELECT 1", "…")
}
