package credentials

import (
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTokenIsKept(t *testing.T) {
	fake := newFakeVault()
	fake.tokens[rootToken] = &fakeToken{expires: time.Now(), ttl: time.Hour, renewable: true}
	bubble(t, func(t *testing.T) VaultConfig {
		fake.tokens[rootToken].renew() // in the bubble's time
		return given(t)
	}, fake, func(t *testing.T, v *Vault) {
		lease := issue(t, v)
		time.Sleep(12 * time.Hour)
		if err := v.Ready(); err != nil || lost(lease) {
			t.Errorf("after twelve hours: %v, lost %v", err, lost(lease))
		}
		if n := fake.asked("auth/token/renew-self"); n < 12 || n > 30 {
			t.Errorf("the token was renewed %d times", n)
		}
	})
}

// TestTokenRevoked has somebody revoke our token. Whoever notices first, the leases are lost and a new login is made.
func TestTokenRevoked(t *testing.T) {
	notices := map[string]func(t *testing.T, v *Vault){
		"heartbeat": func(*testing.T, *Vault) { time.Sleep(heartbeat + time.Second) },
		"issue":     func(t *testing.T, v *Vault) { issue(t, v) },
		"revoke": func(t *testing.T, v *Vault) {
			if err := v.Revoke(t.Context(), Lease{ID: "x"}); kindOfError(t, err) != Unavailable {
				t.Errorf("Revoke: %v", err)
			}
		},
	}
	for name, notice := range notices {
		t.Run(name, func(t *testing.T) {
			fake := newFakeVault()
			bubble(t, byAppRole, fake, func(t *testing.T, v *Vault) {
				lease := issue(t, v)
				fake.revokeToken("hvs.approle-1")
				notice(t, v)
				synctest.Wait()
				if !lost(lease) {
					t.Error("the old lease was not given up")
				}
				if next := issue(t, v); lost(next) {
					t.Error("the new lease was given up")
				}
			})
		})
	}
}

// TestTokenRevokedForGood has a token that cannot be obtained again.
func TestTokenRevokedForGood(t *testing.T) {
	fake := newFakeVault()
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		lease := issue(t, v)
		fake.revokeToken(rootToken)
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		started := time.Now()
		_, err := v.Issue(ctx, "app")
		if kindOfError(t, err) != Unavailable || time.Since(started) != 4*time.Second {
			t.Errorf("Issue: %v after %s", err, time.Since(started))
		}
		if !lost(lease) || v.Ready() == nil {
			t.Errorf("lost %v, ready %v", lost(lease), v.Ready())
		}
	})
}

// TestTokenForbidsLookup must not be taken for a token that has ended, again and again: the login itself fails.
func TestTokenForbidsLookup(t *testing.T) {
	fake := newFakeVault()
	fake.fault = at("auth/token/lookup-self", 403)
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		if err := v.Ready(); kindOfError(t, err) != Refused {
			t.Errorf("Ready: %v", err)
		}
	})
}

// TestTokenReachesItsMaximum: AppRole is used again before the token ends; leases of the old one are lost when it ends, not before.
func TestTokenReachesItsMaximum(t *testing.T) {
	fake := newFakeVault()
	bubble(t, byAppRole, fake, func(t *testing.T, v *Vault) {
		lease := issue(t, v)
		time.Sleep(4*time.Hour - 5*time.Minute)
		if n := fake.asked("auth/approle/login"); n != 2 {
			t.Errorf("logged in %d times, want twice", n)
		}
		next := issue(t, v)
		if lost(lease) || lost(next) {
			t.Errorf("lost before the token's end: %v, %v", lost(lease), lost(next))
		}
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if !lost(lease) || lost(next) {
			t.Errorf("lost after the token's end: %v, want true; the next %v, want false", lost(lease), lost(next))
		}
	})
}

// TestTokenEndsWhileAppRoleFails: the leases are lost at the token's end even though no login took its place.
func TestTokenEndsWhileAppRoleFails(t *testing.T) {
	fake := newFakeVault()
	bubble(t, byAppRole, fake, func(t *testing.T, v *Vault) {
		lease := issue(t, v)
		fake.setFault(at("auth/approle/login", 503))
		time.Sleep(4*time.Hour + time.Second)
		synctest.Wait()
		if !lost(lease) || v.Ready() == nil {
			t.Errorf("lost %v, ready %v", lost(lease), v.Ready())
		}
		fake.setFault(nil)
		time.Sleep(maxLoginBackoff)
		synctest.Wait()
		issue(t, v)
	})
}

// TestOutage: a lease survives an outage that its token survives.
func TestOutage(t *testing.T) {
	fake := newFakeVault()
	bubble(t, byAppRole, fake, func(t *testing.T, v *Vault) {
		lease := issue(t, v)
		fake.setFault(always(503))
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		if v.Ready() == nil || lost(lease) {
			t.Errorf("during the outage: ready %v, lost %v", v.Ready(), lost(lease))
		}
		fake.mu.Lock()
		said := strings.Count(fake.logs.String(), "vault cannot be used")
		fake.mu.Unlock()
		if said != 1 {
			t.Errorf("the outage was logged %d times, want once", said)
		}
		fake.setFault(nil)
		time.Sleep(2 * faultyHeartbeat)
		synctest.Wait()
		if err := v.Ready(); err != nil || lost(lease) {
			t.Errorf("after the outage: %v, lost %v", err, lost(lease))
		}
	})
}

// TestTokenNotRenewable caps leases at the token's end, when Vault drops their roles.
func TestTokenNotRenewable(t *testing.T) {
	fake := newFakeVault()
	bubble(t, func(t *testing.T) VaultConfig {
		fake.tokens[rootToken] = &fakeToken{expires: time.Now().Add(20 * time.Minute)}
		return given(t)
	}, fake, func(t *testing.T, v *Vault) {
		lease := issue(t, v)
		if time.Until(lease.Expires) != 20*time.Minute || !lease.MaxExpires.Equal(lease.Expires) {
			t.Errorf("the lease ends in %s, want 20m", time.Until(lease.Expires))
		}
		time.Sleep(20*time.Minute + time.Second)
		synctest.Wait()
		if !lost(lease) {
			t.Error("the lease outlived its token")
		}
	})
}

// TestTokenFileRotates follows Vault Agent.
func TestTokenFileRotates(t *testing.T) {
	fake := newFakeVault()
	fake.tokens["hvs.second"] = &fakeToken{}
	var path string
	bubble(t, func(t *testing.T) VaultConfig {
		path = secretFile(t, rootToken)
		return VaultConfig{Address: "https://vault.test", TokenFile: path}
	}, fake, func(t *testing.T, v *Vault) {
		first := issue(t, v)
		if err := os.WriteFile(path, []byte("hvs.second\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(heartbeat + time.Second)
		synctest.Wait()
		second := issue(t, v)
		if lost(first) || first.parent.token == second.parent.token {
			t.Errorf("lost %v, same token %v", lost(first), first.parent.token == second.parent.token)
		}
		fake.revokeToken(rootToken)
		time.Sleep(heartbeat + time.Second)
		synctest.Wait()
		if !lost(first) || lost(second) {
			t.Errorf("after the first token was revoked: lost %v, want true; the second %v, want false", lost(first), lost(second))
		}
	})
}

func TestClose(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  func(*testing.T) VaultConfig
		want int
	}{
		"own token":   {byAppRole, 1},
		"given token": {given, 0},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFakeVault()
			bubble(t, test.cfg, fake, func(t *testing.T, v *Vault) {
				lease := issue(t, v)
				if err := v.Close(t.Context()); err != nil {
					t.Error(err)
				}
				if got := fake.asked("auth/token/revoke-self"); got != test.want || !lost(lease) {
					t.Errorf("%d tokens were revoked, want %d; lost %v", got, test.want, lost(lease))
				}
			})
		})
	}
}
