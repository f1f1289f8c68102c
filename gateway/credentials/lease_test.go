package credentials

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestLeaseShowsNoSecret(t *testing.T) {
	lease := Lease{
		ID: "database/creds/app/abcdefgh", Username: "v-app-1", Password: "A1a-secret", Expires: time.Now(),
		parent: &login{token: "hvs.token"},
	}
	type holder struct {
		Lease   Lease
		Pointer *Lease
		Any     any
	}
	held := holder{lease, &lease, lease}
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t", "%5.2f", "%U"} {
		//nolint:govet // the verbs are wrong on purpose
		shown = append(shown, fmt.Sprintf(verb, lease), fmt.Sprintf(verb, &lease), fmt.Sprintf(verb, held), fmt.Sprintf(verb, []Lease{lease}))
	}
	for _, value := range []any{lease, &lease, held, map[string]Lease{"a": lease}} {
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var text, structured bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", "lease", value)
		slog.New(slog.NewJSONHandler(&structured, nil)).Info("x", "lease", value)
		shown = append(shown, string(encoded), text.String(), structured.String(), fmt.Sprint(value), fmt.Errorf("x: %v", value).Error())
	}
	for _, text := range shown {
		for _, secret := range []string{lease.Password, lease.ID, "hvs.", fmt.Sprintf("%x", lease.Password)} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in %q", secret, text)
			}
		}
	}
}

func TestLeaseIDHash(t *testing.T) {
	const want = "ba7816bf8f01cfea414140de5dae2223" // FIPS 180-4: SHA-256 of "abc", its first half
	if got := (Lease{ID: "abc"}).IDHash(); got != want {
		t.Errorf("IDHash = %s, want %s", got, want)
	}
}

func TestLeaseLostElsewhere(t *testing.T) {
	if (Lease{}).Lost() != nil {
		t.Error("a lease of no login can be lost")
	}
}
