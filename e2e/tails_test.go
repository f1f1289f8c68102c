package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/e2e/stack"
)

// hook keeps what is POSTed to it, while it is there.
type hook struct {
	address string
	server  *http.Server
	served  sync.WaitGroup

	mu   sync.Mutex
	kept []string
}

func (h *hook) start(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", h.address)
	if err != nil {
		t.Fatal(err)
	}
	h.address = listener.Addr().String()
	h.server = &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	h.served.Go(func() { _ = h.server.Serve(listener) })
}

func (h *hook) stop() {
	_ = h.server.Close()
	h.served.Wait()
}

// ServeHTTP implements http.Handler.
func (h *hook) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = append(h.kept, strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")...)
}

// once is what came, without what came again.
func (h *hook) once() (lines []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := make(map[string]bool)
	for _, line := range h.kept {
		if !seen[line] {
			lines = append(lines, line)
		}
		seen[line] = true
	}
	return lines
}

// TestTailFollows: a receiver is away while statements run, the gateway is killed and started again: nobody waits for it, /readyz and the
// metrics show it, and in the end it has the audit log, whole and proved.
func TestTailFollows(t *testing.T) {
	h := &hook{address: "127.0.0.1:0"}
	h.start(t)
	dir := t.TempDir()
	public := signing(t, dir)
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		c.Audit.KeyFile = filepath.Join(dir, "audit.key")
		c.Audit.Tails = map[string]any{"directory": filepath.Join(dir, "tails"), "webhook": map[string]any{"url": "http://" + h.address}}
	}, "audit log is not delivered", "audit log was not closed")
	execute(t, login{gateway: g, account: stack.Service}.connect(t), "SELECT 'followed'")
	eventually(t, 20*time.Second, func() error {
		if !strings.Contains(strings.Join(h.once(), "\n"), "SELECT 'followed'") {
			return errors.New("the statement does not come")
		}
		return nil
	})
	h.stop()
	conn := login{gateway: g, account: stack.Service}.connect(t)
	for n := range 50 {
		execute(t, conn, fmt.Sprintf("SELECT 'behind %d'", n))
	}
	eventually(t, 20*time.Second, func() error {
		status, body := ask(t, g, http.MethodGet, "/readyz", "")
		if status != http.StatusOK || !strings.Contains(body, "connection refused") || !strings.Contains(body, `"audit_tail webhook"`) {
			return fmt.Errorf("/readyz: %d %s", status, body)
		}
		return nil
	})
	_, metrics := ask(t, g, http.MethodGet, "/metrics", "")
	for _, want := range []string{
		`sallyport_audit_tail_failing{class="network",receiver="webhook"} 1`, `sallyport_audit_tail_lost_events_total{receiver="webhook"} 0`,
		`sallyport_audit_tail_lag_events{receiver="webhook"} [1-9]`, `sallyport_audit_tail_delivered_events_total{receiver="webhook"} [1-9]`,
	} {
		if !regexp.MustCompile(strings.NewReplacer("{", `\{`, "}", `\}`).Replace(want)).MatchString(metrics) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := g.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, login{gateway: g, account: stack.Service}.connect(t), "SELECT 'again'")
	h.start(t)
	defer h.stop()
	if err := g.Stop(); err != nil { // which delivers what it can
		t.Error(err)
	}
	if err := g.Start(t.Context()); err != nil { // for the cleanup, which stops it
		t.Fatal(err)
	}
	content, err := os.ReadFile(g.Audit)
	if err != nil {
		t.Fatal(err)
	}
	written := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	eventually(t, 90*time.Second, func() error {
		if n := len(h.once()); n < len(written) {
			return fmt.Errorf("%d of %d lines have come", n, len(written))
		}
		return nil
	})
	copied := strings.Join(h.once()[:len(written)], "\n") + "\n"
	if copied != strings.Join(written, "\n")+"\n" {
		t.Error("the copy is not the log")
	}
	keep := filepath.Join(dir, "copy")
	write(t, keep, copied)
	out, err := exec.CommandContext(t.Context(), shared.binary, "audit", "verify", "--key", public, "--against", keep, g.Audit).CombinedOutput()
	if err != nil {
		t.Errorf("audit verify --against the copy: %v\n%s", err, out)
	}
	if out, err = exec.CommandContext(t.Context(), shared.binary, "audit", "verify", "--key", public, keep).CombinedOutput(); err != nil {
		t.Errorf("audit verify of the copy: %v\n%s", err, out)
	}
}
