package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	long    = "SELECT 'a text that is too long for a line'"
	tooLong = "SELECT 'a text that is too long for a line, and for the file beside it, which takes so much and not more than that'"
)

// TestTextsAside: a text that is too long for a line is whole in the file beside it, before its statement is in the log.
func TestTextsAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openTexts(t, path, Rotation{})
	say(t, l, "SELECT 1")
	if _, err := os.Lstat(path + Beside); !os.IsNotExist(err) {
		t.Errorf("there is a file for texts that did not come: %v", err)
	}
	say(t, l, long, tooLong, long, "ALTER ROLE a_role_with_a_long_name PASSWORD 'hunter2'")
	wantSaid(t, path, "SELECT 1", "SELECT 'a +", "SELECT 'a -", "…+", "ALTER ROLE+")
	wantSaid(t, path+Beside, long, "ALTER ROLE a_role_with_a_long_name PASSWORD '<redacted>'")
	if info, err := os.Stat(path + Beside); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := errors.Join(os.Rename(path, path+".1"), os.Rename(path+Beside, path+".1"+Beside), l.Reopen()); err != nil {
		t.Fatal(err)
	}
	say(t, l, long)
	wantSaid(t, path, "SELECT 'a +")
	wantSaid(t, path+Beside, long)
}

// TestTextsAsideFail: a statement whose text cannot be kept is refused, as one whose event cannot.
func TestTextsAsideFail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openTexts(t, path, Rotation{})
	say(t, l, long)
	kept := l.aside.file
	l.aside.file = full{kept, 20}
	if err := l.Append(&Statement{Session: "s", Text: l.Text(long + " ")}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
	l.aside.file = kept
	if err := l.Append(&Statement{Session: "s", Text: l.Text(long + " ")}); err != nil {
		t.Fatal(err)
	}
	wantSaid(t, path, "SELECT 'a +", "SELECT 'a +")
	wantSaid(t, path+Beside, long, "torn", long+" ")
	wantKinds(t, path, "statement", "log_repair", "statement")
}

// TestTextsAsideTaken: the file beside the log is held to what the log itself is.
func TestTextsAsideTaken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.Symlink("elsewhere", path+Beside); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Path: path, MaxTextBytes: 10, MaxWholeBytes: 100}); err == nil || !strings.Contains(err.Error(), "audit.log.texts is not a regular file") {
		t.Errorf("at the start: %v", err)
	}
	if err := os.Remove(path + Beside); err != nil {
		t.Fatal(err)
	}
	l := openTexts(t, path, Rotation{})
	if err := os.WriteFile(path+Beside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path+Beside, 0o622); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(&Statement{Session: "s", Text: l.Text(long)}); err == nil || !strings.Contains(err.Error(), "may be written by others") {
		t.Errorf("later: %v", err)
	}
}

// TestTextsAsideRemoved: a file of texts that was removed is begun anew.
func TestTextsAsideRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openTexts(t, path, Rotation{})
	say(t, l, long)
	if err := os.Remove(path + Beside); err != nil {
		t.Fatal(err)
	}
	l.tick(time.Now())
	say(t, l, long)
	wantSaid(t, path+Beside, long)
}

// TestTextsAsideContinued: a torn line that a gateway has left is ended, so that the next one is whole.
func TestTextsAsideContinued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path+Beside, []byte(`{"time":"20`), 0o600); err != nil {
		t.Fatal(err)
	}
	say(t, openTexts(t, path, Rotation{}), long)
	wantSaid(t, path+Beside, "torn", long)
}

// TestTextsAsideRotate: they go with their log, are compressed and removed with it.
func TestTextsAsideRotate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.log")
	l := openTexts(t, path, Rotation{Size: 1, Compress: true, Keep: 2})
	now := time.Date(2026, 3, 2, 9, 14, 7, 0, time.UTC)
	for i := range 4 {
		if i != 2 { // one file without
			say(t, l, long)
		} else {
			say(t, l, "SELECT 1")
		}
		now = now.Add(time.Second)
		if !l.tick(now) {
			t.Fatal("not rotated")
		}
		if err := l.tidy(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	say(t, l, long)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{
		"audit.log", "audit.log.20260302T091410Z.gz", "audit.log.20260302T091411Z.gz", "audit.log.20260302T091411Z.texts.gz", "audit.log.texts",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestTextsBeside(t *testing.T) {
	for name, want := range map[string][]string{
		"/log/audit.log":           {"/log/audit.log.texts", "/log/audit.log.texts.gz", "/log/audit.texts.log", "/log/audit.texts.log.gz"},
		"audit.log.1":              {"audit.log.1.texts", "audit.log.1.texts.gz", "audit.log.texts.1", "audit.log.texts.1.gz"},
		"/log.d/audit-20260302.gz": {"/log.d/audit-20260302.texts", "/log.d/audit-20260302.texts.gz", "/log.d/audit.texts-20260302", "/log.d/audit.texts-20260302.gz"},
		"/log.d/audit":             {"/log.d/audit.texts", "/log.d/audit.texts.gz"},
	} {
		if diff := cmp.Diff(want, TextsBeside(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestTextsAsideAreWhatWasDigested: whoever verifies a text beside the log has no more than its line, whatever the client's encoding was.
func TestTextsAsideAreWhatWasDigested(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l := openTexts(t, path, Rotation{})
	say(t, l, "SELECT 'caf\xe9 \xff\xfe, which is no UTF-8'")
	data, err := os.ReadFile(path + Beside)
	if err != nil {
		t.Fatal(err)
	}
	var line struct {
		Text   string `json:"text"`
		Digest string `json:"text_digest"`
	}
	if err := json.Unmarshal(data, &line); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256([]byte(line.Text)); hex.EncodeToString(sum[:]) != line.Digest || line.Text == "" {
		t.Errorf("%q has not the digest %s", line.Text, line.Digest)
	}
}
