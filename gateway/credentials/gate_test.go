package credentials

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"
)

const creds = "database/creds/app"

// together has so many sessions take a credential at once, and returns how many got one and the longest that one waited.
func together(t *testing.T, v *Vault, sessions int) (got int, longest time.Duration) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range sessions {
		all.Go(func() {
			began := time.Now()
			lease, err := v.Take(t.Context(), "app")
			mu.Lock()
			defer mu.Unlock()
			longest = max(longest, time.Since(began))
			if err == nil {
				got++
				v.Revoker().Revoke(lease)
			} else if failure, ok := errors.AsType[*Error](err); !ok || failure.Kind != Unavailable {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	return got, longest
}

// TestGateBoundsRequests: a Vault that hangs is asked a few times, whatever number of sessions waits, and then by one at a time.
func TestGateBoundsRequests(t *testing.T) {
	fake := newFakeVault()
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		fake.setFault(func(_ http.ResponseWriter, r *http.Request) bool {
			<-r.Context().Done()
			return true
		})
		if got, longest := together(t, v, 100); got != 0 || longest > patience {
			t.Errorf("%d credentials; a session waited %s", got, longest)
		}
		if asked := fake.asked(creds); asked != maxAtOnce {
			t.Errorf("Vault was asked %d times, want %d", asked, maxAtOnce)
		}
		time.Sleep(2 * time.Second) // the requests end after their sessions
		before := fake.asked(creds)
		if _, longest := together(t, v, 100); longest > patience {
			t.Errorf("a session waited %s", longest)
		}
		if asked := fake.asked(creds) - before; asked != 1 {
			t.Errorf("Vault was asked %d times, want once", asked)
		}
		fake.setFault(nil)
		time.Sleep(5*time.Second + lastProbe)
		if got, _ := together(t, v, 1); got != 1 {
			t.Error("no credential when Vault is back")
		}
		if got, _ := together(t, v, 100); got != 100 {
			t.Errorf("%d credentials when Vault is back", got)
		}
	})
}

// TestGateTellsAtOnce: after some failures in a row sessions are told why without Vault being asked.
func TestGateTellsAtOnce(t *testing.T) {
	for name, test := range map[string]struct{ status, asked int }{
		"sealed":         {503, minFailures},
		"asked too much": {429, minFailures},
		"not caught up":  {412, minFailures},
		"of the role":    {500, 11}, // one of the ten is repeated
		"refused":        {400, 10},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFakeVault()
			bubble(t, given, fake, func(t *testing.T, v *Vault) {
				fake.setFault(at(creds, test.status))
				for range 10 {
					_, err := v.Take(t.Context(), "app")
					if failure, ok := errors.AsType[*Error](err); !ok || failure.Status != test.status {
						t.Errorf("got %v, want status %d", err, test.status)
					}
				}
				if asked := fake.asked(creds); asked != test.asked {
					t.Errorf("Vault was asked %d times, want %d", asked, test.asked)
				}
				if test.status == 400 {
					return
				}
				_, err := v.Take(t.Context(), "other")
				refusedBecause(t, err, "unknown role") // the fake's own words
			})
		})
	}
}

// TestGateRepeats: one failure between two that went well is nobody's.
func TestGateRepeats(t *testing.T) {
	fake := newFakeVault()
	bubble(t, given, fake, func(t *testing.T, v *Vault) {
		for range 3 {
			var once sync.Once
			fake.setFault(func(w http.ResponseWriter, r *http.Request) (failed bool) {
				if r.URL.Path == "/v1/"+creds {
					once.Do(func() { failed = at(creds, 500)(w, r) })
				}
				return failed
			})
			if got, longest := together(t, v, 1); got != 1 || longest > maxPause {
				t.Errorf("%d credentials in %s", got, longest)
			}
		}
		if asked := fake.asked(creds); asked != 6 {
			t.Errorf("Vault was asked %d times, want 6", asked)
		}
	})
}

// TestTokenLostByMany: when the token has ended a crowd asks once whether it has, and each once more with the next.
func TestTokenLostByMany(t *testing.T) {
	const many = 50
	fake := newFakeVault()
	bubble(t, byAppRole, fake, func(t *testing.T, v *Vault) {
		fake.revokeToken("hvs.approle-1")
		if got, _ := together(t, v, many); got != many {
			t.Errorf("%d credentials", got)
		}
		if asked := fake.asked(creds); asked > 2*many {
			t.Errorf("Vault was asked %d times for %d credentials", asked, many)
		}
		if asked := fake.asked("auth/token/lookup-self"); asked > maxAtOnce+4 {
			t.Errorf("Vault was asked %d times after the token", asked)
		}
		if logins := fake.asked("auth/approle/login"); logins != 2 {
			t.Errorf("%d logins, want 2", logins)
		}
	})
}

func TestExplain(t *testing.T) {
	for want, err := range map[string]*Error{
		"Vault is unavailable to the gateway: it is sealed, nobody is active, or its namespace is locked.":  {Kind: Unavailable, Status: 503},
		"Vault is unavailable to the gateway: it says that it is asked too often.":                          {Kind: Unavailable, Status: 429},
		"Vault is unavailable to the gateway: it has failed, or the database that it makes credentials in.": {Kind: Unavailable, Status: 500},
		"Vault is unavailable to the gateway: it answered with an error.":                                   {Kind: Unavailable, Status: 502},
		"Vault is unavailable to the gateway: the gateway's login to it has ended.":                         {Kind: Unavailable, Status: 403, Err: errTokenLost},
		"Vault is unavailable to the gateway: the gateway is not logged in to it.":                          {Kind: Unavailable, Err: errNotLoggedIn},
		"Vault is unavailable to the gateway: it cannot be reached.":                                        {Kind: Unavailable, Err: errors.New("connection refused")},
		"Vault is refusing to issue a credential to the gateway.":                                           {Kind: Refused, Status: 403, Source: SourceVaultKV},
		"The gateway cannot read the credential that is configured for this role.":                          {Kind: Refused, Source: SourceStatic},
		"The backend is unavailable to the gateway's provisioning role.":                                    {Kind: Unavailable, Source: SourceMinted},
	} {
		if got := err.Explain(); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}
