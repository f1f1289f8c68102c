package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"reflect"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// issuers are where the credentials of sessions come from. They live as long as the gateway: what sessions hold outlives a reload.
type issuers struct {
	vault  *credentials.Vault       // nil: no database uses it
	minted map[string]*provisioning // by database
	static atomic.Pointer[[]admin.Check]
}

// provisioning is a database whose roles the gateway makes itself.
type provisioning struct {
	*credentials.Minted
	opener atomic.Pointer[gateway.Provisioning] // of the configuration in force
}

// source is an issuer that has to be run.
type source interface {
	Run(ctx context.Context) error
	Wait(ctx context.Context) error
	Drain(ctx context.Context) error
	Close(ctx context.Context) error
	Ready() error
	Stock() int
	Revoker() *credentials.Revoker
}

// newIssuers makes the sources that a configuration needs, and opens their journals.
func newIssuers(c *config.Config, logger *slog.Logger) (_ *issuers, err error) {
	i := &issuers{minted: make(map[string]*provisioning)}
	if c.UsesVault() {
		if i.vault, err = credentials.NewVault(c.Vault, logger); err != nil {
			return nil, c.Problem("vault", err)
		}
	}
	for name, db := range c.Places() {
		if db.Minted == nil || db.Shared != "" {
			continue
		}
		p := &provisioning{}
		p.Minted, err = credentials.NewMinted(credentials.MintedConfig{
			Open:  func(ctx context.Context) (net.Conn, error) { return p.opener.Load().Open(ctx) },
			Owner: db.Minted.Owner, Owners: db.Minted.Owners, Groups: db.MintedGroups(), TTL: db.Minted.TTL, MaxTTL: db.Minted.MaxTTL,
			JournalFile: db.Minted.JournalFile, Ahead: db.Minted.Ahead, Connections: db.Minted.Connections,
		}, logger.With("database", name))
		if err != nil {
			return nil, c.Problem("databases."+name+".minted", err)
		}
		i.minted[name] = p
	}
	return i, nil
}

// fits says why a configuration cannot be put in force with the sources that there are.
func (i *issuers) fits(old, next *config.Config) error {
	var errs []error
	if next.UsesVault() && i.vault == nil {
		errs = append(errs, next.Problem("vault", errors.New("no database has used it so far: restart the gateway")))
	}
	places := old.Places()
	for name, db := range next.Places() {
		before := places[name]
		same := overlap(before.Addresses(), db.Addresses()) && before.Shared == db.Shared && before.Name == db.Name && reflect.DeepEqual(before.Minted, db.Minted) &&
			slices.Equal(before.MintedGroups(), db.MintedGroups())
		if db.Minted != nil && db.Shared == "" && !same {
			errs = append(errs, next.Problem("databases."+name+".minted", errors.New("what makes roles, and where, has changed: restart the gateway")))
		}
	}
	return errors.Join(errs...)
}

// overlap says whether two lists of hosts have one in common: what has none is another cluster.
func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(host string) bool { return slices.Contains(b, host) })
}

// issuer is a source of credentials of any kind.
type issuer interface {
	Take(ctx context.Context, role string) (credentials.Lease, error)
	Issue(ctx context.Context, role string) (credentials.Lease, error)
	Renew(ctx context.Context, lease credentials.Lease) (credentials.Lease, error)
	Revoker() *credentials.Revoker
}

// of is where a database's credentials come from.
func (i *issuers) of(name string, section config.Database) issuer {
	name = cmp.Or(section.Shared, name)
	switch {
	case section.Credentials == credentials.SourceVault:
		return i.vault
	case section.Credentials == credentials.SourceVaultStatic:
		return i.vault.StaticRoles()
	case section.Credentials == credentials.SourceVaultKV:
		return i.vault.KV(section.KVMount)
	case section.Credentials == credentials.SourceVaultPKI:
		return i.vault.PKI(section.PKI)
	case section.Minted != nil:
		return i.minted[name]
	}
	return credentials.NewStatic(section.Static)
}

// supply gives the databases of a configuration that fits their sources, but does not change the sources: see use.
func (i *issuers) supply(c *config.Config, databases map[string]gateway.Database) {
	for name, section := range c.Places() {
		database := databases[name]
		database.Credentials = i.of(name, section)
		databases[name] = database
	}
}

// use has roles made over connections as a configuration that is put in force says, and tells of database users that sessions share.
func (i *issuers) use(c *config.Config, databases map[string]gateway.Database) {
	var shared []admin.Check
	places := c.Places()
	for _, name := range slices.Sorted(maps.Keys(places)) {
		section := places[name]
		if section.Shared != "" {
			continue
		}
		if m := section.Minted; m != nil {
			i.minted[name].opener.Store(&gateway.Provisioning{Hosts: databases[name].Hosts.For(hosts.Primary), User: m.User, PasswordFile: m.PasswordFile})
		}
		if sharing := section.Sharing(); sharing != "" {
			check := advisory("credentials "+name, credentials.NewStatic(section.Static).Ready())
			if check.OK {
				check.Message = sharing
			}
			shared = append(shared, check)
		}
	}
	i.static.Store(&shared)
}

// all are the sources that have to be run, by the names that operators see.
func (i *issuers) all() (names []string, sources []source) {
	if i.vault != nil {
		names, sources = append(names, "vault"), append(sources, i.vault)
	}
	for _, name := range slices.Sorted(maps.Keys(i.minted)) {
		names, sources = append(names, "credentials "+name), append(sources, i.minted[name])
	}
	return names, sources
}

// run runs them until ctx ends.
func (i *issuers) run(ctx context.Context, group *errgroup.Group) {
	_, sources := i.all()
	for _, s := range sources {
		group.Go(func() error { return s.Run(ctx) })
	}
}

// waitFor returns when a database's credentials can be issued.
func (i *issuers) waitFor(ctx context.Context, database string) error {
	if p := i.minted[database]; p != nil {
		return p.Wait(ctx)
	}
	if i.vault != nil {
		return i.vault.Wait(ctx)
	}
	return nil
}

// together has all do something at once.
func (i *issuers) together(do func(source) error) error {
	var group errgroup.Group
	names, sources := i.all()
	errs := make([]error, len(sources))
	for n, s := range sources {
		group.Go(func() error {
			if err := do(s); err != nil {
				errs[n] = fmt.Errorf("%s: %w", names[n], err)
			}
			return nil
		})
	}
	_ = group.Wait()
	return errors.Join(errs...)
}

// checks are for /readyz. One database whose roles cannot be made does not make the others unready: all of them together do.
func (i *issuers) checks() []admin.Check {
	var checks []admin.Check
	if i.vault != nil {
		checks = append(checks, checkOf("vault", i.vault.Ready()))
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(i.minted)) {
		err := i.minted[name].Ready()
		checks, errs = append(checks, advisory("credentials "+name, err)), append(errs, err)
	}
	if len(errs) > 0 && !slices.Contains(errs, nil) {
		checks = append(checks, checkOf("credentials", errors.New("no database's provisioning role can be used")))
	}
	return append(checks, *i.static.Load()...)
}

// hurry has revocations that failed tried again soon, however long they have failed.
func (i *issuers) hurry() {
	_, sources := i.all()
	for _, s := range sources {
		s.Revoker().Hurry()
	}
}

// pending is how many leases wait to be revoked.
func (i *issuers) pending() (n int) {
	_, sources := i.all()
	for _, s := range sources {
		n += s.Revoker().Pending()
	}
	return n
}

// stock is how many credentials lie ready.
func (i *issuers) stock() (n int) {
	_, sources := i.all()
	for _, s := range sources {
		n += s.Stock()
	}
	return n
}
