package credentials

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// saying has Vault say something at one path.
func saying(path string, status int, body map[string]any) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/"+path {
			return false
		}
		w.WriteHeader(status)
		answer(w, body)
		return true
	}
}

func TestStaticRoles(t *testing.T) {
	for name, test := range map[string]struct {
		data map[string]any
		role string
		why  string // "": it is good
	}{
		"good":        {map[string]any{"username": "reader", "password": password, "ttl": 60}, "app-reader", ""},
		"no password": {map[string]any{"username": "reader", "rsa_private_key": "k"}, "app-reader", "no username and password"},
		"no user":     {map[string]any{"password": password}, "app-reader", "no username and password"},
		"numbers":     {map[string]any{"username": 1, "password": 2}, "app-reader", "no username and password"},
		"elsewhere":   {nil, "../../sys/seal", "no role name"},
		"empty":       {nil, "", "no role name"},
		"unknown":     {nil, "nobody", "unknown role"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFakeVault()
			bubble(t, given, fake, func(t *testing.T, v *Vault) {
				fake.setFault(saying("database/static-creds/app-reader", 200, map[string]any{"data": test.data}))
				lease, err := v.StaticRoles().Take(t.Context(), test.role)
				if test.why == "" {
					if err != nil || lease.Username != "reader" || lease.Password != password || lease.Source != SourceVaultStatic ||
						lease.ID != "" || !lease.Expires.IsZero() || lease.Lost() != nil {
						t.Errorf("got %v, %v", lease, err)
					}
					return
				}
				refusedBecause(t, err, test.why)
			})
		})
	}
}

func refusedBecause(t *testing.T, err error, why string) {
	t.Helper()
	failure, ok := errors.AsType[*Error](err)
	if !ok || failure.Kind != Refused || !strings.Contains(err.Error(), why) {
		t.Errorf("got %v, want %q", err, why)
	}
	if ok && strings.Contains(err.Error(), password) {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestKV(t *testing.T) {
	good := map[string]any{"username": "reader", "password": password}
	for name, test := range map[string]struct {
		status int
		data   map[string]any
		path   string
		why    string
	}{
		"good":        {200, map[string]any{"data": good, "metadata": map[string]any{"version": 7}}, "app/reader", ""},
		"deleted":     {404, map[string]any{"data": nil, "metadata": map[string]any{"version": 7, "deletion_time": "2026-01-01T00:00:00Z"}}, "app/reader", "no username and password"},
		"no password": {200, map[string]any{"data": map[string]any{"username": "reader"}, "metadata": map[string]any{"version": 7}}, "app/reader", "no username and password"},
		"version 1":   {200, good, "app/reader", "has no version"},
		"elsewhere":   {200, nil, "app/../../sys", "no path"},
		"rooted":      {200, nil, "/app/reader", "no path"},
		"query":       {200, nil, "app/reader?version=1", "no path"},
		"empty":       {200, nil, "", "no path"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFakeVault()
			bubble(t, given, fake, func(t *testing.T, v *Vault) {
				fake.setFault(saying("kept/data/app/reader", test.status, map[string]any{"data": test.data}))
				lease, err := v.KV("kept").Take(t.Context(), test.path)
				if test.why != "" {
					refusedBecause(t, err, test.why)
					return
				}
				if err != nil || lease.Username != "reader" || lease.Password != password || lease.Source != SourceVaultKV || lease.Version != 7 || lease.ID != "" {
					t.Errorf("got %v, %v", lease, err)
				}
			})
		})
	}
}

// TestUnleased: what has no lease is neither renewed nor revoked.
func TestUnleased(t *testing.T) {
	v := newVault(given(t).withDefaults(), nil, newFakeVault())
	for _, source := range []interface{ Revoker() *Revoker }{v.StaticRoles(), v.KV("secret"), NewStatic(nil)} {
		if source.Revoker() != nil {
			t.Errorf("%T revokes", source)
		}
	}
	_, err := v.KV("secret").Renew(t.Context(), Lease{})
	refusedBecause(t, err, "has no lease")
}
