package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/stack"
)

// TestFailover: the primary dies, the standby is promoted, and new sessions find it without anybody telling the gateway; those that were at
// the standby go on.
func TestFailover(t *testing.T) {
	t.Parallel()
	r := replicate(t, nil, provisioningLost)
	engineer, analyst := r.login(t, stack.Engineer), r.login(t, stack.Analyst)
	writes, reads := engineer.connect(t), atStandby(t, analyst)
	const query = "SELECT product FROM orders WHERE id = 1"
	execute(t, writes, "UPDATE orders SET product = 'before' WHERE id = 1")
	if err := r.standby.CaughtUp(t.Context(), r.primary); err != nil {
		t.Fatal(err)
	}
	if err := r.primary.Crash(); err != nil {
		t.Fatal(err)
	}
	if got := value(t, reads, query); got != "before" {
		t.Errorf("the session at the standby sees %q", got)
	}
	if _, err := writes.Exec(t.Context(), query); err == nil {
		t.Error("the session at the dead primary goes on")
	}
	if _, err := engineer.open(t); sqlstate(t, err) != "57P03" {
		t.Errorf("without a primary: %v", err)
	}
	if err := r.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	var after *pgx.Conn
	eventually(t, 30*time.Second, func() (err error) { after, err = engineer.open(t); return err })
	defer after.Close(t.Context())
	if got := recovering(t, after); got != "false" {
		t.Errorf("in recovery: %s", got)
	}
	eventually(t, 30*time.Second, func() error { // the catalog is read anew
		_, err := after.Exec(t.Context(), "UPDATE orders SET product = 'after' WHERE id = 1")
		return err
	})
	if got := value(t, reads, query); got != "after" {
		t.Errorf("the session from before the failover sees %q", got)
	}
	role := backendRole(t, reads)
	_ = reads.Close(t.Context())
	eventually(t, goneWithin, func() error {
		conn, err := pgx.Connect(t.Context(), r.standby.DSN(stack.App))
		if err != nil {
			return err
		}
		defer conn.Close(t.Context())
		if n := value(t, conn, "SELECT count(*)::text FROM pg_roles WHERE rolname = $1", role); n != "0" {
			return fmt.Errorf("role %s is still there", role)
		}
		return nil
	})
	again := analyst.connect(t) // any host will do where there is no standby
	if got := value(t, again, query); got != "after" {
		t.Errorf("a new session of the route sees %q", got)
	}
}

// TestFailoverWithVault: Vault makes the roles, at whichever host is the primary. A session at a standby that does not know its role yet is
// opened at the primary; after a failover Vault goes on at the new primary, and drops there the role of a session that died with the old one.
func TestFailoverWithVault(t *testing.T) {
	t.Parallel()
	r := replicating(t, stack.Config{})
	if err := r.services.Vault.FollowPrimary(t.Context(), r.primary, r.standby); err != nil {
		t.Fatal(err)
	}
	r.start(t, nil, []string{"lease could not be revoked"})
	engineer, analyst := r.login(t, stack.Engineer), r.login(t, stack.Analyst)
	engineer.application = "dies"
	writes, reads := engineer.connect(t), atStandby(t, analyst)
	lost := backendRole(t, writes)
	if !strings.HasPrefix(lost, "v-") || !strings.HasPrefix(backendRole(t, reads), "v-") {
		t.Fatalf("%s is no role of Vault's", lost)
	}
	standby, err := pgx.Connect(t.Context(), r.standby.DSN(stack.App))
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Close(t.Context())
	execute(t, standby, "SELECT pg_wal_replay_pause()")
	lagging := analyst.connect(t)
	if got := recovering(t, lagging); got != "false" {
		t.Errorf("a role that the standby does not have: in recovery: %s", got)
	}
	_ = lagging.Close(t.Context())
	execute(t, standby, "SELECT pg_wal_replay_resume()")
	_ = atStandby(t, analyst).Close(t.Context())

	if err := r.standby.CaughtUp(t.Context(), r.primary); err != nil {
		t.Fatal(err)
	}
	if err := r.primary.Crash(); err != nil {
		t.Fatal(err)
	}
	if _, err := writes.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("the session at the dead primary goes on")
	}
	engineer.application = "in vain"
	if _, err := engineer.open(t); sqlstate(t, err) != "57P03" {
		t.Errorf("without a primary: %v", err)
	}
	all := ended(t, r.gateway, "dies")
	if end := all[len(all)-1]; end.Reason != "backend_gone" || end.Revocation != "pending" {
		t.Errorf("audit has %+v", end)
	}
	value(t, reads, "SELECT product FROM orders WHERE id = 1")
	if got := value(t, standby, "SELECT count(*)::text FROM pg_roles WHERE rolname = $1", lost); got != "1" {
		t.Errorf("%s roles of the session that died are there before anybody could drop them", got)
	}
	if err := r.standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	engineer.application = "comes again"
	var after *pgx.Conn
	eventually(t, 30*time.Second, func() (err error) { after, err = engineer.open(t); return err })
	defer after.Close(t.Context())
	if fresh := backendRole(t, after); fresh == lost || recovering(t, after) != "false" {
		t.Errorf("the new session has the role %s", fresh)
	}
	eventually(t, 30*time.Second, func() error { // the catalog is read anew
		_, err := after.Exec(t.Context(), "UPDATE orders SET product = 'after' WHERE id = 1")
		return err
	})
	if got := value(t, reads, "SELECT product FROM orders WHERE id = 1"); got != "after" {
		t.Errorf("the session from before the failover sees %q", got)
	}
	eventually(t, 60*time.Second, func() error {
		if n := value(t, standby, "SELECT count(*)::text FROM pg_roles WHERE rolname = $1", lost); n != "0" {
			return fmt.Errorf("role %s is still there", lost)
		}
		n, err := r.services.Vault.Leases(t.Context(), "app-readwrite")
		if err == nil && n != 1 {
			err = fmt.Errorf("Vault holds %d leases, want the new session's", n)
		}
		return err
	})
}
