package gateway

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/gateway/credentials"
)

// What the fake Vault issues, always the same: a role of the fake PostgreSQL.
const (
	leaseUser     = "v-app-1"
	leasePassword = "s3cret-of-the-lease"
)

// startVault runs a Vault that issues one credential to whoever asks, and a client of it that is logged in.
func startVault(t testing.TB) *credentials.Vault {
	t.Helper()
	fake := httptest.NewServer(http.HandlerFunc(serveVault))
	t.Cleanup(fake.Close)
	v, err := credentials.NewVault(credentials.VaultConfig{Address: fake.URL, Token: "hvs.test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = v.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		_ = v.Close(context.Background())
	})
	until(t, "the gateway has logged in to Vault", func() bool { return v.Ready() == nil })
	return v
}

func serveVault(w http.ResponseWriter, r *http.Request) {
	answer := func(body map[string]any) { _ = json.NewEncoder(w).Encode(body) }
	switch r.URL.Path {
	case "/v1/auth/token/lookup-self":
		answer(map[string]any{"data": map[string]any{"ttl": 0, "renewable": false}})
	case "/v1/database/creds/app-readonly":
		answer(map[string]any{
			"lease_id": "database/creds/app-readonly/1", "lease_duration": 3600, "renewable": true,
			"data": map[string]any{"username": leaseUser, "password": leasePassword},
		})
	case "/v1/sys/leases/revoke":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// until waits for what must come true, and for nothing else.
func until(t testing.TB, what string, isTrue func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !isTrue(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}
