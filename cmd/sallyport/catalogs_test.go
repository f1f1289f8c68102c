package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/catalog"
)

const withCatalog = "vault_roles: {readonly: ro}, catalog: {vault_role: names}"

// inForce are the catalogs of the configuration in force, as an operator sees them: by the checks of /readyz.
func (p *process) inForce() map[string]*catalog.Catalog {
	all := map[string]*catalog.Catalog{}
	for _, known := range p.catalogs.current() {
		all[known.at.name] = known.Catalog
	}
	return all
}

func TestCatalogsOutliveReloads(t *testing.T) {
	deploy(t)
	p, log := newProcess(t)
	defer p.close()
	if len(p.inForce()) != 0 || !strings.Contains(log.String(), "databases.app: has no catalog") {
		t.Errorf("a catalog that nobody asked for, or nobody is told:\n%s", log)
	}
	reload := func(databases string) *catalog.Catalog {
		t.Helper()
		write(t, "sallyport.yaml", strings.Replace(configuration, "vault_roles: {readonly: ro}", databases, 1))
		p.reload()
		if p.reloadError() != nil {
			t.Fatal(p.reloadError())
		}
		return p.inForce()["app"]
	}
	first := reload(withCatalog)
	if first == nil {
		t.Fatal("there is no catalog")
	}
	if failing := p.failing(); !slices.Contains(failing, "catalog app") {
		t.Errorf("nothing has been read, but only %q fail", failing)
	}
	for _, check := range p.ready() {
		if check.Name == "catalog app" && !check.Advisory {
			t.Error("one database makes the gateway unready")
		}
	}
	entry := p.catalogs.current()[0]
	sessions := entry.sessions.Load()
	if again := reload(withCatalog); again != first || entry.sessions.Load() == sessions {
		t.Error("the same settings have another catalog, or its next session has the certificates of before")
	}
	if other := reload(strings.Replace(withCatalog, "names", "other", 1)); other != first || entry.sessions.Load().VaultRole != "other" {
		t.Errorf("the catalog reads as %q", entry.sessions.Load().VaultRole)
	}
	if gone := reload("vault_roles: {readonly: ro}"); gone != nil || len(p.catalogs.numbers()) != 0 {
		t.Error("a catalog that no configuration has is still shown")
	}
	if back := reload(withCatalog); back != first {
		t.Error("the catalog that sessions of before ask is not the one that is in force again")
	}
	if moved := reload(withCatalog + ", port: 5433"); moved == first || len(p.catalogs.known) != 2 {
		t.Error("another database has the catalog of the one before")
	}
}

// TestCatalogsStayWhenReloadIsRefused: also when what is wrong is found last.
func TestCatalogsStayWhenReloadIsRefused(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", strings.Replace(configuration, "vault_roles: {readonly: ro}", withCatalog, 1))
	p, _ := newProcess(t)
	defer p.close()
	entry := p.catalogs.current()[0]
	before := entry.sessions.Load()
	write(t, "sallyport.yaml", strings.Replace(configuration, "vault_roles: {readonly: ro}", withCatalog+", port: 5433", 1))
	if err := os.Truncate("admin.token", 3); err != nil {
		t.Fatal(err)
	}
	p.reload()
	if p.reloadError() == nil {
		t.Fatal("the reload was not refused")
	}
	if now := p.catalogs.current(); len(now) != 1 || now[0] != entry || entry.sessions.Load() != before || len(p.catalogs.known) != 1 {
		t.Errorf("%+v", now)
	}
}

// TestCatalogsRun: those that were there, and those that come later, until their end.
func TestCatalogsRun(t *testing.T) {
	cs := newCatalogs()
	opened := make(chan string)
	add := func(name string) plannedCatalog {
		config := catalog.Config{
			Analyze: func(context.Context, string) (*statement.Sheet, error) { return nil, statement.ErrUnavailable },
			Open: func(ctx context.Context) (*catalog.Session, error) {
				select {
				case opened <- name:
				case <-ctx.Done():
				}
				return nil, errors.New("no session")
			},
		}
		c, err := catalog.New(config)
		if err != nil {
			t.Fatal(err)
		}
		return plannedCatalog{of: &knownCatalog{Catalog: c, at: whereabouts{name: name}}, config: config, sessions: new(gateway.CatalogSessions)}
	}
	first := add("first")
	if err := cs.use([]plannedCatalog{first}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- cs.Run(t.Context(), func(context.Context, string) error { return nil }) }()
	if name := <-opened; name != "first" {
		t.Errorf("%s was opened", name)
	}
	if err := cs.use([]plannedCatalog{first, add("second")}); err != nil {
		t.Fatal(err)
	}
	for name := range opened {
		if name == "second" {
			break
		}
	}
	cs.end()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
