package statement

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParse looks for texts within the limits that break the parser or the walker, and for sheets that do not say what they must: a
// command for every statement, every list there, also when the pool gets them.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			text, _, _ := strings.Cut(string(file.Data), factsMark)
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if (Limits{MaxTextBytes: 1 << 14}).Check(text) != nil {
			t.Skip()
		}
		sheet, constants, err := parse(text)
		if err != nil {
			var syntax *SyntaxError
			var limit *LimitError
			if !errors.As(err, &syntax) && !errors.As(err, &limit) {
				t.Fatalf("%v", err)
			}
			return
		}
		if _, normalized := normalize(text, true); !constants && normalized != text {
			t.Errorf("%q has no constants, but is normalized to %q", text, normalized)
		}
		checkSheet(t, sheet)
	})
}

func checkSheet(t *testing.T, sheet *Sheet) {
	t.Helper()
	body, err := json.Marshal(sheet)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(body, []byte(`":null`)) {
		t.Errorf("a list is missing: %s", body)
	}
	if body, err = cbor.Marshal(sheet); err != nil {
		t.Fatal(err)
	}
	var received Sheet
	if err := cbor.Unmarshal(body, &received); err != nil || !cmp.Equal(sheet, &received) {
		t.Errorf("the pool gets %v\n%s", err, cmp.Diff(sheet, &received))
	}
	for _, s := range sheet.Statements {
		if s.Command == "" || s.Class == "" || len(s.Commands) == 0 || s.Commands[0] != s.Command {
			t.Errorf("got command %q, class %q, commands %q", s.Command, s.Class, s.Commands)
		}
		for _, r := range s.Relations {
			if r.Name == "" || len(r.Access) == 0 {
				t.Errorf("got relation %+v", r)
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, _, err := parse("SELECT abalance FROM pgbench_accounts WHERE aid = 1"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNormalize(b *testing.B) {
	for b.Loop() {
		normalize("SELECT abalance FROM pgbench_accounts WHERE aid = 1", true)
	}
}

func BenchmarkEncode(b *testing.B) {
	sheet, _, err := parse("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var buffer bytes.Buffer
		if err := writeValue(&buffer, frameFacts, sheet); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	sheet, _, err := parse("SELECT abalance FROM pgbench_accounts WHERE aid = 1")
	if err != nil {
		b.Fatal(err)
	}
	body, err := cbor.Marshal(sheet)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := cbor.Unmarshal(body, &Sheet{}); err != nil {
			b.Fatal(err)
		}
	}
}
