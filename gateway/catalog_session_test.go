package gateway

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/catalog"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// fakeLeases renew for so long and until then.
type fakeLeases struct {
	ttl     time.Duration
	until   time.Time
	fails   bool
	renewed []time.Time
}

func (f *fakeLeases) Issue(context.Context, string) (credentials.Lease, error) {
	return credentials.Lease{}, errors.New("sealed")
}

func (f *fakeLeases) Renew(_ context.Context, lease credentials.Lease) (credentials.Lease, error) {
	f.renewed = append(f.renewed, time.Now())
	if f.fails {
		return credentials.Lease{}, errors.New("sealed")
	}
	lease.Expires = time.Now().Add(f.ttl)
	if lease.Expires.After(f.until) {
		lease.Expires = f.until
	}
	return lease, nil
}

// TestCatalogSessionKeepsItsLease: renewed at half-life, and replaced before it ends.
func TestCatalogSessionKeepsItsLease(t *testing.T) {
	for name, test := range map[string]struct {
		renewable, fails bool
		life             time.Duration // how far renewals reach
		replaced         time.Duration // when, from the beginning
		renewals         int           // at least
	}{
		"until it can be renewed no further": {renewable: true, life: 10 * time.Hour, replaced: 10*time.Hour - leaseMargin, renewals: 15},
		"not renewable":                      {life: time.Hour, replaced: time.Hour - leaseMargin},
		"Vault is away":                      {renewable: true, fails: true, life: time.Hour, replaced: time.Hour - leaseMargin, renewals: 5},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				vault := &fakeLeases{ttl: time.Hour, until: began.Add(test.life), fails: test.fails}
				sessions := CatalogSessions{Credentials: vault, Logger: slog.New(slog.DiscardHandler)}
				o := &opened{lease: credentials.Lease{Expires: began.Add(time.Hour), Renewable: test.renewable}}
				if err := sessions.keep(t.Context(), o); !errors.Is(err, catalog.ErrReplace) {
					t.Errorf("keep: %v", err)
				}
				if lived := time.Since(began); lived < test.replaced-time.Second || lived > test.replaced+time.Second {
					t.Errorf("replaced after %v, want %v", lived, test.replaced)
				}
				if len(vault.renewed) < test.renewals {
					t.Errorf("renewed %d times", len(vault.renewed))
				}
				if test.renewals > 0 {
					if first := vault.renewed[0].Sub(began); first < 26*time.Minute || first > 34*time.Minute {
						t.Errorf("renewed after %v for the first time", first)
					}
				}
			})
		})
	}
}

func TestCatalogSessionEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sessions := CatalogSessions{Credentials: &fakeLeases{}, Logger: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := sessions.keep(ctx, &opened{lease: credentials.Lease{Expires: time.Now().Add(time.Hour)}}); err != nil {
			t.Errorf("keep: %v", err)
		}
	})
}

// TestCatalogSessionWithoutCredential: nothing is dialled, and nothing has to be revoked.
func TestCatalogSessionWithoutCredential(t *testing.T) {
	sessions := CatalogSessions{Credentials: &fakeLeases{}, VaultRole: "names"}
	if session, err := sessions.Open(t.Context()); session != nil || err == nil || err.Error() != "sealed" {
		t.Errorf("got %v, %v", session, err)
	}
}

// TestCatalogSessionOnAStandby: it makes room for one on the primary as soon as there is one, and not before.
func TestCatalogSessionOnAStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sessions := CatalogSessions{Credentials: &fakeLeases{}, Logger: slog.New(slog.DiscardHandler)}
		began := time.Now()
		err := sessions.keepUntil(t.Context(), &opened{}, func() bool { return time.Since(began) > time.Minute })
		if lived := time.Since(began); !errors.Is(err, catalog.ErrReplace) || lived < time.Minute || lived > time.Minute+primaryCheck {
			t.Errorf("after %v: %v", lived, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := sessions.keepUntil(ctx, &opened{}, func() bool { return false }); err != nil {
			t.Errorf("without a primary: %v", err)
		}
	})
}

// TestCatalogSessionsPlace: a session on a standby waits for a primary where that is preferred, and nowhere else.
func TestCatalogSessionsPlace(t *testing.T) {
	for target, waits := range map[hosts.Target]bool{hosts.PreferPrimary: true, hosts.Primary: false, hosts.Any: false} {
		set, err := hosts.New(hosts.Config{Hosts: []backend.Config{{Host: "a"}, {Host: "b"}}, Target: target})
		if err != nil {
			t.Fatal(err)
		}
		sessions := CatalogSessions{Hosts: set}
		if got := sessions.better(true) != nil; got != waits || sessions.better(false) != nil {
			t.Errorf("%s: waits for a primary: %v", target, got)
		}
	}
}
