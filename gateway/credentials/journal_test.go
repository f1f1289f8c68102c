package credentials

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func entry(n int) Entry {
	at := time.Date(2026, 1, 2, 3, 4, n, 0, time.UTC)
	return Entry{ID: fmt.Sprintf("database/creds/app/%d", n), Role: "app", Username: fmt.Sprintf("v-app-%d", n), Issued: at, Expires: at.Add(time.Hour)}
}

// opens opens a journal and closes it with the test.
func opens(t *testing.T, path string) (*journal, []Entry) {
	t.Helper()
	j, left, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.close() })
	return j, left
}

func TestJournalRemembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j, left := opens(t, path)
	if len(left) != 0 {
		t.Errorf("a new journal knows %v", left)
	}
	for n := range 4 {
		if err := j.opened(entry(n)); err != nil {
			t.Fatal(err)
		}
	}
	for _, hash := range []string{entry(1).Hash(), entry(1).Hash(), entry(9).Hash()} {
		if err := j.ended(hash); err != nil {
			t.Fatal(err)
		}
	}
	want := []Entry{entry(0), entry(2), entry(3)}
	read, err := ReadJournal(path)
	if diff := cmp.Diff(want, read); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	_ = j.close()
	if _, left = opens(t, path); cmp.Diff(want, left) != "" {
		t.Errorf("a restart finds %v", left)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestJournalOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j, _ := opens(t, path)
	if _, _, err := openJournal(path); !errors.Is(err, ErrJournalInUse) {
		t.Errorf("a second gateway: %v", err)
	}
	if err := j.opened(entry(0)); err != nil {
		t.Error(err)
	}
}

// TestJournalIsShortened while sessions come and go, and loses nothing.
func TestJournalIsShortened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j, _ := opens(t, path)
	name := strings.Repeat("n", 8<<10)
	var sessions sync.WaitGroup
	for worker := range 8 {
		sessions.Go(func() {
			for n := range 100 {
				e := entry(worker*100 + n)
				e.Username = name
				if err := j.opened(e); err != nil {
					t.Error(err)
				}
				if n == 0 {
					continue // stays open
				}
				if err := j.ended(e.Hash()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	sessions.Wait()
	if read, err := ReadJournal(path); err != nil || len(read) != 8 {
		t.Errorf("%d leases are open, want 8: %v", len(read), err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > compactAt+16*maxJournalLine {
		t.Errorf("the journal has %d bytes", info.Size())
	}
}

// TestJournalDoubted: after a sync that has failed the kernel may call the next one a success, although what it could not write is lost. So
// the journal is written anew before another credential is used.
func TestJournalDoubted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j, _ := opens(t, path)
	if err := j.opened(entry(0)); err != nil {
		t.Fatal(err)
	}
	disk := j.file
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0) // takes everything, keeps nothing, and cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	j.file = null
	if err := j.opened(entry(1)); err == nil {
		t.Fatal("a lease that is not on the disk may be used")
	}
	j.file = disk // which has lost the line, and can be synced
	_ = null.Close()
	if err := j.opened(entry(2)); err != nil {
		t.Fatal(err)
	}
	want := []Entry{entry(0), entry(1), entry(2)}
	read, err := ReadJournal(path)
	if diff := cmp.Diff(want, read); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	_ = j.close()
	if _, left := opens(t, path); cmp.Diff(want, left) != "" {
		t.Errorf("a restart finds %v", left)
	}
}

// TestJournalFull: a lease that has ended while nothing could be written is open no more in a journal that is written again, though there may
// not be room enough to write it anew at first.
func TestJournalFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j, _ := opens(t, path)
	for n := range 3 {
		if err := j.opened(entry(n)); err != nil {
			t.Fatal(err)
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = full.Close() }()
	disk := j.file
	j.file = full
	if err := j.ended(entry(0).Hash()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("ended: %v", err)
	}
	if err := j.opened(entry(3)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("opened: %v", err)
	}
	j.file, j.path = disk, filepath.Join(path, "nowhere")
	if err := j.opened(entry(4)); err != nil {
		t.Fatal(err)
	}
	j.path = path
	if err := j.opened(entry(5)); err != nil {
		t.Fatal(err)
	}
	want := []Entry{entry(1), entry(2), entry(4), entry(5)}
	read, err := ReadJournal(path)
	if diff := cmp.Diff(want, read); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestJournalInDoubtAgain: a journal that cannot be written anew lets no credential be used, and recovers when it can be.
func TestJournalInDoubtAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j, _ := opens(t, path)
	j.doubted = true
	j.path = filepath.Join(path, "nowhere")
	if err := j.opened(entry(0)); err == nil {
		t.Error("a lease that may not be on the disk may be used")
	}
	j.path = path
	if err := j.opened(entry(1)); err != nil {
		t.Fatal(err)
	}
	if read, err := ReadJournal(path); err != nil || len(read) != 2 {
		t.Errorf("the journal knows %v: %v", read, err)
	}
}

// TestSweepGoesOn: a lease that an earlier gateway may have renewed just before it was killed is pursued, and stays in the journal, until
// that is over too.
func TestSweepGoesOn(t *testing.T) {
	working(t, RevokerConfig{}, &attempts{left: map[string]int{"long": -1, "short": -1}}, func(t *testing.T, r *Revoker, _ func()) {
		issued := time.Now().Add(-10 * time.Hour)
		l := ledger{log: slog.New(slog.DiscardHandler), left: []Entry{
			{ID: "long", Issued: issued, Expires: issued.Add(8 * time.Hour)}, {ID: "short", Issued: issued, Expires: issued.Add(time.Minute)},
		}}
		l.sweep(r)
		for _, step := range []struct {
			wait time.Duration
			left int
		}{{unknownEnd - time.Minute, 2}, {2 * time.Minute, 1}, {7*time.Hour - 2*time.Minute, 1}, {2 * time.Minute, 0}} {
			time.Sleep(step.wait)
			if got := r.Pending(); got != step.left {
				t.Errorf("after %s %d are pursued, want %d", time.Since(issued)-10*time.Hour, got, step.left)
			}
		}
	})
}

// TestSweep: what an earlier gateway has left open is revoked, and a lease is in the journal before its credential is used.
func TestSweep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	j, _ := opens(t, path)
	if err := errors.Join(j.opened(entry(0)), j.opened(entry(1)), j.close()); err != nil {
		t.Fatal(err)
	}
	fake := newFakeVault()
	fake.leases[entry(0).ID], fake.leases[entry(1).ID] = time.Now().Add(time.Hour), time.Now().Add(time.Hour)
	journaled := func(t *testing.T) VaultConfig {
		cfg := given(t)
		cfg.JournalFile = path
		return cfg
	}
	bubble(t, journaled, fake, func(t *testing.T, v *Vault) {
		settle()
		if fake.held() != 0 {
			t.Errorf("%d leases were left", fake.held())
		}
		lease := issue(t, v)
		if read, err := ReadJournal(path); err != nil || len(read) != 1 || read[0].Username != lease.Username {
			t.Errorf("the journal knows %v: %v", read, err)
		}
		if err := <-v.Revoker().Revoke(lease); err != nil {
			t.Error(err)
		}
		if read, err := ReadJournal(path); err != nil || len(read) != 0 {
			t.Errorf("after the revocation the journal knows %v: %v", read, err)
		}
	})
}

// TestJournalFails: a credential that would be forgotten is not used, and Vault takes it back.
func TestJournalFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "leases")
	fake := newFakeVault()
	journaled := func(t *testing.T) VaultConfig {
		cfg := given(t)
		cfg.JournalFile = path
		return cfg
	}
	bubble(t, journaled, fake, func(t *testing.T, v *Vault) {
		if err := v.ledger.journal.close(); err != nil { // as a disk that is gone
			t.Fatal(err)
		}
		_, err := v.Issue(t.Context(), "app")
		if kindOfError(t, err) != Unavailable {
			t.Errorf("Issue: %v", err)
		}
		var failure *Error
		if errors.As(err, &failure); failure.Explain() != "The gateway cannot write its journal of leases." {
			t.Errorf("the client is told: %s", failure.Explain())
		}
		settle()
		if fake.held() != 0 {
			t.Errorf("%d leases are left", fake.held())
		}
	})
}
