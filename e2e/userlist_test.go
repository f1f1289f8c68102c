package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/e2e/stack"
)

// TestUserlistEndsSessions: who is taken off the userlist is out, without a signal; who has another password goes on; and what a rule no
// longer permits ends with the SIGHUP that brings the rule.
func TestUserlistEndsSessions(t *testing.T) {
	g := ownGateway(t, nil)
	dir := filepath.Dir(g.Config)
	service := login{gateway: g, account: stack.Service, application: "kept"}.connect(t)
	legacy := login{gateway: g, account: stack.Legacy, application: "removed"}.connect(t)
	role := backendRole(t, legacy)
	line, err := stack.UserlistLine(stack.Service, "another password")
	must(t, err)
	replace(t, filepath.Join(dir, "userlist.txt"), line)
	if got := hears(t, legacy, 20*time.Second); !strings.Contains(got, "no longer accepted") {
		t.Errorf("hears %s", got)
	}
	roleGone(t, role, goneWithin)
	value(t, service, "SELECT 'still here'")
	text, err := os.ReadFile(g.Config)
	must(t, err)
	before, after, found := strings.Cut(string(text), "method: scram-sha-256")
	if !found {
		t.Fatalf("no rule with SCRAM in %s", text)
	}
	write(t, g.Config, before+"method: reject"+after)
	must(t, g.Signal(syscall.SIGHUP))
	if got := hears(t, service, 20*time.Second); !strings.Contains(got, "no longer accepted") {
		t.Errorf("hears %s", got)
	}
	for _, e := range ended(t, g, "removed") {
		if e.Type == "session_end" && e.Reason != "identity_expired" {
			t.Errorf("ended by %q", e.Reason)
		}
	}
}
