package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

// signing makes a key for the audit log of a gateway, in dir, and returns the file of the public half.
func signing(t *testing.T, dir string) (public string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), shared.binary, "audit", "keygen", "--name", "e2e/audit", filepath.Join(dir, "audit.key")).Output()
	if err != nil {
		t.Fatal(err)
	}
	public = filepath.Join(dir, "audit.pub")
	write(t, public, string(out))
	return public
}

// proved verifies the files of an audit log by the command that operators have.
func proved(t *testing.T, public string, files ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), shared.binary, append([]string{"audit", "verify", "--key", public}, files...)...).CombinedOutput()
	if err != nil || strings.Contains(string(out), "warning") {
		t.Errorf("audit verify: %v\n%s", err, out)
	}
}

// TestKilledLosesNothing kills a gateway under load. All that PostgreSQL says it ran must be in the audit log, as allowed, when the gateway
// has been started again, and the log must be proved.
func TestKilledLosesNothing(t *testing.T) {
	for name, cfg := range map[string]stack.AuditConfig{
		"journal": {Journal: "/dev/shm"}, "no journal": {Journal: "none"}, "strict": {Mode: "strict"},
	} {
		t.Run(name, func(t *testing.T) {
			mode := strings.ReplaceAll(name, " ", "-")
			dir := t.TempDir()
			public := signing(t, dir)
			g := ownGateway(t, func(c *stack.GatewayConfig) {
				cfg.File, cfg.KeyFile = c.Audit.File, filepath.Join(dir, "audit.key")
				c.Audit = cfg
			}, "audit log was not closed")
			text := func(session int, n int64) string { return fmt.Sprintf("killed-%s-%d-%d.", mode, session, n) }
			const sessions, enough = 4, 400
			var ran atomic.Int64
			var group sync.WaitGroup
			reached := make(chan struct{})
			for session := range sessions {
				conn := login{gateway: g, account: stack.Service}.connect(t)
				group.Go(func() {
					for n := int64(0); ; n++ {
						if _, err := conn.Exec(t.Context(), "SELECT '"+text(session, n)+"'", pgx.QueryExecModeSimpleProtocol); err != nil {
							return // the gateway is dead
						}
						if ran.Add(1) == enough {
							close(reached)
						}
					}
				})
			}
			select {
			case <-reached:
			case <-time.After(time.Minute):
				t.Error("the load does not run")
			}
			if err := g.Kill(); err != nil {
				t.Fatal(err)
			}
			group.Wait()
			before, err := os.ReadFile(g.Audit)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			value(t, login{gateway: g, account: stack.Service}.connect(t), "SELECT 'again'")
			after, err := os.ReadFile(g.Audit)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(after), string(before)) {
				t.Error("what was recorded before was changed")
			}
			wantRecorded(t, string(after), "killed-"+mode, ran.Load())
			if err := g.Stop(); err != nil {
				t.Error(err)
			}
			proved(t, public, g.Audit)
			if err := g.Start(t.Context()); err != nil { // for the cleanup, which stops it
				t.Error(err)
			}
		})
	}
}

// wantRecorded compares the audit log with PostgreSQL's own, once the statements that are marked have ended.
func wantRecorded(t *testing.T, audit, mark string, answered int64) {
	t.Helper()
	marks := regexp.MustCompile(mark + `-\d+-\d+\.`)
	super := superuser(t, stack.App)
	eventually(t, 20*time.Second, func() error {
		if n := value(t, super, "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%'||$1||'-%' AND state = 'active' AND pid <> pg_backend_pid()", mark); n != "0" {
			return fmt.Errorf("%s backends have not ended", n)
		}
		return nil
	})
	recorded := make(map[string]bool)
	for line := range strings.Lines(audit) {
		if strings.Contains(line, `"type":"statement"`) && strings.Contains(line, `"decision":"allow"`) {
			for _, mark := range marks.FindAllString(line, -1) {
				recorded[mark] = true
			}
		}
	}
	var executed []string
	for line := range strings.Lines(backendLog(t)) {
		if strings.Contains(line, "statement: SELECT") {
			executed = append(executed, marks.FindAllString(line, -1)...)
		}
	}
	if int64(len(executed)) < answered {
		t.Errorf("PostgreSQL says it ran %d statements, %d were answered", len(executed), answered)
	}
	missing := slices.DeleteFunc(executed, func(mark string) bool { return recorded[mark] })
	if len(missing) > 0 {
		t.Errorf("%d statements ran and are not in the audit log: %s", len(missing), missing[:min(5, len(missing))])
	}
}

// TestRotatesByItself: while statements run the gateway begins new files, and all of them together are proved.
func TestRotatesByItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	public := signing(t, dir)
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.Audit.KeyFile, c.Audit.Rotate = filepath.Join(dir, "audit.key"), map[string]any{"size_mib": 1, "compress": true}
	})
	conn := login{gateway: g, account: stack.Service}.connect(t)
	padding := strings.Repeat("x", 50_000)
	var old []string
	eventually(t, time.Minute, func() error {
		for range 10 {
			execute(t, conn, "SELECT '"+padding+"'")
		}
		var err error
		if old, err = filepath.Glob(g.Audit + ".*.gz"); err != nil {
			return err
		}
		if len(old) < 2 {
			return errors.New("there are no two old files yet")
		}
		return nil
	})
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	files, err := filepath.Glob(g.Audit + ".2*")
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, ".part") })
	proved(t, public, append(files, g.Audit)...)
	if err := g.Start(t.Context()); err != nil { // for the cleanup, which stops it
		t.Error(err)
	}
}

// frozen makes a small file system in dir that can be frozen: writes to it hang until it is thawed.
func frozen(t *testing.T, dir string) (freeze, thaw func()) {
	t.Helper()
	command := func(name string, args ...string) func() {
		return func() {
			t.Helper()
			if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
				t.Fatalf("%s %s: %v\n%s", name, args, err, out)
			}
		}
	}
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 16<<20); err != nil {
		t.Fatal(err)
	}
	command("mkfs.ext4", "-q", image)()
	command("mount", "-o", "loop", image, dir)() // this test needs root
	t.Cleanup(command("umount", "-l", dir))
	return command("fsfreeze", "-f", dir), command("fsfreeze", "-u", dir)
}

// failing makes a small file system in dir that can be made to fail: the kernel then makes it read-only, as it does when a disk fails, and
// keeps it so. repair mounts it anew, from a copy: what is open is still the one that failed.
func failing(t *testing.T, dir string) (fail, repair func()) {
	t.Helper()
	command := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	images := t.TempDir()
	image, second := filepath.Join(images, "image"), filepath.Join(images, "second")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, 16<<20)); err != nil {
		t.Fatal(err)
	}
	command("mkfs.ext4", "-q", image)
	command("mount", "-o", "loop,errors=remount-ro", image, dir) // this test needs root
	t.Cleanup(func() { command("umount", "-l", dir) })
	device := command("findmnt", "-n", "-o", "SOURCE", dir)
	fail = func() {
		t.Helper()
		command("sync", "-f", dir)
		if err := os.WriteFile(filepath.Join("/sys/fs/ext4", filepath.Base(device), "trigger_fs_error"), []byte("test"), 0); err != nil {
			t.Fatal(err)
		}
	}
	return fail, func() {
		t.Helper()
		command("umount", "-l", dir)
		command("cp", image, second)
		if out, err := exec.Command("e2fsck", "-fy", second).CombinedOutput(); err != nil && exec.Command("e2fsck", "-fn", second).Run() != nil {
			t.Fatalf("e2fsck: %v\n%s", err, out)
		}
		command("mount", "-o", "loop", second, dir)
	}
}

// runUntilRefused runs "SELECT 'read-only 0.'" and so on, and says how many ran before the first error.
func runUntilRefused(t *testing.T, conn *pgx.Conn) (ran int, err error) {
	for ; ran < 1000; ran++ {
		if _, err = conn.Exec(t.Context(), fmt.Sprintf("SELECT 'read-only %d.'", ran), pgx.QueryExecModeSimpleProtocol); err != nil {
			break
		}
	}
	return ran, err
}

// TestAuditReadOnly: the audit log's file system becomes read-only. Nothing runs, the gateway lives, and goes on by itself when the file
// system was repaired and mounted again.
func TestAuditReadOnly(t *testing.T) {
	dir := t.TempDir()
	fail, repair := failing(t, dir)
	audit, keys := filepath.Join(dir, "audit.log"), t.TempDir()
	public := signing(t, keys)
	g, err := shared.services.StartGateway(t.Context(), stack.GatewayOptions{
		Dir: t.TempDir(), Binary: shared.binary, Edit: func(c *stack.GatewayConfig) {
			c.Audit.File, c.Audit.KeyFile = audit, filepath.Join(keys, "audit.key")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	conn := login{gateway: g, account: stack.Service}.connect(t)
	execute(t, conn, "SELECT 'before'")
	eventually(t, 10*time.Second, func() error { // nothing more is written after it
		content, err := os.ReadFile(audit)
		lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
		if err == nil && !strings.Contains(lines[len(lines)-1], `"type":"checkpoint"`) {
			err = errors.New("there is no checkpoint yet")
		}
		return err
	})
	fail()
	ran, err := runUntilRefused(t, conn) // what the journal has accepted before that was known
	if got := sqlstate(t, err); got != "58030" {
		t.Fatalf("SQLSTATE %q, want 58030: %v", got, err)
	}
	if _, err := (login{gateway: g, account: stack.Service}).open(t); err == nil {
		t.Error("a session may begin that cannot be recorded")
	}
	if status, body := ask(t, g, http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, "read-only file system") {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if status, _ := ask(t, g, http.MethodGet, "/healthz", ""); status != http.StatusOK {
		t.Errorf("/healthz: %d", status)
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Severity == "FATAL" {
		ran++ // its outcome could not be written
	} else if strings.Contains(backendLog(t), fmt.Sprintf("read-only %d.", ran)) {
		t.Error("a statement ran that was not recorded")
	}
	repair()
	eventually(t, 20*time.Second, func() (err error) {
		if conn == nil || conn.IsClosed() { // it ended, or could not begin yet
			conn, err = login{gateway: g, account: stack.Service}.open(t)
		}
		if err == nil {
			_, err = conn.Exec(t.Context(), "SELECT 'after'", pgx.QueryExecModeSimpleProtocol)
		}
		return err
	})
	if status, body := ask(t, g, http.MethodGet, "/readyz", ""); status != http.StatusOK {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if err := g.Stop(); err != nil {
		t.Error(err)
	}
	content, err := os.ReadFile(audit)
	if err != nil || strings.Count(string(content), `"cause":"write"`) != 1 || strings.Contains(string(content), `"lost":0`) {
		t.Errorf("no log_repair says what was lost: %v", err)
	}
	for n := range ran {
		if !strings.Contains(string(content), fmt.Sprintf("read-only %d.", n)) {
			t.Errorf("statement %d ran and is not recorded", n)
		}
	}
	proved(t, public, audit)
	if err := g.Start(t.Context()); err != nil { // for the cleanup, which stops it
		t.Error(err)
	}
}

// TestAuditHangs: a disk that does not answer. What runs in the two seconds until that is known is in the log in the end; then every
// client hears so, and nothing runs; the gateway lives, and goes on by itself.
func TestAuditHangs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.log")
	freeze, thaw := frozen(t, dir)
	g, err := shared.services.StartGateway(t.Context(), stack.GatewayOptions{
		Dir: t.TempDir(), Binary: shared.binary, Edit: func(c *stack.GatewayConfig) { c.Audit.File = file },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	first, second := login{gateway: g, account: stack.Service}.connect(t), login{gateway: g, account: stack.Service}.connect(t)
	execute(t, first, "SELECT 1")
	execute(t, second, "SELECT 1")
	freeze()
	thawed := false
	defer func() {
		if !thawed {
			thaw()
		}
	}()
	var ran atomic.Int64
	results := make(chan error, 2)
	for i, conn := range []*pgx.Conn{first, second} {
		go func() {
			for n := 0; ; n++ {
				_, err := conn.Exec(t.Context(), fmt.Sprintf("SELECT 'hanging-%d-%d.'", i, n), pgx.QueryExecModeSimpleProtocol)
				if err != nil {
					results <- err
					return
				}
				ran.Add(1)
			}
		}()
	}
	for range 2 {
		select {
		case err := <-results:
			if got := sqlstate(t, err); got != "58030" {
				t.Errorf("SQLSTATE %q, want 58030: %v", got, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a client is not answered")
		}
	}
	if status, body := ask(t, g, http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d %s", status, body)
	}
	thawed = true
	thaw()
	eventually(t, 20*time.Second, func() error {
		if status, body := ask(t, g, http.MethodGet, "/readyz", ""); status != http.StatusOK {
			return fmt.Errorf("/readyz: %d %s", status, body)
		}
		return nil
	})
	value(t, login{gateway: g, account: stack.Service}.connect(t), "SELECT 'again'")
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	wantRecorded(t, string(log), "hanging", ran.Load())
}
