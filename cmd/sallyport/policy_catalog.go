package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/catalog"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// catalogTime bounds the reading of a database's catalog: a login to Vault, a role, a session, and what is read over it.
const catalogTime = time.Minute

// loginTime bounds the first part of it.
const loginTime = 10 * time.Second

// databaseCatalogs read what the names in a configuration's databases mean now, as a gateway does: each over a session of its own, with the
// catalog's role from Vault. None is opened before it is asked for.
type databaseCatalogs struct {
	config  *config.Config
	analyze catalog.Analyze

	vault   *credentials.Vault // nil: nothing was asked for yet
	backend map[string]gateway.Database
	known   map[string]*catalog.Snapshot
	stop    context.CancelFunc
	ended   chan struct{}
}

// newDatabaseCatalogs is nil, and knows nothing, without a configuration.
func newDatabaseCatalogs(c *config.Config, analyze catalog.Analyze) *databaseCatalogs {
	if c == nil {
		return nil
	}
	return &databaseCatalogs{config: c, analyze: analyze, known: map[string]*catalog.Snapshot{}}
}

// resolve gives the facts of a text what its names mean; as they are for a database that has no catalog.
func (d *databaseCatalogs) resolve(ctx context.Context, database string, sheet *statement.Sheet, path []string) (*statement.Sheet, error) {
	snapshot, err := d.snapshot(ctx, database)
	if err != nil || snapshot == nil {
		return sheet, err
	}
	return snapshot.Resolve(sheet, path), nil
}

// snapshot reads a database's catalog, once; nil for one that has none.
func (d *databaseCatalogs) snapshot(ctx context.Context, database string) (*catalog.Snapshot, error) {
	if d == nil || d.config.Databases[database].Catalog == nil {
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
	if err := d.logIn(ctx); err != nil {
		return nil, err
	}
	sessions := gateway.CatalogSessions{
		Backend: d.backend[database].Backend, VaultRole: d.config.Databases[database].Catalog.VaultRole, Credentials: d.vault,
		Revoker: d.vault.Revoker(), Logger: slog.New(slog.DiscardHandler),
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

// logIn logs in to Vault, once.
func (d *databaseCatalogs) logIn(ctx context.Context) (err error) {
	if d.vault != nil {
		return nil
	}
	if d.backend, err = d.config.Backends(); err != nil {
		return err
	}
	settings := d.config.Vault
	settings.JournalFile, settings.Ahead = "", 0 // are the gateway's, which may be running
	vault, err := credentials.NewVault(settings, slog.New(slog.DiscardHandler))
	if err != nil {
		return d.config.Problem("vault", err)
	}
	running, stop := context.WithCancel(context.Background()) // its end must come after the revocations
	d.vault, d.stop, d.ended = vault, stop, make(chan struct{})
	go func() {
		defer close(d.ended)
		_ = vault.Run(running) // ends with its context, without an error
	}()
	ctx, cancel := context.WithTimeout(ctx, loginTime)
	defer cancel()
	if err := vault.Wait(ctx); err != nil {
		return errors.Join(vault.Ready(), err)
	}
	return nil
}

// close gives back what was issued, and the token.
func (d *databaseCatalogs) close() error {
	if d == nil || d.vault == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := d.vault.Drain(ctx)
	d.stop()
	<-d.ended
	return errors.Join(err, d.vault.Close(ctx))
}
