package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/catalog"
	"github.com/sallyport/sallyport/gateway/config"
)

// catalogTime bounds the reading of a database's catalog: a login to Vault or as the provisioning role, a role, a session, and what is read over it.
const catalogTime = time.Minute

// loginTime bounds the first part of it.
const loginTime = 10 * time.Second

// databaseCatalogs read what the names in a configuration's databases mean now, as a gateway does: each over a session of its own, with the
// catalog's credential. None is opened before it is asked for.
type databaseCatalogs struct {
	config  *config.Config
	analyze catalog.Analyze

	backend map[string]gateway.Database // nil: nothing was asked for yet
	known   map[string]*catalog.Snapshot
	issuers map[string]*runningIssuers // by database; Vault, which is one for all, by vaultIssuer
}

// vaultIssuer is no database's name.
const vaultIssuer = ""

// runningIssuers are the sources of one database's credentials.
type runningIssuers struct {
	*issuers
	group errgroup.Group
	stop  context.CancelFunc
}

// newDatabaseCatalogs is nil, and knows nothing, without a configuration.
func newDatabaseCatalogs(c *config.Config, analyze catalog.Analyze) *databaseCatalogs {
	if c == nil {
		return nil
	}
	return &databaseCatalogs{config: c, analyze: analyze, known: map[string]*catalog.Snapshot{}, issuers: map[string]*runningIssuers{}}
}

// resolve gives the facts of a text what its names mean at a route of a database; as they are for one that has no catalog.
func (d *databaseCatalogs) resolve(ctx context.Context, database, route string, sheet *statement.Sheet, path []string) (*statement.Sheet, error) {
	snapshot, err := d.snapshot(ctx, catalogKey(d.config, database, route))
	if err != nil || snapshot == nil {
		return sheet, err
	}
	return snapshot.Resolve(sheet, path), nil
}

// catalogKey is the place whose catalog says what names mean to sessions of a database that policy gives a route.
func catalogKey(c *config.Config, database, route string) string {
	if key := config.RouteKey(database, route); c != nil && route != "" && c.Places()[key].Shared == "" {
		return key
	}
	return database
}

// snapshot reads a database's catalog, once; nil for one that has none.
func (d *databaseCatalogs) snapshot(ctx context.Context, database string) (*catalog.Snapshot, error) {
	if d == nil || d.config.Places()[database].Catalog == nil {
		return nil, nil
	}
	if known := d.known[database]; known != nil {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, catalogTime)
	defer cancel()
	snapshot, err := d.read(ctx, database)
	if err != nil {
		return nil, fmt.Errorf("read the catalog of database %s (--catalog=false takes names as they are written): %w", database, err)
	}
	d.known[database] = snapshot
	return snapshot, nil
}

func (d *databaseCatalogs) read(ctx context.Context, database string) (*catalog.Snapshot, error) {
	sessions, err := d.sessions(ctx, database)
	if err != nil {
		return nil, err
	}
	known, err := catalog.New(catalog.Config{Open: sessions.Open, Analyze: d.analyze})
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	var run sync.WaitGroup
	run.Go(func() { _ = known.Run(running) }) // ends with its context, without an error
	snapshot, err := known.Current(ctx)
	stop()
	run.Wait() // the session is closed, and its credential given to be revoked
	return snapshot, err
}

// sessions are a database's, by its catalog's role.
func (d *databaseCatalogs) sessions(ctx context.Context, database string) (gateway.CatalogSessions, error) {
	source, err := d.issuer(ctx, database)
	if err != nil {
		return gateway.CatalogSessions{}, err
	}
	return gateway.CatalogSessions{
		Hosts: catalogHosts(d.backend[database].Hosts), VaultRole: d.config.Places()[database].Catalog.VaultRole, Credentials: source,
		Revoker: source.Revoker(), Logger: slog.New(slog.DiscardHandler),
	}, nil
}

// issuer is where a database's credentials come from. It is started once.
func (d *databaseCatalogs) issuer(ctx context.Context, database string) (_ issuer, err error) {
	section := d.config.Places()[database]
	key := database
	if section.Credentials.OfVault() {
		key = vaultIssuer
	}
	if known := d.issuers[key]; known != nil {
		return known.of(database, section), nil
	}
	if d.backend == nil {
		if d.backend, err = d.config.Backends(); err != nil {
			return nil, err
		}
	}
	settings := beside(d.config, database)
	i, err := newIssuers(settings, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	i.use(settings, d.backend)
	running, stop := context.WithCancel(context.Background()) // its end must come after the revocations
	started := &runningIssuers{issuers: i, stop: stop}
	d.issuers[key] = started
	i.run(running, &started.group)
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	if err := i.waitFor(ctx, database); err != nil {
		return nil, errors.Join(i.together(source.Ready), err)
	}
	return i.of(database, section), nil
}

// beside is a configuration's part about one database, without what is the gateway's, which may be running: journals, and what lies ready.
func beside(c *config.Config, database string) *config.Config {
	part, section := *c, c.Places()[database]
	section.Routes = nil
	part.Vault.JournalFile, part.Vault.Ahead = "", 0
	if section.Minted != nil {
		minted := *section.Minted
		minted.JournalFile, minted.Ahead = "", 0
		section.Minted = &minted
	}
	part.Databases = map[string]config.Database{database: section}
	return &part
}

// close gives back what was issued, and the token.
func (d *databaseCatalogs) close() error {
	if d == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var errs []error
	for _, i := range d.issuers {
		errs = append(errs, i.together(func(s source) error { return s.Drain(ctx) }))
		i.stop()
		errs = append(errs, i.group.Wait(), i.together(func(s source) error { return s.Close(ctx) }))
	}
	return errors.Join(errs...)
}
