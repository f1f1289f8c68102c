package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/e2e/stack"
)

// TestDatabaseRemoved: what a reload takes out of the configuration has no sessions any more, and no roles, whoever makes them; the other
// databases' go on.
func TestDatabaseRemoved(t *testing.T) {
	for name, edit := range map[string]func(*stack.GatewayConfig){"Vault": nil, "minted": (*stack.GatewayConfig).Mint} {
		t.Run(name, func(t *testing.T) {
			g := ownGateway(t, edit)
			stays := login{gateway: g, account: stack.DBA}.connect(t)
			goes := login{gateway: g, account: stack.DBA, database: stack.Scratch, application: "removed"}.connect(t)
			role := backendRole(t, goes)
			without(t, g, stack.Scratch)
			if got := hears(t, goes, 10*time.Second); !strings.Contains(got, "its database is no longer configured") {
				t.Errorf("hears %s", got)
			}
			roleGone(t, role, goneWithin)
			value(t, stays, "SELECT 'still here'")
			if _, err := (login{gateway: g, account: stack.DBA, database: stack.Scratch}).open(t); sqlstate(t, err) != "3D000" {
				t.Errorf("a new login: %v", err)
			}
			all := ended(t, g, "removed")
			if end := all[len(all)-1]; end.Reason != "database_removed" || end.SQLState != "57P01" || end.Revocation == "none" {
				t.Errorf("audit has %+v", end)
			}
		})
	}
}

// without takes a database out of a gateway's configuration.
func without(t *testing.T, g *stack.Gateway, database string) {
	t.Helper()
	var config map[string]any
	text, err := os.ReadFile(g.Config)
	must(t, err)
	must(t, yaml.Unmarshal(text, &config))
	delete(config["databases"].(map[string]any), database)
	text, err = yaml.Marshal(config)
	must(t, err)
	write(t, g.Config, string(text))
	must(t, g.Signal(syscall.SIGHUP))
}
