package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// TestOpenWith: a shared password that was refused is read again, once, and never tried twice.
func TestOpenWith(t *testing.T) {
	refused, gone := &backend.Error{Stage: backend.StageAuthenticate, SQLSTATE: "28P01"}, errors.New("gone")
	for name, test := range map[string]struct {
		lease credentials.Lease
		reads []string // what reading again gives, in order; "": an error
		right string   // the password that opens the session
		err   error    // of one that is not; nil: refused
		tried []string
		ok    bool
		waits time.Duration
	}{
		"good":                {credentials.Lease{Password: "a"}, nil, "a", nil, []string{"a"}, true, 0},
		"changed":             {credentials.Lease{Password: "a"}, []string{"b"}, "b", nil, []string{"a", "b"}, true, 0},
		"changed a bit later": {credentials.Lease{Password: "a"}, []string{"a", "b"}, "b", nil, []string{"a", "b"}, true, rotationPause},
		"wrong":               {credentials.Lease{Password: "a"}, []string{"a", "a"}, "b", nil, []string{"a"}, false, rotationPause},
		"changed, and wrong":  {credentials.Lease{Password: "a"}, []string{"b"}, "c", nil, []string{"a", "b"}, false, 0},
		"not to be read":      {credentials.Lease{Password: "a"}, []string{""}, "b", nil, []string{"a"}, false, 0},
		"of one session":      {credentials.Lease{Password: "a", ID: "x"}, nil, "b", nil, []string{"a"}, false, 0},
		"a certificate":       {credentials.Lease{Certificate: &tls.Certificate{}}, nil, "b", nil, []string{""}, false, 0},
		"another error":       {credentials.Lease{Password: "a"}, nil, "b", gone, []string{"a"}, false, 0},
		"another refusal":     {credentials.Lease{Password: "a"}, nil, "b", &backend.Error{SQLSTATE: "53300"}, []string{"a"}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reads, began := test.reads, time.Now()
				var tried []string
				lease, err := openWith(t.Context(), test.lease, func(context.Context) (credentials.Lease, error) {
					if len(reads) == 0 {
						t.Fatal("read once too often")
					}
					password := reads[0]
					reads = reads[1:]
					if password == "" {
						return credentials.Lease{}, gone
					}
					return credentials.Lease{Password: password}, nil
				}, func(lease credentials.Lease, credential backend.Credential) error {
					tried = append(tried, lease.Password)
					switch {
					case string(credential.(backend.Password)) != lease.Password:
						t.Error("the password is not the lease's")
					case lease.Password == test.right:
						return nil
					case test.err != nil:
						return test.err
					}
					return refused
				})
				if (err == nil) != test.ok || len(tried) != len(test.tried) || len(reads) != 0 || time.Since(began) != test.waits {
					t.Fatalf("tried %q after %s: %v", tried, time.Since(began), err)
				}
				for i := range tried {
					if tried[i] != test.tried[i] {
						t.Errorf("tried %q, want %q", tried, test.tried)
					}
				}
				if lease.Password != tried[len(tried)-1] {
					t.Error("the lease is not the one that was tried last")
				}
			})
		})
	}
}
