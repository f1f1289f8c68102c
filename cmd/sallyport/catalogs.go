package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/catalog"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/metrics"
	"github.com/sallyport/sallyport/tlsutil"
)

// catalogs are what is known of the databases. A catalog outlives the configuration that it came with: sessions that began under that ask it
// until their end. So one that no configuration has any more goes on until the gateway ends.
type catalogs struct {
	added chan struct{} // one place: some are waiting
	over  chan struct{} // closed by end
	ended chan struct{} // closed when Run has ended

	mu      sync.Mutex
	known   map[whereabouts]*knownCatalog
	waiting []*knownCatalog // to be run
	inForce []*knownCatalog // those of the configuration in force, by name
}

// whereabouts tell databases apart: what has moved elsewhere is another one.
type whereabouts struct {
	name, hosts, database string
}

// knownCatalog is a catalog and how it is read.
type knownCatalog struct {
	*catalog.Catalog
	at       whereabouts
	settings catalogSettings
	sessions atomic.Pointer[gateway.CatalogSessions] // nil: it is not in use yet
}

// catalogSettings have a catalog's session replaced when they change.
type catalogSettings struct {
	config.Catalog
	tls tlsutil.ClientFiles
}

// plannedCatalog is what a configuration wants of one.
type plannedCatalog struct {
	of       *knownCatalog
	settings catalogSettings
	config   catalog.Config
	sessions *gateway.CatalogSessions
}

func newCatalogs() *catalogs {
	return &catalogs{
		added: make(chan struct{}, 1), over: make(chan struct{}), ended: make(chan struct{}),
		known: make(map[whereabouts]*knownCatalog),
	}
}

// planCatalogs gives the databases of a configuration their catalogs, those that are known and new ones. catalogs.use puts the plan in force.
func (p *process) planCatalogs(c *config.Config, databases map[string]gateway.Database) (plan []plannedCatalog, err error) {
	for name, section := range c.Places() {
		if section.Catalog == nil || section.Shared != "" {
			continue
		}
		of := p.catalogs.find(whereabouts{name, strings.Join(section.Addresses(), ","), section.Name})
		database, logger := databases[name], p.logger.With("database", name)
		issuer := p.issuers.of(name, section)
		want := plannedCatalog{
			of: of, settings: catalogSettings{*section.Catalog, section.TLS},
			config: catalog.Config{
				Open:    func(ctx context.Context) (*catalog.Session, error) { return of.sessions.Load().Open(ctx) },
				Analyze: p.statements.Analyze, Poll: section.Catalog.Poll, MaxAge: section.Catalog.MaxAge, Logger: logger,
			},
			sessions: &gateway.CatalogSessions{
				Hosts: catalogHosts(database.Hosts), VaultRole: section.Catalog.VaultRole, Credentials: issuer, Revoker: issuer.Revoker(), Logger: logger,
			},
		}
		if of.Catalog == nil {
			if of.Catalog, err = catalog.New(want.config); err != nil {
				return nil, c.Problem("databases."+name+".catalog", err)
			}
		}
		database.Catalog = of.Catalog
		databases[name] = database
		plan = append(plan, want)
	}
	shareCatalogs(c, databases)
	slices.SortFunc(plan, func(a, b plannedCatalog) int { return cmp.Compare(a.of.at.name, b.of.at.name) })
	return plan, nil
}

// shareCatalogs gives the routes that have none of their own those of their databases: they are the same cluster.
func shareCatalogs(c *config.Config, databases map[string]gateway.Database) {
	for name, section := range c.Places() {
		if section.Shared != "" {
			route := databases[name]
			route.Catalog = databases[section.Shared].Catalog
			databases[name] = route
		}
	}
}

// catalogHosts is where a database's catalog is read: on the primary, for a standby that is behind would say of names what they no longer
// mean. Sessions that may be on standbys are judged by a standby's catalog while there is no primary.
func catalogHosts(all *hosts.Set) *hosts.Set {
	if target := all.Target(); target == hosts.Primary || target == hosts.ReadWrite {
		return all.For(hosts.Primary)
	}
	return all.For(hosts.PreferPrimary)
}

// find finds a catalog, or makes the place of one.
func (cs *catalogs) find(at whereabouts) *knownCatalog {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if known := cs.known[at]; known != nil {
		return known
	}
	return &knownCatalog{at: at}
}

// use puts a plan in force. A catalog that is read as before goes on with its session; the next one is opened with the certificates of now.
func (cs *catalogs) use(plan []plannedCatalog) error {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var errs []error
	cs.inForce = nil
	for _, want := range plan {
		switch before := want.of.sessions.Swap(want.sessions); {
		case before == nil:
			cs.known[want.of.at] = want.of
			cs.waiting = append(cs.waiting, want.of)
		case want.of.settings != want.settings:
			errs = append(errs, want.of.Reconfigure(want.config))
		}
		want.of.settings = want.settings
		cs.inForce = append(cs.inForce, want.of)
	}
	select {
	case cs.added <- struct{}{}:
	default:
	}
	return errors.Join(errs...)
}

// Run runs all of them, and those that are added, until ctx ends or end is called. ready returns when the parts that they need are there.
func (cs *catalogs) Run(ctx context.Context, ready func(ctx context.Context, database string) error) error {
	defer close(cs.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for {
		for _, known := range cs.next() {
			running.Go(func() {
				if ready(ctx, known.at.name) == nil {
					_ = known.Run(ctx) // ends with ctx, without an error
				}
			})
		}
		select {
		case <-cs.added:
		case <-cs.over:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

func (cs *catalogs) next() []*knownCatalog {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	next := cs.waiting
	cs.waiting = nil
	return next
}

// end ends Run, which has begun, and returns when their sessions are closed and their credentials are given to be revoked.
func (cs *catalogs) end() {
	close(cs.over)
	<-cs.ended
}

func (cs *catalogs) current() []*knownCatalog {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.Clone(cs.inForce)
}

// checks are for /readyz. They are advisory: another database may be fine, and this one may still let in those who name nothing.
func (cs *catalogs) checks() []admin.Check {
	var checks []admin.Check
	for _, known := range cs.current() {
		checks = append(checks, advisory("catalog "+known.at.name, known.Ready()))
	}
	return checks
}

// numbers are for the metrics.
func (cs *catalogs) numbers() []metrics.Catalog {
	var all []metrics.Catalog
	for _, known := range cs.current() {
		s := known.Status()
		all = append(all, metrics.Catalog{
			Database: known.at.name, Generation: s.Generation, Confirmed: s.Confirmed, Opaque: s.Opaque,
			Read: s.Read, Unchanged: s.Unchanged, Failed: s.Failed,
		})
	}
	return all
}
