package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/e2e/stack"
)

const (
	// crowd is how many logins wait at once.
	crowd = 30
	// refusedWithin is how soon they must hear that they wait in vain, on a machine that has nothing else to do.
	refusedWithin = 5 * time.Second
	// atOnce is how much the gateway asks at once for one role, and some for what was over before the last of the crowd came.
	atOnce = 16 + 8
	// readOnlyCreds is where the analyst's credentials come from.
	readOnlyCreds = "/database/creds/app-readonly"
)

// outage is a gateway whose Vault can be broken: it asks through a forwarder, which asks through a proxy.
type outage struct {
	vault     *stack.Vault
	proxy     *vaultProxy
	forwarder *forwarder
	gateway   *stack.Gateway
	tokenFile string
}

// vaultFails is what the gateway logs in an outage.
var vaultFails = []string{"vault cannot be used", lostToken}

func newOutage(t *testing.T) *outage {
	t.Helper()
	o := &outage{vault: secureVault(t)}
	o.proxy = proxyVault(t, o.vault)
	o.forwarder = forward(t, strings.TrimPrefix(o.proxy.URL, "http://"))
	o.gateway = ownGateway(t, func(c *stack.GatewayConfig) {
		asking(t, o.vault, "http://"+o.forwarder.address)(c)
		o.tokenFile = c.Vault.Auth.TokenFile
	}, vaultFails...)
	return o
}

// TestVaultOutages: however Vault fails, a crowd of new clients hears so at once, is told what is wrong, and does not become a crowd of
// requests; who is in stays; and nobody restarts anything when it is over.
func TestVaultOutages(t *testing.T) {
	answer := func(status int, path string) func(*testing.T, *outage) {
		return func(_ *testing.T, o *outage) {
			o.proxy.setFault(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.Path, path) {
					return false
				}
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"errors":["as the test wants"]}`)
				return true
			})
		}
	}
	healed := func(_ *testing.T, o *outage) { o.proxy.setFault(nil) }
	for name, test := range map[string]struct {
		fail, heal func(*testing.T, *outage)
		symptom    string
		role       bool // it is the role that fails, and nobody knows of the others
	}{
		"sealed": {
			func(t *testing.T, o *outage) { must(t, o.vault.Seal(t.Context())) },
			func(t *testing.T, o *outage) { must(t, o.vault.Unseal(t.Context())) }, "it is sealed", false,
		},
		"unreachable": {
			func(_ *testing.T, o *outage) { o.forwarder.close() },
			func(t *testing.T, o *outage) { o.forwarder.open(t) }, "it cannot be reached", false,
		},
		"silent": {
			func(_ *testing.T, o *outage) { o.forwarder.stall(true) },
			func(_ *testing.T, o *outage) { o.forwarder.stall(false) }, "it does not answer in time", false,
		},
		"asked too often": {answer(http.StatusTooManyRequests, "/v1/"), healed, "it says that it is asked too often", false},
		"the role fails":  {answer(http.StatusInternalServerError, readOnlyCreds), healed, "or the database that it makes credentials in", true},
		"it all fails":    {answer(http.StatusInternalServerError, "/v1/"), healed, "it has failed", true},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOutage(t)
			conn := login{gateway: o.gateway, account: stack.Analyst}.connect(t)
			test.fail(t, o)
			before := o.proxy.count(readOnlyCreds)
			o.refuses(t, test.symptom)
			first := o.proxy.count(readOnlyCreds) - before
			o.refuses(t, test.symptom)
			second := o.proxy.count(readOnlyCreds) - before - first
			most, mostAgain := atOnce, 3
			if test.role { // nobody is told what others have heard, and those who were there when it began asked twice
				most, mostAgain = crowd+atOnce, crowd
			}
			if first > most || second > mostAgain {
				t.Errorf("%d logins asked Vault %d times, and then %d times", crowd, first, second)
			}
			if got := value(t, conn, "SELECT 'still here'"); got != "still here" {
				t.Errorf("got %q", got)
			}
			test.heal(t, o)
			o.recovers(t)
			role := backendRole(t, conn)
			_ = conn.Close(t.Context())
			roleGone(t, role, 40*time.Second)
		})
	}
}

// refuses has a crowd of clients log in at once, in vain.
func (o *outage) refuses(t *testing.T, symptom string) {
	t.Helper()
	unasked := o.crowd(t, "nowhere", func(refused *pgconn.PgError) error {
		if refused.Code != "42501" {
			return fmt.Errorf("%w, want 42501", refused)
		}
		return nil
	})
	took := o.crowd(t, stack.App, func(refused *pgconn.PgError) error {
		switch {
		case refused.Code != "57P03":
			return fmt.Errorf("%w, want 57P03", refused)
		case !strings.HasPrefix(refused.Detail, "Vault is unavailable to the gateway: ") || !strings.Contains(refused.Detail, symptom):
			return fmt.Errorf("the client is told %q, want %q", refused.Detail, symptom)
		}
		return nil
	})
	if took > refusedWithin+unasked {
		t.Errorf("refused after %s; what needs no Vault took %s", took, unasked)
	}
}

// crowd has clients log in at once who are to be refused, and returns what the last of them took.
func (o *outage) crowd(t *testing.T, database string, as func(*pgconn.PgError) error) time.Duration {
	t.Helper()
	began := time.Now()
	var clients sync.WaitGroup
	for range crowd {
		clients.Go(func() {
			_, err := login{gateway: o.gateway, account: stack.Analyst, database: database}.open(t)
			var refused *pgconn.PgError
			if !errors.As(err, &refused) {
				t.Errorf("%v, want a refusal", err)
			} else if err := as(refused); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	return time.Since(began)
}

// recovers waits until clients get in.
func (o *outage) recovers(t *testing.T) {
	t.Helper()
	eventually(t, 15*time.Second, func() error {
		conn, err := login{gateway: o.gateway, account: stack.Analyst}.open(t)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
}

// TestVaultSealedForLong: a session lives as long as its lease, and no longer.
func TestVaultSealedForLong(t *testing.T) {
	o := newOutage(t)
	must(t, o.vault.SetCredentialTTL(t.Context(), 12*time.Second))
	conn := login{gateway: o.gateway, account: stack.Analyst}.connect(t)
	must(t, o.vault.Seal(t.Context()))
	began := time.Now()
	endsBefore(t, conn, 13*time.Second)
	if lived := time.Since(began); lived < 7*time.Second {
		t.Errorf("it ended %s after Vault was sealed, long before its lease", lived)
	}
	must(t, o.vault.Unseal(t.Context()))
	o.recovers(t)
}

// TestVaultTokenFile: the token that the gateway was given is revoked, and nobody gets in until the file has another.
func TestVaultTokenFile(t *testing.T) {
	o := newOutage(t)
	conn := login{gateway: o.gateway, account: stack.Analyst}.connect(t)
	role := backendRole(t, conn)
	token := strings.TrimSpace(read(t, o.tokenFile))
	_, err := o.vault.Client.Logical().WriteWithContext(t.Context(), "auth/token/revoke", map[string]any{"token": token})
	must(t, err)
	for range 2 {
		o.refuses(t, "the gateway")
	}
	if asked := o.proxy.count(readOnlyCreds); asked > 1+2*crowd {
		t.Errorf("Vault was asked %d times", asked)
	}
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a session goes on without its lease")
	}
	roleGone(t, role, 10*time.Second)
	next := &stack.GatewayConfig{}
	asking(t, o.vault, o.vault.Address)(next)
	must(t, os.WriteFile(o.tokenFile, []byte(read(t, next.Vault.Auth.TokenFile)), 0o600))
	eventually(t, 40*time.Second, func() error { // the gateway tries to log in less and less often
		conn, err := login{gateway: o.gateway, account: stack.Analyst}.open(t)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
}

// TestVaultSlow: a Vault that takes its time slows down nobody who finds a credential ready. How long logins take then,
// `make bench BENCH="-plan logins -rows Vault"` says; here it is that none of them waits.
func TestVaultSlow(t *testing.T) {
	const delay, ahead, logins = 200 * time.Millisecond, 8, 200
	vault := secureVault(t)
	proxy := proxyVault(t, vault)
	g := ownGateway(t, func(c *stack.GatewayConfig) {
		asking(t, vault, proxy.URL)(c)
		c.Vault.Ahead = ahead
	})
	proxy.setFault(func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
		}
		return false
	})
	login{gateway: g, account: stack.Analyst}.connect(t)
	ready := func(least float64) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			if n := metric(t, g, "sallyport_credentials_ready"); n < least {
				return fmt.Errorf("%v credentials lie ready", n)
			}
			return nil
		})
	}
	ready(ahead)
	const stocked = `sallyport_credentials_taken_total{from="stock"}`
	before := metric(t, g, stocked)
	var took []time.Duration
	for range logins {
		ready(1) // nobody comes faster than Vault answers; four at a time are asked for ahead
		began := time.Now()
		conn := login{gateway: g, account: stack.Analyst}.connect(t)
		took = append(took, time.Since(began))
		_ = conn.Close(t.Context())
	}
	slices.Sort(took)
	half, late := took[logins/2], took[logins*99/100]
	t.Logf("of %d logins half took %s, and 99 of 100 %s, while Vault takes %s", logins, half, late, delay)
	if n := metric(t, g, stocked) - before; n != logins {
		t.Errorf("%v of %d logins found a credential ready", n, logins)
	}
	if late > refusedWithin {
		t.Errorf("99 of 100 logins took up to %s", late)
	}
}

// metric is the value of one of a gateway's time series.
func metric(t *testing.T, g *stack.Gateway, series string) float64 {
	t.Helper()
	_, body := ask(t, g, http.MethodGet, "/metrics", "")
	for line := range strings.Lines(body) {
		if value, found := strings.CutPrefix(line, series+" "); found {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			must(t, err)
			return n
		}
	}
	t.Fatalf("there is no %s", series)
	return 0
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
