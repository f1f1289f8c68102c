package credentials

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

const (
	rootToken = "hvs.given-token"
	secretID  = "the-secret-id"
	password  = "A1a-the-password"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeVault is as much of Vault as this package uses, in memory: it works inside a synctest bubble, where hours take no time.
type fakeVault struct {
	mu       sync.Mutex
	tokens   map[string]*fakeToken
	leases   map[string]time.Time // by id: the end
	maxTTL   time.Duration        // of a lease, from its issue; 0: none
	counter  int
	requests []string                                                 // method and path
	fault    func(w http.ResponseWriter, r *http.Request) (done bool) // asked first
	logs     bytes.Buffer                                             // of the Vault under test
}

type fakeToken struct {
	expires   time.Time // zero: never
	max       time.Time // zero: none
	ttl       time.Duration
	renewable bool
}

func newFakeVault() *fakeVault {
	return &fakeVault{tokens: map[string]*fakeToken{rootToken: {}}, leases: map[string]time.Time{}}
}

// RoundTrip implements http.RoundTripper.
func (f *fakeVault) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	f.mu.Lock()
	f.requests = append(f.requests, r.Method+" "+r.URL.Path)
	fault := f.fault
	f.mu.Unlock()
	if fault == nil || !fault(recorder, r) {
		f.ServeHTTP(recorder, r)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	response := recorder.Result()
	response.Request = r
	return response, nil
}

// ServeHTTP implements http.Handler.
func (f *fakeVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	if r.Body != nil {
		_ = json.NewDecoder(r.Body).Decode(&body)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	if path == "auth/approle/login" {
		f.login(w, body)
		return
	}
	name := r.Header.Get("X-Vault-Token")
	token := f.tokens[name]
	if token == nil || !token.expires.IsZero() && !time.Now().Before(token.expires) {
		refuse(w, 403, "permission denied", "invalid token")
		return
	}
	id, _ := body["lease_id"].(string)
	switch path {
	case "auth/token/lookup-self":
		answer(w, map[string]any{"data": map[string]any{"ttl": token.left(), "renewable": token.renewable}})
	case "auth/token/renew-self":
		token.renew()
		answer(w, map[string]any{"auth": map[string]any{"client_token": name, "lease_duration": token.left(), "renewable": token.renewable}})
	case "auth/token/revoke-self":
		delete(f.tokens, name)
		w.WriteHeader(204)
	case "database/creds/app":
		f.issue(w)
	case "database/creds/forbidden":
		refuse(w, 403, "permission denied")
	case "sys/leases/renew":
		f.renew(w, id, body["increment"])
	case "sys/leases/revoke":
		delete(f.leases, id)
		w.WriteHeader(204)
	default:
		refuse(w, 400, "unknown role: "+path)
	}
}

func (f *fakeVault) login(w http.ResponseWriter, body map[string]any) {
	if body["role_id"] != "the-role-id" || body["secret_id"] != secretID {
		refuse(w, 400, "invalid role or secret ID")
		return
	}
	f.counter++
	name := fmt.Sprintf("hvs.approle-%d", f.counter)
	f.tokens[name] = &fakeToken{
		expires: time.Now().Add(time.Hour), max: time.Now().Add(4 * time.Hour), ttl: time.Hour, renewable: true,
	}
	answer(w, map[string]any{"auth": map[string]any{"client_token": name, "lease_duration": 3600, "renewable": true}})
}

func (f *fakeVault) issue(w http.ResponseWriter) {
	f.counter++
	id := fmt.Sprintf("database/creds/app/lease-%d", f.counter)
	f.leases[id] = time.Now().Add(f.maxTTL)
	answer(w, map[string]any{
		"lease_id": id, "lease_duration": 3600, "renewable": true,
		"data": map[string]any{"username": fmt.Sprintf("v-app-%d", f.counter), "password": password},
	})
}

func (f *fakeVault) renew(w http.ResponseWriter, id string, increment any) {
	end, ok := f.leases[id]
	if !ok {
		refuse(w, 400, "lease not found")
		return
	}
	granted := time.Duration(increment.(float64)) * time.Second
	if f.maxTTL > 0 {
		granted = min(granted, time.Until(end))
	}
	answer(w, map[string]any{"lease_id": id, "lease_duration": int(granted.Seconds()), "renewable": true})
}

func (t *fakeToken) left() int {
	if t.expires.IsZero() {
		return 0
	}
	return int(time.Until(t.expires).Seconds())
}

func (t *fakeToken) renew() {
	t.expires = time.Now().Add(t.ttl)
	if !t.max.IsZero() && t.expires.After(t.max) {
		t.expires = t.max
	}
}

func answer(w http.ResponseWriter, body any) { _ = json.NewEncoder(w).Encode(body) }

func refuse(w http.ResponseWriter, status int, texts ...string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": texts})
}

// setFault replaces the fault while requests run.
func (f *fakeVault) setFault(fault func(http.ResponseWriter, *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// always answers everything with one status.
func always(status int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, status, "as the test wants")
		return true
	}
}

// at answers one path with one status.
func at(path string, status int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/"+path {
			return false
		}
		refuse(w, status, "as the test wants")
		return true
	}
}

// revokeToken is somebody else revoking a token.
func (f *fakeVault) revokeToken(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tokens, name)
}

// held is the number of leases that Vault still has.
func (f *fakeVault) held() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.leases)
}

func (f *fakeVault) asked(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, request := range f.requests {
		if strings.HasSuffix(request, "/v1/"+path) {
			n++
		}
	}
	return n
}

// Write takes the log of the Vault under test.
func (f *fakeVault) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.logs.Write(p)
}

// given is a configuration with a token.
func given(*testing.T) VaultConfig {
	return VaultConfig{Address: "https://vault.test:8200", Token: rootToken}
}

// byAppRole is a configuration with an AppRole.
func byAppRole(t *testing.T) VaultConfig {
	t.Helper()
	return VaultConfig{
		Address: "https://vault.test:8200",
		AppRole: AppRole{RoleIDFile: secretFile(t, "the-role-id\n"), SecretIDFile: secretFile(t, secretID)},
	}
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// bubble runs body against a Vault that runs, in a synctest bubble, and looks for secrets in all it logged.
func bubble(t *testing.T, cfg func(*testing.T) VaultConfig, fake *fakeVault, body func(t *testing.T, v *Vault)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := newVault(cfg(t).withDefaults(), slog.New(slog.NewJSONHandler(fake, &slog.HandlerOptions{Level: slog.LevelDebug})), fake)
		if err := v.ledger.openJournal(v.cfg.JournalFile); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := v.Run(ctx); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		synctest.Wait()
		body(t, v)
		cancel()
		running.Wait()
		if v.ledger.journal != nil {
			_ = v.ledger.journal.close()
		}
	})
	for _, secret := range []string{"hvs.", secretID, password, "/lease-"} {
		if strings.Contains(fake.logs.String(), secret) {
			t.Errorf("the log contains %q:\n%s", secret, fake.logs.String())
		}
	}
}

// lost reports whether a lease has been given up.
func lost(lease Lease) bool {
	select {
	case <-lease.Lost():
		return true
	default:
		return false
	}
}
