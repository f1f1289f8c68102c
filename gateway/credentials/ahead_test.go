package credentials

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stocked is a configuration that has two credentials of each role ready.
func stocked(t *testing.T) VaultConfig {
	cfg := given(t)
	cfg.Ahead = 2
	return cfg
}

// slow lets Vault take its time to make a role.
func slow(_ http.ResponseWriter, r *http.Request) bool {
	if strings.Contains(r.URL.Path, "/creds/") {
		time.Sleep(200 * time.Millisecond) // the bubble's
	}
	return false
}

func take(t *testing.T, v *Vault) Lease {
	t.Helper()
	lease, err := v.Take(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

// settle lets Vault make what is wanted.
func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func TestTakeDoesNotWait(t *testing.T) {
	fake := newFakeVault()
	fake.fault = slow
	bubble(t, stocked, fake, func(t *testing.T, v *Vault) {
		if fake.held() != 0 {
			t.Errorf("%d credentials of a role that nobody has asked for", fake.held())
		}
		first := take(t, v)
		seen := map[string]bool{first.ID: true}
		for range 5 {
			settle()
			if n := v.Stock(); n != 2 {
				t.Errorf("%d credentials lie ready, want 2", n)
			}
			began := time.Now()
			lease := take(t, v)
			seen[lease.ID] = true
			if first.Stocked || !lease.Stocked || v.Stock() != 1 {
				t.Errorf("stocked: the first %v, another %v; %d are left", first.Stocked, lease.Stocked, v.Stock())
			}
			if waited := time.Since(began); waited != 0 {
				t.Errorf("Take waited for %s", waited)
			}
		}
		if len(seen) != 6 {
			t.Errorf("6 sessions got %d credentials", len(seen))
		}
		settle()
		if fake.held() != 6+2 {
			t.Errorf("Vault holds %d leases, want 8", fake.held())
		}
	})
}

// TestTakeInARush: more come than are ready, and each gets one of its own.
func TestTakeInARush(t *testing.T) {
	fake := newFakeVault()
	fake.fault = slow
	bubble(t, stocked, fake, func(t *testing.T, v *Vault) {
		take(t, v)
		settle()
		var seen sync.Map
		var sessions sync.WaitGroup
		for range 50 {
			sessions.Go(func() {
				lease, err := v.Take(t.Context(), "app")
				if _, twice := seen.LoadOrStore(lease.ID, true); err != nil || twice {
					t.Errorf("Take: %v, again = %t", err, twice)
				}
			})
		}
		sessions.Wait()
		settle()
		if fake.held() != 1+50+2 {
			t.Errorf("Vault holds %d leases, want 53", fake.held())
		}
	})
}

// TestAheadIsFresh: what lies ready for a fourth of its time is replaced, and given up when the role is not used any more.
func TestAheadIsFresh(t *testing.T) {
	fake := newFakeVault()
	bubble(t, stocked, fake, func(t *testing.T, v *Vault) {
		take(t, v)
		settle()
		time.Sleep(time.Hour / freshShare)
		settle()
		if fake.held() != 1+2 || fake.asked("sys/leases/revoke") != 2 {
			t.Errorf("Vault holds %d leases after %d revocations, want 3 after 2", fake.held(), fake.asked("sys/leases/revoke"))
		}
		lease := take(t, v)
		if left := time.Until(lease.Expires); left < 59*time.Minute {
			t.Errorf("the lease has only %s left", left)
		}
		time.Sleep(warm + time.Hour/freshShare)
		settle()
		if fake.held() != 2 {
			t.Errorf("Vault holds %d leases long after the last login, want 2", fake.held())
		}
		asked := fake.asked("database/creds/app")
		time.Sleep(24 * time.Hour)
		if again := fake.asked("database/creds/app"); again != asked {
			t.Errorf("%d credentials were issued overnight", again-asked)
		}
	})
}

// TestAheadFails: a role that Vault does not issue is asked for ever less often, and lies ready again when Vault issues it.
func TestAheadFails(t *testing.T) {
	fake := newFakeVault()
	bubble(t, stocked, fake, func(t *testing.T, v *Vault) {
		take(t, v)
		settle()
		fake.setFault(at("database/creds/app", 500))
		take(t, v)
		take(t, v)
		before := fake.asked("database/creds/app")
		time.Sleep(10 * time.Minute)
		if asked := fake.asked("database/creds/app") - before; asked < 15 || asked > 30 {
			t.Errorf("Vault was asked %d times in ten minutes", asked)
		}
		fake.setFault(nil)
		time.Sleep(lastRestock)
		settle()
		before = fake.asked("database/creds/app")
		take(t, v)
		if fake.asked("database/creds/app") != before {
			t.Error("nothing was ready")
		}
	})
}

// TestAheadOfALostToken: Vault drops the roles of a token that has ended, so nobody may be given one.
func TestAheadOfALostToken(t *testing.T) {
	fake := newFakeVault()
	cfg := func(t *testing.T) VaultConfig {
		cfg := byAppRole(t)
		cfg.Ahead = 2
		return cfg
	}
	bubble(t, cfg, fake, func(t *testing.T, v *Vault) {
		first := take(t, v)
		settle()
		fake.revokeToken("hvs.approle-1")
		time.Sleep(heartbeat)
		settle()
		if !lost(first) {
			t.Fatal("the token's end went unnoticed")
		}
		if lease := take(t, v); lost(lease) {
			t.Error("a session was given a lease that had ended with its token")
		}
	})
}

// TestAheadOfATokensEnd: leases that end with the token are no use to lie ready, and are not asked for again and again.
func TestAheadOfATokensEnd(t *testing.T) {
	fake := newFakeVault()
	fake.tokens[rootToken] = &fakeToken{expires: time.Now().Add(20 * time.Minute), ttl: time.Hour}
	bubble(t, stocked, fake, func(t *testing.T, v *Vault) {
		fake.mu.Lock()
		fake.tokens[rootToken].expires = time.Now().Add(20 * time.Minute)
		fake.mu.Unlock()
		take(t, v)
		time.Sleep(5 * time.Minute)
		settle()
		if asked := fake.asked("database/creds/app"); asked > 20 {
			t.Errorf("%d credentials were issued in five minutes", asked)
		}
	})
}

func TestDrainRevokesWhatIsReady(t *testing.T) {
	fake := newFakeVault()
	fake.fault = slow
	bubble(t, stocked, fake, func(t *testing.T, v *Vault) {
		v.Revoker().Revoke(take(t, v))
		time.Sleep(100 * time.Millisecond) // the stock is on its way
		if err := v.Drain(t.Context()); err != nil || fake.held() != 0 {
			t.Errorf("Drain: %v, %d leases are left", err, fake.held())
		}
		settle()
		if fake.held() != 0 {
			t.Errorf("%d leases were issued after Drain", fake.held())
		}
	})
}
