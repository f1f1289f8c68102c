package tlsutil

import (
	"bytes"
	"context"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/certs"
)

// patience is far more than a notification takes; only a failing test waits that long.
const patience = 20 * time.Second

// listener is the files of one listener and a reloader on them.
type listener struct {
	authority *certs.Authority
	cfg       ReloaderConfig
	reloads   chan error
	log       bytes.Buffer // read only while nothing runs
	*Reloader
}

func newListener(t *testing.T) *listener {
	t.Helper()
	directory := t.TempDir()
	l := &listener{authority: newAuthority(t), reloads: make(chan error, 100)}
	l.cfg = ReloaderConfig{
		Certificate: filepath.Join(directory, "tls.crt"), Key: filepath.Join(directory, "tls.key"),
		Logger:  slog.New(slog.NewTextHandler(&l.log, nil)),
		Observe: func(err error) { l.reloads <- err },
	}
	l.renew(t)
	var err error
	if l.Reloader, err = NewReloader(l.cfg); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *listener) renew(t *testing.T) {
	t.Helper()
	if err := l.authority.WriteFiles(filepath.Dir(l.cfg.Certificate), "tls", gateway); err != nil {
		t.Fatal(err)
	}
}

func (l *listener) serial(t *testing.T) *big.Int {
	t.Helper()
	certificate, err := l.GetCertificate(nil)
	if err != nil || certificate.Leaf != l.Leaf() {
		t.Fatalf("GetCertificate: %v", err)
	}
	return certificate.Leaf.SerialNumber
}

func TestReload(t *testing.T) {
	l := newListener(t)
	first := l.serial(t)
	if err := l.Reload(); err != nil || l.serial(t).Cmp(first) != 0 || len(l.reloads) != 0 {
		t.Errorf("nothing changed: %v, %d observed", err, len(l.reloads))
	}
	l.renew(t)
	if err := l.Reload(); err != nil || l.serial(t).Cmp(first) == 0 || l.Err() != nil {
		t.Errorf("Reload: %v", err)
	}
	if err := <-l.reloads; err != nil {
		t.Errorf("observed %v", err)
	}
}

func TestBadReloadKeepsTheOldPair(t *testing.T) {
	tests := map[string]struct {
		spoil func(*testing.T, *listener)
		want  string
	}{
		"certificate gone":         {func(t *testing.T, l *listener) { remove(t, l.cfg.Certificate) }, "no such file"},
		"key gone":                 {func(t *testing.T, l *listener) { remove(t, l.cfg.Key) }, "no such file"},
		"certificate empty":        {func(t *testing.T, l *listener) { writeFile(t, l.cfg.Certificate, nil) }, "parse"},
		"certificate cut":          {func(t *testing.T, l *listener) { cut(t, l.cfg.Certificate) }, "parse"},
		"key cut":                  {func(t *testing.T, l *listener) { cut(t, l.cfg.Key) }, "parse"},
		"certificate without key":  {func(t *testing.T, l *listener) { half(t, l, l.cfg.Certificate, 0) }, "does not match"},
		"key without certificate":  {func(t *testing.T, l *listener) { half(t, l, l.cfg.Key, 1) }, "does not match"},
		"key and certificate swap": {func(t *testing.T, l *listener) { writeFile(t, l.cfg.Certificate, read(t, l.cfg.Key)) }, "parse"},
		"expired": {func(t *testing.T, l *listener) {
			expired := gateway
			expired.TTL = -time.Minute
			if err := l.authority.WriteFiles(filepath.Dir(l.cfg.Certificate), "tls", expired); err != nil {
				t.Fatal(err)
			}
		}, "expired"},
		"huge": {func(t *testing.T, l *listener) {
			writeFile(t, l.cfg.Certificate, append(read(t, l.cfg.Certificate), make([]byte, maxPEMBytes)...))
		}, "larger"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			l := newListener(t)
			first := l.serial(t)
			tt.spoil(t, l)
			err := l.Reload()
			if err == nil || !strings.Contains(err.Error(), tt.want) || l.Err() == nil {
				t.Fatalf("Reload = %v, want %q", err, tt.want)
			}
			if l.serial(t).Cmp(first) != 0 {
				t.Error("the old pair is not served")
			}
			if observed := <-l.reloads; observed == nil {
				t.Error("not observed")
			}
			if text := l.log.String() + err.Error(); strings.Contains(text, "PRIVATE") || !strings.Contains(text, "not reloaded") {
				t.Errorf("log: %s", text)
			}
			_ = l.Reload()
			if got := strings.Count(l.log.String(), "not reloaded"); got != 1 {
				t.Errorf("the same failure is logged %d times", got)
			}
			if _, err := NewReloader(l.cfg); err == nil {
				t.Error("NewReloader has no old pair to keep")
			}
			l.renew(t)
			if err := l.Reload(); err != nil || l.Err() != nil || l.serial(t).Cmp(first) == 0 {
				t.Errorf("a good pair afterwards: %v", err)
			}
		})
	}
}

// run starts the reloader; it has stopped when the test ends.
func (l *listener) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func (l *listener) observed(t *testing.T) error {
	t.Helper()
	select {
	case err := <-l.reloads:
		return err
	case <-time.After(patience):
		t.Fatal("no reload")
		return nil
	}
}

func TestRunReloads(t *testing.T) {
	l := newListener(t)
	first := l.serial(t)
	l.run(t)
	l.renew(t)
	if err := l.observed(t); err != nil || l.serial(t).Cmp(first) == 0 {
		t.Errorf("renewed: %v", err)
	}
	second := l.serial(t)
	writeFile(t, l.cfg.Key, []byte("x"))
	if err := l.observed(t); err == nil || l.serial(t).Cmp(second) != 0 {
		t.Errorf("spoiled: %v", err)
	}
	l.renew(t)
	for l.observed(t) != nil { // half of the renewal may be seen first
	}
	if l.serial(t).Cmp(second) == 0 {
		t.Error("not recovered")
	}
}

// TestRunFollowsLinks swaps directories behind a link, as Kubernetes does with mounted secrets.
func TestRunFollowsLinks(t *testing.T) {
	l := newListener(t)
	mount := t.TempDir()
	version := func(name string) {
		t.Helper()
		directory := filepath.Join(mount, name)
		if err := os.Mkdir(directory, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := l.authority.WriteFiles(directory, "tls", gateway); err != nil {
			t.Fatal(err)
		}
		link(t, name, filepath.Join(mount, "..data"))
	}
	version("..1")
	for _, name := range []string{"tls.crt", "tls.key"} {
		link(t, filepath.Join("..data", name), filepath.Join(mount, name))
	}
	l.cfg.Certificate, l.cfg.Key = filepath.Join(mount, "tls.crt"), filepath.Join(mount, "tls.key")
	var err error
	if l.Reloader, err = NewReloader(l.cfg); err != nil {
		t.Fatal(err)
	}
	first := l.serial(t)
	l.run(t)
	version("..2")
	if err := l.observed(t); err != nil || l.serial(t).Cmp(first) == 0 {
		t.Errorf("swapped: %v", err)
	}
}

// TestRunWithoutDirectory: what cannot be watched is polled; Run still ends when told.
func TestRunWithoutDirectory(t *testing.T) {
	l := newListener(t)
	if err := os.RemoveAll(filepath.Dir(l.cfg.Certificate)); err != nil {
		t.Fatal(err)
	}
	l.run(t)
	if err := l.observed(t); err == nil {
		t.Error("the files are gone")
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func cut(t *testing.T, path string) {
	t.Helper()
	text := read(t, path)
	writeFile(t, path, text[:len(text)/2])
}

// half replaces one of the two files by a new pair's.
func half(t *testing.T, l *listener, path string, which int) {
	t.Helper()
	certPEM, keyPEM, err := l.authority.Issue(gateway)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, [][]byte{certPEM, keyPEM}[which])
}
