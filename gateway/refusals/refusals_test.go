package refusals

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func open(t *testing.T, path string) *List {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// again closes a list and opens its file as the next process would.
func again(t *testing.T, l *List) *List {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, l.path)
	t.Cleanup(func() { _ = next.Close() })
	return next
}

func refusal(who Who) Refusal {
	return Refusal{Who: who, Reason: "INC-1", By: "boss", Since: time.Unix(1_700_000_000, 0).UTC()}
}

func TestRefusedOverARestart(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "refusals"))
	ana, subject := refusal(Who{User: "ana"}), refusal(Who{Issuer: "https://id.example", Subject: "17"})
	for _, r := range []Refusal{ana, subject} {
		if err := l.Add(r); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, l *List, all ...Refusal) {
		t.Helper()
		if diff := cmp.Diff(all, l.All()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	check("added", l, subject, ana)
	l = again(t, l)
	check("after a restart", l, subject, ana)
	if found, err := l.Lift(Who{User: "ana"}); !found || err != nil {
		t.Errorf("lift: %v, %v", found, err)
	}
	check("lifted", l, subject)
	if found, err := l.Lift(Who{User: "ana"}); found || err != nil {
		t.Errorf("lift again: %v, %v", found, err)
	}
	if found, err := l.Lift(Who{User: "17"}); found || err != nil {
		t.Errorf("lift a user of the subject's name: %v, %v", found, err)
	}
	l = again(t, l)
	check("lifted, after a restart", l, subject)
	info, err := os.Stat(l.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(l.path), ".*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestFind(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "refusals"))
	defer l.Close()
	for _, who := range []Who{{User: "ana"}, {Issuer: "i", Subject: "17"}} {
		if err := l.Add(refusal(who)); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		user, issuer, subject string
		refused               bool
	}{
		"by user":               {"ana", "other", "other", true},
		"by a password":         {"ana", "", "ana", true},
		"by subject":            {"eve", "i", "17", true},
		"another user":          {"anna", "i", "18", false},
		"another issuer":        {"eve", "j", "17", false},
		"in other letters":      {"Ana", "", "", false},
		"nobody":                {"", "", "", false},
		"a user as the subject": {"17", "", "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, refused := l.Find(test.user, test.issuer, test.subject); refused != test.refused {
				t.Errorf("refused: %v, want %v", refused, test.refused)
			}
		})
	}
}

func TestExpires(t *testing.T) {
	path := filepath.Join(t.TempDir(), "refusals")
	synctest.Test(t, func(t *testing.T) {
		l := open(t, path)
		defer l.Close()
		r := refusal(Who{User: "ana"})
		r.Expires = time.Now().Add(time.Hour)
		if err := l.Add(r); err != nil {
			t.Fatal(err)
		}
		refused := func() bool { _, ok := l.Find("ana", "", ""); return ok }
		time.Sleep(time.Hour - time.Second)
		if !refused() || len(l.All()) != 1 {
			t.Error("lifted too early")
		}
		time.Sleep(time.Second)
		if refused() || len(l.All()) != 0 {
			t.Error("not lifted")
		}
		if found, _ := l.Lift(Who{User: "ana"}); found {
			t.Error("what has expired can be lifted")
		}
		r.Expires = time.Time{}
		if err := l.Add(r); err != nil || !refused() {
			t.Errorf("refused anew: %v", err)
		}
	})
}

// TestReadFailsClosed: a file that is not understood is never an empty list.
func TestReadFailsClosed(t *testing.T) {
	good := `{"version":1,"refusals":[{"user":"ana","reason":"r","by":"b","since":"2026-01-01T00:00:00Z"}]}`
	tests := map[string]string{
		"empty":                "",
		"cut off":              good[:len(good)-1],
		"two":                  good + good,
		"something behind":     good + "x",
		"another version":      strings.Replace(good, "1,", "2,", 1),
		"no version":           `{"refusals":[]}`,
		"no list":              `{"version":1}`,
		"null":                 `{"version":1,"refusals":null}`,
		"unknown key":          strings.Replace(good, `"by"`, `"from"`, 1),
		"nobody":               strings.Replace(good, `"user":"ana",`, "", 1),
		"user and subject":     strings.Replace(good, `"user":"ana",`, `"user":"ana","issuer":"i","subject":"s",`, 1),
		"a subject, no issuer": strings.Replace(good, `"user":"ana",`, `"subject":"s",`, 1),
		"no JSON":              "ana\n",
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "refusals")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if l, err := Open(path); err == nil {
				t.Errorf("reads %+v", l.All())
			} else if !strings.Contains(err.Error(), path) {
				t.Errorf("does not say which file: %v", err)
			}
		})
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a directory is a list")
	}
}

// TestOneProcess: a second gateway with the same file would write over the first one's refusals.
func TestOneProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "refusals")
	l := open(t, path)
	if err := l.Add(refusal(Who{User: "ana"})); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
	if entries, err := Read(path); err != nil || len(entries) != 1 {
		t.Errorf("who only reads it: %v, %v", entries, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_ = open(t, path).Close()
}

// TestNotWritten: a refusal that cannot be written is in force, one that cannot be taken out stays.
func TestNotWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l := open(t, filepath.Join(dir, "refusals"))
	defer l.Close()
	if err := l.Add(refusal(Who{User: "ana"})); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := l.Add(refusal(Who{User: "eve"})); !errors.Is(err, ErrNotKept) {
		t.Errorf("add: %v", err)
	}
	if found, err := l.Lift(Who{User: "ana"}); !found || err == nil {
		t.Errorf("lift: %v, %v", found, err)
	}
	for _, user := range []string{"ana", "eve"} {
		if _, refused := l.Find(user, "", ""); !refused {
			t.Errorf("%s is let in", user)
		}
	}
}

func TestAddRefuses(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "refusals"))
	defer l.Close()
	long := refusal(Who{User: "ana"})
	long.Reason = strings.Repeat("x", maxReasonBytes+1)
	late := refusal(Who{User: "ana"})
	late.Expires = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, r := range map[string]Refusal{
		"nobody": refusal(Who{}), "both": refusal(Who{User: "a", Issuer: "i", Subject: "s"}), "half": refusal(Who{Issuer: "i"}),
		"what does not print": refusal(Who{User: "a\n"}), "a long name": refusal(Who{User: strings.Repeat("x", maxNameBytes+1)}), "a long reason": long,
		"an end that cannot be written": late,
	} {
		if err := l.Add(r); err == nil || errors.Is(err, ErrNotKept) {
			t.Errorf("%s is added: %v", name, err)
		}
	}
	if len(l.All()) != 0 {
		t.Errorf("has %+v", l.All())
	}
}

// TestKeptUnderALongName: whoever may refuse can do so by whatever name a certificate gives.
func TestKeptUnderALongName(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "refusals"))
	r := refusal(Who{User: "ana"})
	r.By = "spiffe://example.org/" + strings.Repeat("x", maxNameBytes-len("spiffe://example.org/"))
	if err := l.Add(r); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Refusal{r}, again(t, l).All()); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	if r.By += "x"; l.Add(r) == nil {
		t.Error("a longer one is kept")
	}
}

func TestFull(t *testing.T) {
	l := &List{path: filepath.Join(t.TempDir(), "refusals"), entries: map[Who]Refusal{}}
	for i := range MaxRefusals {
		who := Who{User: fmt.Sprint(i)}
		l.entries[who] = refusal(who)
	}
	if err := l.Add(refusal(Who{User: "one more"})); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	if err := l.Add(refusal(Who{User: "7"})); err != nil {
		t.Errorf("one that is there: %v", err)
	}
}

// TestTogether: many at once lose nothing.
func TestTogether(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "refusals"))
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			if err := l.Add(refusal(Who{User: fmt.Sprint(i)})); err != nil {
				t.Error(err)
			}
			l.Find("3", "", "")
			if i%2 == 0 {
				if _, err := l.Lift(Who{User: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if got := len(again(t, l).All()); got != 10 {
		t.Errorf("%d refusals, want 10", got)
	}
}
