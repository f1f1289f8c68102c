package userlist

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/authn/scram"
)

const before = "; staff\n\n\t\"ana\"   \"old\"\r\n\"bob\" \"md500000000000000000000000000000000\"\n; robots\n\"app\" \"\""

func pencil(t testing.TB) scram.Verifier {
	t.Helper()
	v, err := scram.ParseVerifier(verifier)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// newFile writes a userlist and returns its path.
func newFile(t *testing.T, text string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "userlist.txt")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestUpdate(t *testing.T) {
	secret, err := md5.ParseSecret("md5" + strings.Repeat("1", 32))
	if err != nil {
		t.Fatal(err)
	}
	set := func(user string) func(*Entries) error {
		return func(e *Entries) error { return e.SetVerifier(user, pencil(t)) }
	}
	tests := map[string]struct {
		change func(*Entries) error
		want   string
	}{
		"replace, line break kept": {set("ana"), strings.Replace(before, "\t\"ana\"   \"old\"", `"ana" "`+verifier+`"`, 1)},
		"replace the last":         {set("app"), strings.Replace(before, `"app" ""`, `"app" "`+verifier+`"`, 1)},
		"add":                      {set(`qu"ote`), before + "\n\"qu\"\"ote\" \"" + verifier + "\"\n"},
		"user in capitals is new":  {set("ANA"), before + "\n\"ANA\" \"" + verifier + "\"\n"},
		"add MD5":                  {func(e *Entries) error { return e.SetMD5("old", secret) }, before + "\n\"old\" \"md5" + strings.Repeat("1", 32) + "\"\n"},
		"remove":                   {func(e *Entries) error { e.Remove("bob"); return nil }, strings.Replace(before, "\"bob\" \"md500000000000000000000000000000000\"\n", "", 1)},
		"remove the last":          {func(e *Entries) error { e.Remove("app"); return nil }, strings.TrimSuffix(before, `"app" ""`)},
		"add and remove":           {func(e *Entries) error { err := set("x")(e); e.Remove("x"); return err }, before + "\n"},
		"remove nobody":            {func(e *Entries) error { e.Remove("eve"); e.Remove(""); return nil }, before},
		"nothing":                  {func(*Entries) error { return nil }, before},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := newFile(t, before, 0o600)
			if err := Update(path, tt.change); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, content(t, path)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := Load(path, config); err != nil {
				t.Errorf("Load: %v", err)
			}
			noLitter(t, path)
		})
	}
}

// noLitter: the file is alone in its directory.
func noLitter(t *testing.T, path string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestUpdateRefuses(t *testing.T) {
	mine := errors.New("mine")
	tests := map[string]struct {
		text   string
		change func(*Entries) error
		want   string
	}{
		"change fails":          {before, func(e *Entries) error { e.Remove("ana"); return mine }, "mine"},
		"malformed file":        {before + "\nhunter2\n", func(e *Entries) error { e.Remove("ana"); return nil }, "line 7: user: must be"},
		"user twice":            {"\"ana\" \"a\"\n\"ana\" \"b\"\n", func(e *Entries) error { e.Remove("ana"); return nil }, "already on line 1"},
		"no user":               {before, func(e *Entries) error { return e.SetVerifier("", pencil(t)) }, "user: empty"},
		"long user":             {before, func(e *Entries) error { return e.SetVerifier(strings.Repeat("u", 64), pencil(t)) }, "longer than 63"},
		"user of two lines":     {before, func(e *Entries) error { return e.SetVerifier("a\n\"b", pencil(t)) }, "not valid text"},
		"user with a return":    {before, func(e *Entries) error { return e.SetVerifier("a\r", pencil(t)) }, "not valid text"},
		"user not UTF-8":        {before, func(e *Entries) error { return e.SetVerifier("\xff", pencil(t)) }, "not valid text"},
		"zero verifier":         {before, func(e *Entries) error { return e.SetVerifier("ana", scram.Verifier{}) }, "malformed SCRAM"},
		"zero MD5 secret":       {before, func(e *Entries) error { return e.SetMD5("ana", md5.Secret{}) }, "malformed MD5"},
		"nothing but a comment": {"# no comment\n", func(e *Entries) error { e.Remove("ana"); return nil }, "line 1: user: must be"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := newFile(t, tt.text, 0o600)
			err := Update(path, tt.change)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Update: %v, want %q", err, tt.want)
			}
			if diff := cmp.Diff(tt.text, content(t, path)); diff != "" {
				t.Errorf("the file has changed (-want +got):\n%s", diff)
			}
			noLitter(t, path)
		})
	}
}

func TestUpdateMode(t *testing.T) {
	add := func(e *Entries) error { return e.SetVerifier("ana", pencil(t)) }
	for mode, want := range map[fs.FileMode]fs.FileMode{0o600: 0o600, 0o400: 0o600, 0o640: 0o640, 0o644: 0o640, 0o666: 0o640, 0o777: 0o640, 0o604: 0o600} {
		t.Run(mode.String(), func(t *testing.T) {
			path := newFile(t, "", mode)
			if err := Update(path, add); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("mode %v, %v, want %v", info.Mode(), err, want)
			}
		})
	}
	t.Run("new file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "new.txt")
		if err := Update(path, add); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
	t.Run("no directory", func(t *testing.T) {
		if err := Update(filepath.Join(t.TempDir(), "x", "new.txt"), add); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Update: %v", err)
		}
	})
	t.Run("a directory", func(t *testing.T) {
		if err := Update(t.TempDir(), add); err == nil {
			t.Error("a directory is no userlist")
		}
	})
}

// TestUpdateKeepsOwner: root adds a user, and the gateway, which is not root, can still read the file.
func TestUpdateKeepsOwner(t *testing.T) {
	path := newFile(t, before, 0o640)
	if err := os.Chown(path, 4242, 4343); err != nil {
		t.Skipf("only root gives files away: %v", err)
	}
	old, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Update(path, func(e *Entries) error { return e.SetVerifier("ana", pencil(t)) }); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || os.SameFile(old, info) || info.Mode() != 0o640 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	if uid, gid := ownerOf(t, info); uid != 4242 || gid != 4343 {
		t.Errorf("owner %d:%d", uid, gid)
	}
}

func TestUpdateFollowsLinks(t *testing.T) {
	path := newFile(t, before, 0o600)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := Update(link, func(e *Entries) error { e.Remove("bob"); return nil }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink || strings.Contains(content(t, path), "bob") {
		t.Errorf("the link is no link any more, or leads elsewhere: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := Update(link, func(e *Entries) error { return e.SetVerifier("ana", pencil(t)) }); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link to nothing: %v", err)
	}
}

// TestConcurrentUpdates: nobody's change is lost, whoever else writes.
func TestConcurrentUpdates(t *testing.T) {
	const writers = 20
	path := newFile(t, before, 0o600)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			if err := Update(path, func(e *Entries) error { return e.SetVerifier("user"+strconv.Itoa(i), pencil(t)) }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	list, err := Load(path, config)
	if err != nil || list.Len() != writers+1 {
		t.Errorf("%d users, %v", list.Len(), err)
	}
	noLitter(t, path)
}

func TestUsers(t *testing.T) {
	entries, err := parseEntries([]byte(before + "\n\"x\" \"" + verifier + "\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []User{{"ana", "plain text", 3}, {"bob", "md5", 4}, {"app", "none", 6}, {"x", "scram-sha-256", 7}}
	if diff := cmp.Diff(want, entries.Users()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !entries.Has("ana") || entries.Has("ANA") || entries.Has("") || entries.Has("; staff") {
		t.Error("Has")
	}
}

// FuzzEntries: a file that can be read can be changed, and what was not touched is then as it was.
func FuzzEntries(f *testing.F) {
	f.Add([]byte(before), "ana")
	f.Add([]byte("\r\n\r\"a\" \"\"\r"), "new")
	f.Add([]byte("; x"), `qu"ote`)
	f.Add([]byte(" \r"), "0") // a return that ends no line
	secret, _ := md5.ParseSecret("md5" + strings.Repeat("1", 32))
	f.Fuzz(func(t *testing.T, text []byte, user string) {
		entries, err := parseEntries(text)
		if err != nil {
			return
		}
		if string(entries.text()) != string(text) {
			t.Fatalf("%q is written %q", text, entries.text())
		}
		users := len(entries.Users())
		had := entries.Has(user)
		if entries.SetMD5(user, secret) != nil {
			return
		}
		again, err := parseEntries(entries.text())
		if err != nil || !again.Has(user) {
			t.Fatalf("%q: %v", entries.text(), err)
		}
		if !again.Remove(user) || len(again.Users()) != users-btoi(had) {
			t.Errorf("%q: %d users of %d", again.text(), len(again.Users()), users)
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
