package proof

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"
)

var at = time.Date(2026, 3, 2, 9, 14, 7, 120431000, time.UTC)

// logger writes logs as the gateway does: files of lines.
type logger struct {
	t        testing.TB
	key      *Key
	tree     Tree
	unsealed []Hash
	files    [][]string
	count    int
	notes    []string
}

func newLogger(t testing.TB, key *Key) *logger {
	l := &logger{t: t, key: key}
	l.file()
	return l
}

// file begins the next file.
func (l *logger) file() {
	l.files = append(l.files, []string{string(AppendStart(nil, at, &l.tree))})
}

func (l *logger) add(line string) {
	last := &l.files[len(l.files)-1]
	*last = append(*last, line)
}

// event is the line of statement s.n.
func event(n int) string {
	return fmt.Sprintf(`{"time":"2026-03-02T09:14:07.120431Z","type":"statement","session":"s","id":"s.%d","text":"SELECT %d"}`, n, n)
}

func (l *logger) events(n int) {
	for range n {
		line := event(l.count)
		l.count++
		h := LeafHash([]byte(line))
		l.tree.Add(h)
		l.unsealed = append(l.unsealed, h)
		l.add(line)
	}
}

func (l *logger) checkpoint() {
	signed := sign(l.t, l.key, &l.tree)
	l.notes = append(l.notes, signed)
	l.add(string(AppendCheckpoint(nil, at, &l.tree, l.unsealed, signed)))
	l.unsealed = nil
}

// sample has two files: start, 4 events, checkpoint, 3 events, checkpoint; start, 5 events, checkpoint, 2 events.
func sample(t testing.TB, key *Key) *logger {
	l := newLogger(t, key)
	l.events(4)
	l.checkpoint()
	l.events(3)
	l.checkpoint()
	l.file()
	l.events(5)
	l.checkpoint()
	l.events(2)
	return l
}

func text(lines []string) string { return strings.Join(lines, "\n") + "\n" }

func verify(t testing.TB, keys *Verifiers, files [][]string, against ...Checkpoint) Report {
	t.Helper()
	v := NewVerifier(keys)
	for _, c := range against {
		v.Against(c)
	}
	for i, lines := range files {
		if err := v.File(fmt.Sprint(i), strings.NewReader(text(lines))); err != nil {
			t.Fatal(err)
		}
	}
	return v.End()
}

func TestVerify(t *testing.T) {
	key, keys := newKey(t, "log")
	l := sample(t, key)
	got := verify(t, keys, l.files)
	want := Report{Size: 14, Events: 14, Checkpoints: 3, Unsealed: 2, UnsealedAt: Place{"1", 8, "statement s.12"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	second := verify(t, keys, l.files[1:])
	want.From, want.Events, want.Checkpoints, want.UnsealedAt.File = 7, 7, 1, "0"
	if diff := cmp.Diff(want, second); diff != "" {
		t.Errorf("the second file alone: %s", diff)
	}
	if r := verify(t, keys, [][]string{slices.Concat(l.files...)}); len(r.Findings) > 0 {
		t.Errorf("both in one file: %v", r.Findings)
	}
}

// TestVerifyFinds changes a good log in one place each, and holds the verifier to naming that place first.
func TestVerifyFinds(t *testing.T) {
	key, keys := newKey(t, "log")
	thief, _ := newKey(t, "log")
	set := func(file, line int, text string) func([][]string) {
		return func(f [][]string) { f[file][line-1] = text }
	}
	remove := func(file, line, n int) func([][]string) {
		return func(f [][]string) { f[file] = slices.Delete(f[file], line-1, line-1+n) }
	}
	insert := func(file, line int, text string) func([][]string) {
		return func(f [][]string) { f[file] = slices.Insert(f[file], line-1, text) }
	}
	swap := func(file, a, b int) func([][]string) {
		return func(f [][]string) { f[file][a-1], f[file][b-1] = f[file][b-1], f[file][a-1] }
	}
	both := func(changes ...func([][]string)) func([][]string) {
		return func(f [][]string) {
			for _, change := range changes {
				change(f)
			}
		}
	}
	// Somebody who can write the file but has another key makes all of it fit again.
	forged := newLogger(t, thief)
	forged.events(1)
	forged.add(event(99))
	forged.tree.Add(LeafHash([]byte(event(99))))
	forged.unsealed = append(forged.unsealed, LeafHash([]byte(event(99))))
	forged.checkpoint()

	for name, test := range map[string]struct {
		change func([][]string)
		want   string
	}{
		"changed":                      {set(0, 3, event(99)), "0:3 (statement s.99): this event was changed"},
		"a byte added":                 {set(0, 3, event(1)+" "), "0:3 (statement s.1): this event was changed"},
		"changed in the second file":   {set(1, 4, event(99)), "1:4 (statement s.99): this event was changed"},
		"the last before a checkpoint": {set(0, 9, event(99)), "0:9 (statement s.99): this event was changed"},
		"removed":                      {remove(0, 3, 1), "0:3 (statement s.2): an event before this one was removed"},
		"removed at the end":           {remove(0, 4, 2), "0:4: 2 events before this checkpoint were removed"},
		"all removed":                  {remove(0, 2, 4), "0:2: 4 events before this checkpoint were removed"},
		"added":                        {insert(0, 3, event(99)), "0:3 (statement s.99): this event was added"},
		"added at the end":             {insert(0, 6, event(99)), "0:6 (statement s.99): this event was added"},
		"an empty line added":          {insert(0, 3, ""), "0:3: this event was added"},
		"a copy added":                 {insert(0, 4, event(1)), "0:4 (statement s.1): this event was added"},
		"reordered":                    {swap(0, 3, 4), "0:3 (statement s.2): this event was put elsewhere"},
		"across a checkpoint":          {swap(0, 5, 7), "0:5 (statement s.4): this event was changed"},
		"a checkpoint removed":         {both(remove(0, 6, 1), set(0, 7, event(99))), "0:7 (statement s.99): this event was changed"},
		"removed with the checkpoint":  {remove(0, 5, 2), "0:2 (statement s.0): events between this line and the checkpoint in line 8 were"},
		"a checkpoint changed":         {func(f [][]string) { f[0][5] = strings.Replace(f[0][5], `"size":4`, `"size":5`, 1) }, "0:6: this is no good checkpoint"},
		"a checkpoint's form":          {func(f [][]string) { f[0][5] = strings.Replace(f[0][5], `{"`, `{ "`, 1) }, "0:6: this event was added"},
		"its list": {func(f [][]string) {
			f[0][5] = strings.Replace(f[0][5], `"leaves":"`, `"leaves":"`+strings.Repeat("A", 128), 1)
		}, "0:6: the list of hashes"},
		"the end of a file cut":         {remove(0, 9, 2), "1:1: 1 events are missing before this line"},
		"a whole file's events cut":     {func(f [][]string) { f[0] = f[0][:6] }, "1:1: 3 events are missing before this line"},
		"events behind a file's end":    {insert(0, 11, event(99)), "1:1: 1 events too many"},
		"the order of the files":        {func(f [][]string) { f[0], f[1] = f[1], f[0] }, "1:1: a new tree begins here"},
		"a start changed":               {func(f [][]string) { var tree Tree; f[1][0] = string(AppendStart(nil, at, &tree)) }, "1:1: a new tree begins here"},
		"a start removed":               {remove(1, 1, 1), ""}, // it says nothing that is not proved otherwise
		"no checkpoints":                {both(remove(0, 10, 1), remove(0, 6, 1), remove(1, 7, 1)), "1:8 (statement s.13): there is no good checkpoint"},
		"made again by somebody else":   {func(f [][]string) { f[0], f[1] = forged.files[0], nil }, "0:4: this is no good checkpoint: it is signed by another key"},
		"made again without signatures": {func(f [][]string) { f[0], f[1] = sample(t, nil).files[0], nil }, "0:6: this is no good checkpoint: it is not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			files := slices.Clone(sample(t, key).files)
			test.change(files)
			files = slices.DeleteFunc(files, func(f []string) bool { return f == nil })
			found := verify(t, keys, files).Findings
			got := ""
			if len(found) > 0 {
				got = found[0].String()
			}
			if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
				t.Errorf("got %q, want %q", found, test.want)
			}
		})
	}
}

// TestVerifyGoesOn: what is found in one place does not hide the rest, nor does it make the rest look wrong.
func TestVerifyGoesOn(t *testing.T) {
	key, keys := newKey(t, "log")
	l := sample(t, key)
	l.files[0][2] = event(98)
	l.files[1][2] = event(99)
	var got []string
	for _, f := range verify(t, keys, l.files).Findings {
		got = append(got, f.Place.String())
	}
	if diff := cmp.Diff([]string{"0:3 (statement s.98)", "1:3 (statement s.99)"}, got); diff != "" {
		t.Error(diff)
	}
}

// TestVerifyAgainst compares with checkpoints that were kept elsewhere: they show what the key's owner has made again.
func TestVerifyAgainst(t *testing.T) {
	key, keys := newKey(t, "log")
	l := sample(t, key)
	kept := func(n int) Checkpoint {
		c, err := keys.Open(l.notes[n])
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	again := newLogger(t, key) // by root, who has the key: without the first event
	again.count = 1
	again.events(4)
	again.checkpoint()
	if r := verify(t, keys, again.files); len(r.Findings) > 0 {
		t.Fatalf("by itself it is good: %v", r.Findings)
	}
	for name, test := range map[string]struct {
		files     [][]string
		against   []Checkpoint
		want      string
		unchecked int
	}{
		"the same":            {l.files, []Checkpoint{kept(0), kept(1), kept(2)}, "", 0},
		"the second file":     {l.files[1:], []Checkpoint{kept(1), kept(2)}, "", 0},
		"older than the file": {l.files[1:], []Checkpoint{kept(0)}, "", 1},
		"made again":          {again.files, []Checkpoint{kept(0)}, "0:5 (statement s.4): the first 4 events are not those of the checkpoint", 0},
		"cut":                 {again.files, []Checkpoint{kept(2)}, "0:6: the log ends with 4 events, a checkpoint that was kept elsewhere has 12", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := verify(t, keys, test.files, test.against...)
			got := ""
			if len(r.Findings) > 0 {
				got = r.Findings[0].String()
			}
			if !strings.HasPrefix(got, test.want) || test.want == "" && got != "" || r.Unchecked != test.unchecked {
				t.Errorf("got %+v, want %q", r, test.want)
			}
		})
	}
}

// TestResume goes on where a log ends: sealed, with events behind the last checkpoint, in the middle of a line.
func TestResume(t *testing.T) {
	l := sample(t, nil)
	whole := text(l.files[1])
	for name, test := range map[string]struct {
		log      string
		unsealed int
		torn     string
	}{
		"with events": {whole, 2, ""},
		"torn":        {whole[:len(whole)-9], 1, event(13)[:len(event(13))-8]},
		"no newline":  {whole[:len(whole)-1], 1, event(13)},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Resume(strings.NewReader(test.log))
			if err != nil {
				t.Fatal(err)
			}
			size := int64(12 + test.unsealed)
			if s.Tree.Size() != size || len(s.Unsealed) != test.unsealed || string(s.Torn) != test.torn {
				t.Errorf("%d leaves, %d unsealed, torn %q", s.Tree.Size(), len(s.Unsealed), s.Torn)
			}
		})
	}
	l.files[1][2] = event(99)
	if _, err := Resume(strings.NewReader(text(l.files[1]))); err == nil || !strings.Contains(err.Error(), "line 3: this event was changed") {
		t.Errorf("a changed log: %v", err)
	}
}

// TestLines: lines of every length come whole, and ones that are too long are an error, not memory.
func TestLines(t *testing.T) {
	for _, n := range []int{0, 1, readBuffer - 1, readBuffer, readBuffer + 1, 3*readBuffer + 5} {
		lines := NewLines(strings.NewReader(strings.Repeat("x", n) + "\nlast"))
		for i, want := range []int{n, 4} {
			line, err := lines.Next()
			if err != nil || len(line) != want || lines.Torn() != (i == 1) {
				t.Errorf("%d: line %d has %d bytes, torn %v: %v", n, i, len(line), lines.Torn(), err)
			}
		}
		if _, err := lines.Next(); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want EOF", err)
		}
	}
	if _, err := NewLines(strings.NewReader(strings.Repeat("x", maxLineBytes+1))).Next(); !errors.Is(err, ErrLong) {
		t.Errorf("got %v, want ErrLong", err)
	}
}

// fixedKey is the same in each process of a fuzzer.
func fixedKey(t testing.TB) (*Key, *Verifiers) {
	private, public, err := note.GenerateKey(bytes.NewReader(make([]byte, 64)), "log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := NewVerifiers(public)
	if err != nil {
		t.Fatal(err)
	}
	return &Key{signer}, keys
}

// FuzzVerify feeds the verifier what somebody may have made of a log. It must end without a panic, and a log whose bytes are not those
// that were written must not look whole.
func FuzzVerify(f *testing.F) {
	key, keys := fixedKey(f)
	l := sample(f, key)
	l.checkpoint()
	good := text(slices.Concat(l.files...))
	f.Add(good)
	f.Add(text(l.files[1]))
	f.Add(good[:len(good)/2])
	f.Add("\n\n")
	f.Add(`{"time":"2026-03-02T09:14:07.120431Z","type":"tree","session":"","size":9223372036854775807,"hashes":""}` + "\n")
	f.Add(`{"time":"2026-03-02T09:14:07.120431Z","type":"checkpoint","session":"","size":-1,"leaves":"","note":""}` + "\n")
	f.Fuzz(func(t *testing.T, log string) {
		v := NewVerifier(keys)
		if err := v.File("log", strings.NewReader(log)); err != nil {
			t.Skip()
		}
		if _, err := Resume(strings.NewReader(log)); err == nil {
			_, _ = ParseInclusion(log)
			_, _ = ReadCopies(strings.NewReader(log), nil)
		}
		r := v.End()
		proved := r.Events - r.Unsealed
		if len(r.Findings) > 0 || proved == 0 || r.From != 0 {
			return
		}
		// What is proved is what was signed: the first events of the log, in their order.
		n := int64(0)
		for line := range strings.SplitSeq(log, "\n") {
			if KindOf([]byte(line)) != KindLeaf || n == proved {
				continue
			}
			if line != event(int(n)) {
				t.Fatalf("line %q passes as event %d", line, n)
			}
			n++
		}
	})
}

// BenchmarkVerify verifies a million events for each operation.
func BenchmarkVerify(b *testing.B) {
	key, keys := newKey(b, "log")
	const events = 1 << 20
	line := strings.Replace(event(0), "SELECT", "SELECT "+strings.Repeat("x", 700), 1)
	l := newLogger(b, key)
	for n := range events {
		h := LeafHash([]byte(line))
		l.tree.Add(h)
		l.unsealed = append(l.unsealed, h)
		l.add(line)
		if n%1024 == 1023 {
			l.checkpoint()
		}
	}
	log := text(l.files[0])
	b.SetBytes(int64(len(log)))
	b.ReportMetric(events, "events/op")
	for b.Loop() {
		v := NewVerifier(keys)
		if err := v.File("log", strings.NewReader(log)); err != nil {
			b.Fatal(err)
		}
		if r := v.End(); r.Events != events || len(r.Findings) > 0 || r.Unsealed > 0 {
			b.Fatal(r)
		}
	}
}

// TestReplacedKey: a log that goes on under another key is proved by both, in the order in which they signed. The one that was replaced,
// which somebody may have found since, proves nothing behind the first checkpoint of the other.
func TestReplacedKey(t *testing.T) {
	first, firstPublic := newKeyPair(t, "log")
	second, secondPublic := newKeyPair(t, "log/2")
	l := newLogger(t, first)
	l.events(4)
	l.checkpoint()
	l.key = second
	l.events(3)
	l.checkpoint()
	l.file()
	l.events(2)
	l.checkpoint()
	again := newLogger(t, first)
	again.events(4)
	again.checkpoint()
	again.key = second
	again.events(3)
	again.checkpoint()
	again.key = first
	again.events(1)
	again.checkpoint()
	for name, test := range map[string]struct {
		log  *logger
		keys []string
		want string // in the first finding; "": none
	}{
		"both":              {l, []string{firstPublic, secondPublic}, ""},
		"the first":         {l, []string{firstPublic}, "it is signed by another key"},
		"the second":        {l, []string{secondPublic}, "it is signed by another key"},
		"the wrong order":   {l, []string{secondPublic, firstPublic}, "another key had taken the place"},
		"the first is back": {again, []string{firstPublic, secondPublic}, "another key had taken the place"},
	} {
		t.Run(name, func(t *testing.T) {
			keys, err := NewVerifiers(test.keys...)
			if err != nil {
				t.Fatal(err)
			}
			v := NewVerifier(keys)
			for n, file := range test.log.files {
				if err := v.File(fmt.Sprint(n), strings.NewReader(strings.Join(file, "\n")+"\n")); err != nil {
					t.Fatal(err)
				}
			}
			report := v.End()
			if (len(report.Findings) > 0) != (test.want != "") || test.want != "" && !strings.Contains(report.Findings[0].Problem, test.want) {
				t.Errorf("found %v, want %q", report.Findings, test.want)
			}
		})
	}
}
