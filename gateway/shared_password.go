package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/credentials"
)

const (
	// invalidPassword is what PostgreSQL says of a password that is not the role's.
	invalidPassword = "28P01"
	// rotationPause is for whoever changes a password: PostgreSQL has the new one a moment before who is asked for it does.
	rotationPause = 250 * time.Millisecond
)

// openWith opens a backend session with a lease. A shared password that somebody has changed between being read and being used is read
// again, once: open is called with what came of that. It returns the lease that opened the session, or with which that failed.
func openWith(ctx context.Context, lease credentials.Lease, read func(context.Context) (credentials.Lease, error),
	open func(credentials.Lease, backend.Credential) error,
) (credentials.Lease, error) {
	err := openOnce(lease, open)
	if !mayHaveChanged(lease, err) {
		return lease, err
	}
	again, readErr := read(ctx)
	if readErr == nil && again.Password == lease.Password {
		select {
		case <-time.After(rotationPause):
			again, readErr = read(ctx)
		case <-ctx.Done():
		}
	}
	if readErr != nil || again.Password == lease.Password {
		return lease, err // a password that was refused is not tried twice
	}
	return again, openOnce(again, open)
}

func openOnce(lease credentials.Lease, open func(credentials.Lease, backend.Credential) error) error {
	password := backend.Password(lease.Password)
	defer clear(password)
	if lease.Keys != nil {
		return open(lease, backend.Prepared{Password: password, Client: lease.Keys})
	}
	return open(lease, password)
}

// mayHaveChanged says whether the backend refused a password that is not this session's alone.
func mayHaveChanged(lease credentials.Lease, err error) bool {
	refused, ok := errors.AsType[*backend.Error](err)
	return ok && refused.SQLSTATE == invalidPassword && lease.ID == "" && lease.Password != ""
}
