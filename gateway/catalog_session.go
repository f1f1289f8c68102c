package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/catalog"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// catalogApplication is how PostgreSQL's own log and pg_stat_activity tell a catalog's session from those of clients.
const catalogApplication = "sallyport catalog"

// leases is what a catalog's session needs of a source of credentials.
type leases interface {
	Issue(ctx context.Context, role string) (credentials.Lease, error)
	Renew(ctx context.Context, lease credentials.Lease) (credentials.Lease, error)
}

// CatalogSessions opens the sessions that the catalog of one database is read over. They are opened like those of clients: with a role that
// is made for each, over verified TLS. The role needs nothing but to connect: every role may read PostgreSQL's catalogs.
type CatalogSessions struct {
	Hosts       *hosts.Set
	VaultRole   string // or the group, or the account
	Credentials leases
	Revoker     *credentials.Revoker // of leases with an id
	Logger      *slog.Logger
}

// Open opens one. It is a catalog.Config's.
func (s CatalogSessions) Open(ctx context.Context) (*catalog.Session, error) {
	lease, err := s.Credentials.Issue(ctx, s.VaultRole)
	if err != nil {
		return nil, err
	}
	fresh := lease.ID != "" && lease.Certificate == nil
	var at *hosts.Opened
	lease, err = openWith(ctx, lease, func(ctx context.Context) (credentials.Lease, error) {
		return s.Credentials.Issue(ctx, s.VaultRole)
	}, func(lease credentials.Lease, credential backend.Credential) (err error) {
		at, err = s.Hosts.Open(ctx, hosts.Opening{User: lease.Username, Credential: credential, Certificate: lease.Certificate, Fresh: fresh, Parameters: []backend.Parameter{
			{Name: "client_encoding", Value: "UTF8"}, {Name: "application_name", Value: catalogApplication},
		}})
		return err
	})
	if err != nil {
		s.revoke(lease)
		return nil, err
	}
	o := &opened{lease: lease, session: at.Session, config: at.Config}
	return &catalog.Session{
		Conn: o.session.Conn,
		Keep: func(ctx context.Context) error { return s.keepUntil(ctx, o, s.better(at.Standby)) },
		Close: func(idle bool) {
			s.close(o, idle)
			s.revoke(o.lease)
		},
	}, nil
}

func (s CatalogSessions) revoke(lease credentials.Lease) {
	if lease.ID != "" {
		s.Revoker.Revoke(lease)
	}
}

// primaryCheck is how often a catalog's session on a standby is compared with what is known of a primary.
const primaryCheck = 5 * time.Second

// better says whether there is a better place for a session; nil: there never is. A primary is better than a standby, if one is preferred:
// there, what names mean is known sooner.
func (s CatalogSessions) better(standby bool) func() bool {
	if !standby || s.Hosts.Target() != hosts.PreferPrimary {
		return nil
	}
	return s.Hosts.KnowsPrimary
}

// keepUntil keeps the session until there is a better place for it.
func (s CatalogSessions) keepUntil(ctx context.Context, o *opened, better func() bool) error {
	if better == nil {
		return s.keep(ctx, o)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		tick := time.NewTicker(primaryCheck)
		defer tick.Stop()
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-tick.C:
				if better() {
					stop(fmt.Errorf("it is a standby's, and there is a primary: %w", catalog.ErrReplace))
				}
			}
		}
	}()
	if err := s.keep(ctx, o); err != nil {
		return err
	}
	if err := context.Cause(ctx); errors.Is(err, catalog.ErrReplace) {
		return err
	}
	return nil
}

// keep renews the lease until ctx ends, or the session has to make room for another because the lease does. Nobody looks at the lease
// meanwhile.
func (s CatalogSessions) keep(ctx context.Context, o *opened) error {
	if o.lease.Expires.IsZero() {
		<-ctx.Done()
		return nil
	}
	margin := min(leaseMargin, time.Until(o.lease.Expires)/4)
	for {
		timer := time.NewTimer(max(renewal(o.lease, margin), 0))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-o.lease.Lost():
			timer.Stop()
			return fmt.Errorf("the gateway's Vault token has ended: %w", catalog.ErrReplace)
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
		if time.Until(o.lease.Expires) <= margin {
			return fmt.Errorf("the lease ends: %w", catalog.ErrReplace)
		}
		if err := s.renew(ctx, o, margin); err != nil && ctx.Err() == nil {
			s.Logger.Warn("lease of a catalog session could not be renewed; it is replaced before it ends", "error", err,
				"lease_expires", o.lease.Expires)
		}
	}
}

func (s CatalogSessions) renew(ctx context.Context, o *opened, margin time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, min(renewTime, time.Until(o.lease.Expires)-margin))
	defer cancel()
	renewed, err := s.Credentials.Renew(ctx, o.lease)
	if err == nil {
		o.lease = renewed
	}
	return err
}

// close ends the session. What it may still run is cancelled first: the role must not be dropped under it.
func (s CatalogSessions) close(o *opened, idle bool) {
	if !idle {
		ctx, cancel := context.WithTimeout(context.Background(), cancelTime)
		if err := o.cancel(ctx); err != nil {
			s.Logger.Debug("catalog session could not be cancelled", "error", err)
		}
		cancel()
	}
	o.terminate()
}
