package proof

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProve(t *testing.T) {
	key, keys := newKey(t, "log")
	_, others := newKey(t, "log")
	l := sample(t, key)
	for _, files := range [][][]string{l.files, l.files[1:]} {
		first := 0
		if len(files) == 1 {
			first = 7
		}
		each := func(f func([]byte)) error {
			for _, line := range slices.Concat(files...) {
				f([]byte(line))
			}
			return nil
		}
		for n := first; n < 12; n++ {
			p, err := Prove(fmt.Sprintf("statement s.%d", n), each)
			if err != nil {
				t.Fatalf("event %d: %v", n, err)
			}
			again, err := ParseInclusion(p.String())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(p, again, cmp.Comparer(func(a, b []byte) bool { return string(a) == string(b) })); diff != "" {
				t.Fatal(diff)
			}
			if err := again.Check(keys); err != nil {
				t.Errorf("event %d: %v", n, err)
			}
			if err := again.Check(others); err == nil {
				t.Errorf("event %d: another key: no error", n)
			}
			again.Event[0] ^= 1
			if err := again.Check(keys); err == nil {
				t.Errorf("event %d: changed: no error", n)
			}
			again.Event[0] ^= 1
			again.Index++
			if err := again.Check(keys); err == nil {
				t.Errorf("event %d: elsewhere: no error", n)
			}
		}
		for label, want := range map[string]string{"statement s.12": "no checkpoint behind", "statement s.99": "no event"} {
			if _, err := Prove(label, each); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", label, err)
			}
		}
	}
}

func TestParseInclusionRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "no head": "index 1\n\nx", "no event": proofHead + "index 1\n\nx\n", "no checkpoint": proofHead + "extra AA==\nindex 1\n",
		"a negative index": proofHead + "extra AA==\nindex -1\n\nx\n", "a hash": proofHead + "extra AA==\nindex 1\nAA==\n\nx\n",
		"too many hashes": proofHead + "extra AA==\nindex 1\n" + strings.Repeat(Hash{}.String()+"\n", 64) + "\nx\n",
	} {
		if _, err := ParseInclusion(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
