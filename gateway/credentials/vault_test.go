package credentials

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// kindOfError is the Kind of an *Error, 0 of nil, and fails the test for everything else.
func kindOfError(t *testing.T, err error) Kind {
	t.Helper()
	if err == nil {
		return 0
	}
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want an *Error", err)
	}
	return failure.Kind
}

func issue(t *testing.T, v *Vault) Lease {
	t.Helper()
	lease, err := v.Issue(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

func TestIssue(t *testing.T) {
	for name, cfg := range map[string]func(*testing.T) VaultConfig{
		"token": given, "approle": byAppRole,
		"token file": func(t *testing.T) VaultConfig {
			return VaultConfig{Address: "https://vault.test", TokenFile: secretFile(t, rootToken+"\n")}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, cfg, newFakeVault(), func(t *testing.T, v *Vault) {
				if err := v.Ready(); err != nil {
					t.Fatal(err)
				}
				lease := issue(t, v)
				if lease.Username == "" || lease.Password != password || !lease.Renewable || !lease.MaxExpires.IsZero() {
					t.Errorf("lease = %v", lease)
				}
				if left := time.Until(lease.Expires); left != time.Hour {
					t.Errorf("the lease lasts %s, want an hour", left)
				}
			})
		})
	}
}

func TestIssueFails(t *testing.T) {
	body := func(text string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/creds/") {
				return false
			}
			_, _ = w.Write([]byte(text))
			return true
		}
	}
	for name, test := range map[string]struct {
		role  string
		fault func(http.ResponseWriter, *http.Request) bool
		want  Kind
	}{
		"unknown role":            {"ghost", nil, Refused},
		"forbidden role":          {"forbidden", nil, Refused},
		"nothing mounted":         {"app", at("database/creds/app", 404), Refused},
		"sealed":                  {"app", always(503), Unavailable},
		"quota":                   {"app", at("database/creds/app", 429), Unavailable},
		"database down":           {"app", at("database/creds/app", 500), Unavailable},
		"redirect":                {"app", at("database/creds/app", 307), Unavailable},
		"not JSON":                {"app", body("<html>" + password), Unavailable},
		"too large":               {"app", body(`{"data":"` + strings.Repeat("x", maxResponse) + `"}`), Unavailable},
		"empty":                   {"app", body(""), Refused},
		"no lease":                {"app", body(`{"data":{"username":"u","password":"p"}}`), Unavailable},
		"no password":             {"app", body(`{"lease_id":"l","lease_duration":60,"data":{"username":"u"}}`), Unavailable},
		"no time":                 {"app", body(`{"lease_id":"l","lease_duration":0,"data":{"username":"u","password":"p"}}`), Unavailable},
		"endless time":            {"app", body(`{"lease_id":"l","lease_duration":9223372036854775807,"data":{"username":"u","password":"p"}}`), Unavailable},
		"username of wrong type":  {"app", body(`{"lease_id":"l","lease_duration":60,"data":{"username":1,"password":"p"}}`), Unavailable},
		"a role that is a path":   {"../static-creds/app", nil, Refused},
		"a role with a query":     {"app?x=1", nil, Refused},
		"a role with a slash":     {"app/x", nil, Refused},
		"a role of dots":          {"..", nil, Refused},
		"an escaped role":         {"..%2f..%2fsys", nil, Refused},
		"a role with a line":      {"app\n", nil, Refused},
		"no role":                 {"", nil, Refused},
		"a role that ends in dot": {"app.", nil, Refused},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFakeVault()
			bubble(t, given, fake, func(t *testing.T, v *Vault) {
				held := issue(t, v)
				fake.setFault(test.fault)
				_, err := v.Issue(t.Context(), test.role)
				if got := kindOfError(t, err); got != test.want {
					t.Errorf("Issue: %v is %s, want %s", err, got, test.want)
				}
				for _, secret := range []string{"hvs.", password} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("the error contains a secret: %v", err)
					}
				}
				if lost(held) {
					t.Error("an earlier lease was given up")
				}
				fake.setFault(nil)
			})
		})
	}
}

func TestIssueBeforeLogin(t *testing.T) {
	fake := newFakeVault()
	fake.fault = always(503)
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		if _, err := v.Issue(t.Context(), "app"); kindOfError(t, err) != Unavailable {
			t.Errorf("Issue: %v", err)
		}
		if v.Ready() == nil {
			t.Error("ready without a login")
		}
		fake.setFault(nil)
		time.Sleep(maxLoginBackoff)
		synctest.Wait()
		if err := v.Ready(); err != nil {
			t.Errorf("not ready after Vault came back: %v", err)
		}
		issue(t, v)
	})
}

// TestIssueAbandoned has the caller go away while Vault makes the role: the role must go too.
func TestIssueAbandoned(t *testing.T) {
	fake := newFakeVault()
	fake.fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/creds/") {
			time.Sleep(3 * time.Second) // the bubble's
		}
		return false
	}
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := v.Issue(ctx, "app")
		if kindOfError(t, err) != Unavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Issue: %v", err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if fake.held() != 0 || fake.asked("sys/leases/revoke") != 1 {
			t.Errorf("%d leases are left, %d were revoked", fake.held(), fake.asked("sys/leases/revoke"))
		}
	})
}

// TestDrainAbandoned has the caller go away as before, and everything end meanwhile: what Vault is about to make is waited for.
func TestDrainAbandoned(t *testing.T) {
	fake := newFakeVault()
	fake.fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/creds/") {
			time.Sleep(3 * time.Second) // the bubble's
		}
		return false
	}
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := v.Issue(ctx, "app"); err == nil {
			t.Fatal("Issue succeeded")
		}
		if err := v.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Drain without time: %v", err)
		}
		if err := v.Drain(t.Context()); err != nil || fake.held() != 0 || fake.asked("sys/leases/revoke") != 1 {
			t.Errorf("Drain: %v; %d leases are left, %d were revoked", err, fake.held(), fake.asked("sys/leases/revoke"))
		}
	})
}

func TestWait(t *testing.T) {
	fake := newFakeVault()
	fake.fault = always(503)
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := v.Wait(ctx); kindOfError(t, err) != Unavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait while Vault is sealed: %v", err)
		}
		fake.setFault(nil)
		if err := v.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		issue(t, v)
	})
}

// TestIssueHangs has Vault accept the connection and say nothing.
func TestIssueHangs(t *testing.T) {
	fake := newFakeVault()
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		fake.setFault(func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true })
		started := time.Now()
		_, err := v.Issue(t.Context(), "app")
		if kindOfError(t, err) != Unavailable || time.Since(started) != defaultTimeout {
			t.Errorf("Issue: %v after %s", err, time.Since(started))
		}
		if v.Ready() == nil {
			t.Error("ready although Vault says nothing")
		}
		fake.setFault(nil)
		time.Sleep(2 * faultyHeartbeat)
		synctest.Wait()
		if err := v.Ready(); err != nil {
			t.Errorf("not ready after Vault came back, though nobody asked for a credential: %v", err)
		}
	})
}

func TestMalformedAnswerIsRevoked(t *testing.T) {
	fake := newFakeVault()
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		fake.setFault(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/creds/") {
				answer(w, map[string]any{"lease_id": "database/creds/app/lease-x", "lease_duration": 60, "data": map[string]any{}})
				return true
			}
			return false
		})
		_, err := v.Issue(t.Context(), "app")
		synctest.Wait()
		if kindOfError(t, err) != Unavailable || fake.asked("sys/leases/revoke") != 1 {
			t.Errorf("Issue: %v, %d revocations", err, fake.asked("sys/leases/revoke"))
		}
	})
}

func TestRenew(t *testing.T) {
	fake := newFakeVault()
	fake.maxTTL = 100 * time.Minute
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		lease := issue(t, v)
		time.Sleep(30 * time.Minute)
		renewed, err := v.Renew(t.Context(), lease)
		if err != nil || time.Until(renewed.Expires) != time.Hour || !renewed.MaxExpires.IsZero() {
			t.Fatalf("first Renew: %v, max %s, %v", renewed, renewed.MaxExpires, err)
		}
		if renewed.Password != lease.Password || renewed.ID != lease.ID {
			t.Error("the renewed lease is another")
		}
		time.Sleep(30 * time.Minute)
		renewed, err = v.Renew(t.Context(), renewed)
		if err != nil || time.Until(renewed.Expires) != 40*time.Minute || !renewed.MaxExpires.Equal(renewed.Expires) {
			t.Errorf("capped Renew: %v, max %s, %v", renewed, renewed.MaxExpires, err)
		}
	})
}

func TestRenewFails(t *testing.T) {
	other := func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/sys/leases/renew" {
			return false
		}
		answer(w, map[string]any{"lease_id": "another", "lease_duration": 3600})
		return true
	}
	for name, test := range map[string]struct {
		change func(*Lease)
		fault  func(http.ResponseWriter, *http.Request) bool
		want   Kind
	}{
		"gone":          {func(l *Lease) { l.ID = "database/creds/app/lease-gone" }, nil, Refused},
		"not renewable": {func(l *Lease) { l.Renewable = false }, nil, Refused},
		"forbidden":     {func(*Lease) {}, at("sys/leases/renew", 403), Refused},
		"sealed":        {func(*Lease) {}, always(503), Unavailable},
		"another lease": {func(*Lease) {}, other, Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFakeVault()
			bubble(t, given, fake, func(t *testing.T, v *Vault) {
				lease := issue(t, v)
				test.change(&lease)
				fake.setFault(test.fault)
				_, err := v.Renew(t.Context(), lease)
				if got := kindOfError(t, err); got != test.want || strings.Contains(err.Error(), "/lease-") {
					t.Errorf("Renew: %v is %s, want %s", err, got, test.want)
				}
				if lost(lease) {
					t.Error("the lease was given up")
				}
				fake.setFault(nil)
			})
		})
	}
}

func TestRevoke(t *testing.T) {
	failing := func(sync bool) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v1/sys/leases/revoke" {
				return false
			}
			body := make([]byte, 256)
			n, _ := r.Body.Read(body)
			if !strings.Contains(string(body[:n]), `"sync":true`) && sync {
				w.WriteHeader(202)
				return true
			}
			refuse(w, 500, "role cannot be dropped because some objects depend on it")
			return true
		}
	}
	for name, test := range map[string]struct {
		fault  func(http.ResponseWriter, *http.Request) bool
		want   Kind
		queued bool
		asked  int
	}{
		"at once":            {nil, 0, false, 1},
		"queued":             {failing(true), Unavailable, true, 2},
		"not even queued":    {failing(false), Unavailable, false, 2},
		"forbidden":          {at("sys/leases/revoke", 403), Refused, false, 1},
		"sealed":             {at("sys/leases/revoke", 503), Unavailable, false, 1},
		"redirected":         {at("sys/leases/revoke", 307), Unavailable, false, 1},
		"found at its place": {at("sys/leases/revoke", 302), Unavailable, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFakeVault()
			bubble(t, given, fake, func(t *testing.T, v *Vault) {
				lease := issue(t, v)
				fake.setFault(test.fault)
				err := v.Revoke(t.Context(), lease)
				if got := kindOfError(t, err); got != test.want || errors.Is(err, ErrQueued) != test.queued {
					t.Errorf("Revoke: %v", err)
				}
				if got := fake.asked("sys/leases/revoke"); got != test.asked {
					t.Errorf("Vault was asked %d times, want %d", got, test.asked)
				}
				fake.setFault(nil)
			})
		})
	}
}
