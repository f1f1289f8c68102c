package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// TestLeaseJournalFails: while the disk of the lease journal is full nobody gets in, for a lease would be forgotten, and none is left; who is
// in stays, and nobody does anything about the gateway once there is room.
func TestLeaseJournalFails(t *testing.T) {
	vault := secureVault(t)
	for name, test := range map[string]struct {
		edit    func(*testing.T) func(*stack.GatewayConfig)
		journal string
		roles   func(*testing.T) (int, error) // of sessions, that somebody has made
	}{
		"vault": {
			func(t *testing.T) func(*stack.GatewayConfig) { return asking(t, vault, vault.Address) }, "leases",
			func(t *testing.T) (int, error) { return vault.Leases(t.Context(), "app-readonly") },
		},
		"minted": {
			func(*testing.T) func(*stack.GatewayConfig) { return (*stack.GatewayConfig).Mint }, "leases." + stack.App,
			func(t *testing.T) (int, error) {
				return strconv.Atoi(value(t, superuser(t, stack.App), `SELECT count(*)::text FROM pg_roles r JOIN pg_auth_members m ON m.member = r.oid
					WHERE r.rolname ~ '^s-' AND m.roleid = 'app_readonly'::regrole`))
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := smallDisk(t, "64k")
			journal := filepath.Join(dir, test.journal)
			edit := test.edit(t)
			g := ownGateway(t, func(c *stack.GatewayConfig) {
				edit(c)
				c.Vault.JournalFile = ""
				if name == "vault" {
					c.Vault.JournalFile = journal
				} else {
					c.Databases[stack.App].Minted.JournalFile = journal
				}
			}, "lease journal cannot be written")
			conn := login{gateway: g, account: stack.Analyst}.connect(t)
			role := backendRole(t, conn)
			empty := fill(t, dir)
			isRefused(t, g)
			if got := value(t, conn, "SELECT 'still here'"); got != "still here" {
				t.Errorf("got %q", got)
			}
			eventually(t, 10*time.Second, func() error {
				n, err := test.roles(t)
				if err == nil && n != 1 {
					err = fmt.Errorf("there are %d roles, want that of the session", n)
				}
				return err
			})
			empty()
			eventually(t, 10*time.Second, func() error {
				conn, err := login{gateway: g, account: stack.Analyst}.open(t)
				if err != nil {
					return err
				}
				return conn.Close(t.Context())
			})
			eventually(t, 5*time.Second, func() error {
				open, err := credentials.ReadJournal(journal)
				open = slices.DeleteFunc(open, func(e credentials.Entry) bool {
					return e.Role == "app-catalog" || e.Role == "scratch-catalog" || e.Role == "app_catalog"
				})
				if err == nil && (len(open) != 1 || open[0].Username != role) {
					err = fmt.Errorf("the journal knows %v, want %s alone", open, role)
				}
				return err
			})
		})
	}
}

// isRefused logs in until that is refused: the page that the journal ends in takes a few lines more. Then it is refused as long as there is no
// room.
func isRefused(t *testing.T, g *stack.Gateway) {
	t.Helper()
	for refused, logins := 0, 0; refused < 3; logins++ {
		conn, err := login{gateway: g, account: stack.Analyst}.open(t)
		var failure *pgconn.PgError
		switch {
		case err == nil && refused > 0:
			t.Fatal("somebody gets in though his lease cannot be written")
		case err == nil && logins > 100:
			t.Fatal("the disk is not full")
		case err == nil:
			must(t, conn.Close(t.Context()))
		case !errors.As(err, &failure) || failure.Code != "57P03" || failure.Detail != "The gateway cannot write its journal of leases.":
			t.Fatalf("%v, want 57P03", err)
		default:
			refused++
		}
	}
}
