package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

// ask makes a request of the admin listener.
func ask(t *testing.T, g *stack.Gateway, method, path, token string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, g.AdminURL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

type listed struct {
	Sessions []struct {
		ID          string
		User        string
		Application string `json:"application_name"`
		Client      string `json:"client_address"`
	}
}

func sessions(t *testing.T, g *stack.Gateway) listed {
	t.Helper()
	status, body := ask(t, g, http.MethodGet, "/sessions", g.AdminToken)
	var out listed
	if err := json.Unmarshal([]byte(body), &out); err != nil || status != http.StatusOK {
		t.Fatalf("GET /sessions: %d %s: %v", status, body, err)
	}
	return out
}

func TestAdmin(t *testing.T) {
	g := shared.gateway
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		if status, body := ask(t, g, http.MethodGet, path, ""); status != http.StatusOK {
			t.Errorf("GET %s: %d %s", path, status, body)
		}
	}
}

// TestKill: an operator ends a session, idle or busy, and its client hears why.
func TestKill(t *testing.T) {
	o := onCall(t, shared.gateway)
	for state, busy := range map[string]bool{"idle": false, "active": true} {
		t.Run(state, func(t *testing.T) {
			application := "kill-" + state
			conn := login{account: stack.Analyst, application: application}.connect(t)
			role := backendRole(t, conn)
			ran := make(chan error, 1)
			if busy {
				go func() {
					_, err := conn.Exec(t.Context(), "SELECT count(*) FROM orders a, orders b, orders c")
					ran <- err
				}()
			}
			id, _ := o.listedBy(t, application, state)
			o.must(t, "end", id, "--reason", "a test")
			if !busy {
				_, err := conn.Exec(t.Context(), "SELECT 1")
				ran <- err
			}
			if got := sqlstate(t, <-ran); got != "57P01" {
				t.Errorf("SQLSTATE %q, want 57P01", got)
			}
			roleGone(t, role, goneWithin)
			all := ended(t, shared.gateway, application)
			if ends := find(all, "session_end", ""); len(ends) != 1 || ends[0].SQLState != "57P01" {
				t.Errorf("%+v", ends)
			}
		})
	}
}

// TestPolicyReload: a running session is judged by the new policy, and a
// policy that does not compile changes nothing.
func TestPolicyReload(t *testing.T) {
	g := ownGateway(t, nil, "policy not loaded")
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	execute(t, conn, "SELECT * FROM orders LIMIT 1")
	path := filepath.Join(g.Policies, "data.yaml")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(data), "secrets: []", "secrets: []\n                orders: []", 1)
	if changed == string(data) {
		t.Fatal("the policy's data is not what this test knows")
	}
	write(t, path, changed)
	eventually(t, 20*time.Second, func() error {
		_, err := conn.Exec(t.Context(), "SELECT * FROM orders LIMIT 1")
		if err == nil {
			return errors.New("the old policy still decides")
		}
		if got := sqlstate(t, err); got != "42501" {
			t.Fatalf("SQLSTATE %q, want 42501: %v", got, err)
		}
		return nil
	})
	execute(t, conn, "SELECT * FROM customers LIMIT 1")

	write(t, filepath.Join(g.Policies, "broken.rego"), "package sallyport.broken\nx := {")
	eventually(t, 20*time.Second, func() error {
		if _, body := ask(t, g, http.MethodGet, "/readyz", ""); !strings.Contains(body, "broken.rego") {
			return fmt.Errorf("/readyz says nothing of the broken policy: %s", body)
		}
		return nil
	})
	execute(t, conn, "SELECT * FROM customers LIMIT 1")
	_, err = conn.Exec(t.Context(), "SELECT * FROM orders LIMIT 1")
	if got := sqlstate(t, err); got != "42501" {
		t.Errorf("SQLSTATE %q, want 42501: the policy of before the broken one", got)
	}
	if err := os.Remove(filepath.Join(g.Policies, "broken.rego")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		if status, body := ask(t, g, http.MethodGet, "/readyz", ""); status != http.StatusOK {
			return errors.New(body)
		}
		return nil
	})
}

// TestReload: SIGHUP reads the files again.
func TestReload(t *testing.T) {
	g := ownGateway(t, nil)
	old := login{gateway: g, account: stack.Service}
	running := old.connect(t)
	line, err := stack.UserlistLine(stack.Service, "another password")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(filepath.Dir(g.Config), "userlist.txt"), line)
	if err := g.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		conn, err := login{gateway: g, account: stack.Service, password: "another password"}.open(t)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
	if _, err := old.open(t); sqlstate(t, err) != "28P01" {
		t.Errorf("the old password: %v", err)
	}
	value(t, running, "SELECT 'unharmed'")
}

// TestReloadBroken: a configuration that is wrong changes nothing.
func TestReloadBroken(t *testing.T) {
	g := ownGateway(t, nil, "not reloaded", "userlist not reloaded") // by the signal, and because the file has changed
	write(t, filepath.Join(filepath.Dir(g.Config), "userlist.txt"), "this is no userlist\n")
	if err := g.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		data, err := os.ReadFile(g.Log)
		if err != nil {
			return err
		}
		if !strings.Contains(string(data), "userlist") {
			return errors.New("the log says nothing of the userlist")
		}
		return nil
	})
	value(t, login{gateway: g, account: stack.Service}.connect(t), "SELECT 'ok'")
}

// TestDrain: SIGTERM lets busy sessions finish, ends idle ones and takes no new ones.
func TestDrain(t *testing.T) {
	g, err := shared.services.StartGateway(t.Context(), stack.GatewayOptions{Dir: t.TempDir(), Binary: shared.binary})
	if err != nil {
		t.Fatal(err)
	}
	idle := login{gateway: g, account: stack.Analyst}.connect(t)
	busy := login{gateway: g, account: stack.Engineer}.connect(t)
	roles := []string{backendRole(t, idle), backendRole(t, busy)}
	execute(t, busy, "BEGIN", "UPDATE orders SET quantity = quantity WHERE id = 3")
	if err := g.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		_, err := idle.Exec(t.Context(), "SELECT 1")
		if err == nil {
			return errors.New("the idle session goes on")
		}
		if got := sqlstate(t, err); got != "57P01" {
			t.Fatalf("SQLSTATE %q, want 57P01: %v", got, err)
		}
		return nil
	})
	_, err = login{gateway: g, account: stack.Analyst}.open(t)
	if got := sqlstate(t, err); got != "57P03" {
		t.Errorf("a new client: SQLSTATE %q, want 57P03: %v", got, err)
	}
	if _, err := busy.Exec(t.Context(), "COMMIT", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Errorf("the busy session could not finish: %v", err)
	}
	select {
	case <-g.Done():
	case <-time.After(40 * time.Second):
		t.Error("the gateway does not end")
		_ = g.Kill()
	}
	for _, role := range roles {
		roleGone(t, role, goneWithin)
	}
	if err := checkLog(g.Log); err != nil {
		t.Error(err)
	}
}

// smallDisk is a file system that a test can fill.
func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatalf("mount a file system that can be filled (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the room that is left. empty gives it back.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	filler, err := os.Create(filepath.Join(dir, "filler"))
	must(t, err)
	for block := make([]byte, 4096); err == nil; {
		_, err = filler.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	must(t, filler.Close())
	return func() { must(t, os.Remove(filler.Name())) }
}

// TestAuditFails: when nothing can be recorded, nothing runs. What ran before that was known is in the log when there is room again.
func TestAuditFails(t *testing.T) {
	dir := smallDisk(t, "256k")
	audit := filepath.Join(dir, "audit.log")
	g, err := shared.services.StartGateway(t.Context(), stack.GatewayOptions{
		Dir: t.TempDir(), Binary: shared.binary, Edit: func(c *stack.GatewayConfig) { c.Audit.File = audit },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Stop() })
	conn := login{gateway: g, account: stack.Analyst}.connect(t)
	execute(t, conn, "SELECT 1")
	empty := fill(t, dir)
	// The page that the log ends in takes a few more lines, and the journal what comes until a write has failed.
	ran := int64(0)
	for ; ran < 100; ran++ {
		if _, err := conn.Exec(t.Context(), fmt.Sprintf("SELECT 'full-0-%d.'", ran), pgx.QueryExecModeSimpleProtocol); err != nil {
			break
		}
	}
	if ran == 100 {
		t.Fatal("statements run though they cannot be recorded")
	}
	eventually(t, 10*time.Second, func() error {
		if status, body := ask(t, g, http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable {
			return fmt.Errorf("/readyz: %d %s", status, body)
		}
		return nil
	})
	if _, err := (login{gateway: g, account: stack.Analyst}).open(t); err == nil {
		t.Error("a session may begin that cannot be recorded")
	}
	empty()
	eventually(t, 10*time.Second, func() error {
		if status, body := ask(t, g, http.MethodGet, "/readyz", ""); status != http.StatusOK {
			return fmt.Errorf("/readyz: %d %s", status, body)
		}
		return nil
	})
	log, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	wantRecorded(t, string(log), "full", ran)
}
