package proof

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// newKey makes a key, and what verifies its signatures.
func newKey(t testing.TB, name string) (*Key, *Verifiers) {
	t.Helper()
	key, public := newKeyPair(t, name)
	keys, err := NewVerifiers(public + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return key, keys
}

// newKeyPair makes a key, and its public half.
func newKeyPair(t testing.TB, name string) (key *Key, public string) {
	t.Helper()
	private, public, err := GenerateKey(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(private+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key, err = ReadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	return key, public
}

func sign(t testing.TB, key *Key, tree *Tree) string {
	t.Helper()
	signed, err := key.Sign(tree)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestCheckpoint(t *testing.T) {
	key, keys := newKey(t, "gateway-1.example.com/audit")
	_, others := newKey(t, "gateway-1.example.com/audit")
	var tree Tree
	tree.Add(Hash{1})
	signed := sign(t, key, &tree)
	want := "gateway-1.example.com/audit\n1\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— gateway-1.example.com/audit "
	if !strings.HasPrefix(signed, want) {
		t.Fatalf("got %q", signed)
	}
	if c, err := keys.Open(signed); err != nil || c != (Checkpoint{key.Name(), 1, Hash{1}}) {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := (*Verifiers)(nil).Open(sign(t, nil, &tree)); err != nil {
		t.Error(err)
	}
	foreign, err := note.Sign(&note.Note{Text: Checkpoint{"elsewhere", 1, Hash{1}}.text()}, key.signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		keys   *Verifiers
		signed string
		want   string
	}{
		"unsigned":        {keys, sign(t, nil, &tree), "not signed"},
		"another key":     {others, signed, "another key"},
		"changed":         {keys, strings.Replace(signed, "\n1\n", "\n2\n", 1), "signature is wrong"},
		"another log":     {keys, string(foreign), "of the log"},
		"a leading zero":  {nil, "a\n01\n" + Hash{}.String() + "\n", "not a checkpoint"},
		"a negative size": {nil, "a\n-1\n" + Hash{}.String() + "\n", "not a checkpoint"},
		"a short root":    {nil, "a\n1\nAAAA\n", "not a checkpoint"},
		"more lines":      {nil, "a\n1\n" + Hash{}.String() + "\nmore\n", "not a checkpoint"},
		"nothing":         {nil, "", "not a checkpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := test.keys.Open(test.signed); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestReadKeyRefuses(t *testing.T) {
	private, public, err := GenerateKey("log")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"open to others": {private, 0o640, "chmod 0600"},
		"a public key":   {public, 0o600, "does not hold a key"},
		"empty":          {"", 0o600, "does not hold a key"},
		"cut":            {private[:len(private)-4], 0o600, "does not hold a key"},
		"large":          {strings.Repeat("x", maxKeyBytes+1), 0o600, "not a file with a key"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			_, err := ReadKey(path)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if err != nil && test.content != "" && strings.Contains(err.Error(), test.content[:min(len(test.content), 20)]) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
	for _, name := range []string{"", "a b", "a+b", `a"b`, "a\nb", "ü"} {
		if _, _, err := GenerateKey(name); err == nil {
			t.Errorf("%q: no error", name)
		}
	}
}
