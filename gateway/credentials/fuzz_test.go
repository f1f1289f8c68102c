package credentials

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// said answers every request with one body.
type said string

// RoundTrip implements http.RoundTripper.
func (s said) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(string(s))), Request: r, Header: http.Header{}}, nil
}

// FuzzIssue wants a whole lease or an *Error from whatever Vault answers.
func FuzzIssue(f *testing.F) {
	f.Add(`{"lease_id":"database/creds/app/x","lease_duration":3600,"renewable":true,"data":{"username":"u","password":"p"}}`)
	f.Add(`{"lease_id":"x","lease_duration":-1,"data":{"username":"u","password":"p"}}`)
	f.Add(`{"lease_id":"x","lease_duration":9223372036854775807,"data":{"username":"u","password":"p"}}`)
	f.Add(`{"errors":["x"]}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, body string) {
		v := newVault(given(nil).withDefaults(), slog.New(slog.DiscardHandler), said(body))
		client, err := v.client(rootToken)
		if err != nil {
			t.Fatal(err)
		}
		lease, err := v.issue(context.Background(), &login{client: client, token: rootToken}, "app")
		if err != nil {
			kindOfError(t, err)
			return
		}
		if lease.ID == "" || lease.Username == "" || lease.Password == "" || lease.ttl <= 0 || lease.Expires.IsZero() {
			t.Errorf("a lease with a part missing: %v", lease)
		}
	})
}
