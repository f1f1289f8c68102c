package credentials

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// FuzzJournal: what can be read can be read with zeros behind it too, and means the same. What is torn is no more than what is there.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"opened":{"id":"a"}}`+"\n"+`{"ended":"b"}`+"\n"), uint16(9))
	f.Add([]byte(`{"opened":{"id":"a"}}`+"\n"+`{"end`), uint16(maxJournalLine))
	f.Add([]byte("\x00\n"), uint16(1))
	f.Add([]byte(`{"opened":{"id":"a"}}`+"\x00\x00\n"), uint16(0))
	f.Fuzz(func(t *testing.T, data []byte, zeros uint16) {
		open, torn, err := entries(bytes.NewReader(data))
		if err != nil {
			return
		}
		if torn < 0 || torn > int64(len(data)) || bytes.IndexByte(data[int64(len(data))-torn:], '\n') >= 0 {
			t.Errorf("%d bytes are torn", torn)
		}
		again, longer, err := entries(io.MultiReader(bytes.NewReader(data), bytes.NewReader(make([]byte, zeros))))
		if err != nil || longer != torn+int64(zeros) || !cmp.Equal(open, again) {
			t.Errorf("with zeros: %v %d, %v", again, longer, err)
		}
	})
}
