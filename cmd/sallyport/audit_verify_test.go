package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/audit"
)

// TestVerifyTexts: what was done to a text beside a log shows.
func TestVerifyTexts(t *testing.T) {
	const text = "SELECT 'a text that is too long for its line'"
	digest := audit.NewText(text, 0).Digest()
	tests := map[string]struct {
		change func(texts string) string // "": the file is removed
		good   bool
		said   string
	}{
		"as it was":                {func(texts string) string { return texts }, true, ""},
		"changed":                  {func(texts string) string { return strings.Replace(texts, "too long", "just fine", 1) }, false, "audit.log.texts:1: this text was changed"},
		"changed with its digest":  {replaced(text, digest, "SELECT 1"), true, "warning: 1 long texts are not beside these files"},
		"removed":                  {func(string) string { return "" }, true, "warning: 1 long texts are not beside these files"},
		"torn, and written again":  {func(texts string) string { return texts[:40] + "\n" + texts }, true, ""},
		"one more, of another log": {func(texts string) string { return texts + replaced(text, digest, "SELECT 2")(texts) }, true, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			logLongText(t, path, text)
			texts, err := os.ReadFile(path + audit.Beside)
			if err != nil {
				t.Fatal(err)
			}
			if changed := test.change(string(texts)); changed == "" {
				err = os.Remove(path + audit.Beside)
			} else {
				err = os.WriteFile(path+audit.Beside, []byte(changed), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			var out, complaints bytes.Buffer
			if good := auditVerify([]string{path}, &out, &complaints) == exitOK; good != test.good {
				t.Errorf("good: %v, want %v; %s%s", good, test.good, &out, &complaints)
			}
			said := strings.Contains(complaints.String(), "text")
			if said != (test.said != "") || !strings.Contains(complaints.String(), test.said) {
				t.Errorf("it says %q, want %q", &complaints, test.said)
			}
		})
	}
}

func replaced(text, digest, other string) func(string) string {
	return strings.NewReplacer(text, other, digest, audit.NewText(other, 0).Digest()).Replace
}

// logLongText writes a log of one statement twice, whose text stands beside it.
func logLongText(t *testing.T, path, text string) {
	t.Helper()
	l, err := audit.Open(audit.Config{Path: path, MaxTextBytes: 10, MaxWholeBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(2) {
		if err := l.Append(&audit.Statement{Session: "s", Number: n, Text: l.Text(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyTorn: what is behind the last newline of a file is no event and has no proof, wherever the file stands.
func TestVerifyTorn(t *testing.T) {
	dir := t.TempDir()
	path, older := filepath.Join(dir, "audit.log"), filepath.Join(dir, "audit.log.1")
	logLongText(t, path, "SELECT 1")
	l, err := audit.Open(audit.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(path, older), l.Reopen(), l.Close()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(older)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(older, append(whole, `{"time":"2026-03-02T09:14:07.000000Z","type":"statement","session":"forged"}`...), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, complaints bytes.Buffer
	if status := auditVerify([]string{older, path}, &out, &complaints); status != exitOK {
		t.Errorf("status %d: %s", status, &complaints)
	}
	if want := "warning: nothing proves " + older + ":"; !strings.Contains(complaints.String(), want) {
		t.Errorf("it says %q, want %q", &complaints, want)
	}
}
