package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/config"
)

// withRoutes is the configuration with two hosts, a route to the standbys, and one to another cluster.
func withRoutes(more string) string {
	return strings.Replace(withoutVault(mintedRoles+`, catalog: {group: app_catalog}, target_session_attrs: primary`+more+`, routes: {
    replica: {target_session_attrs: standby, max_connections: 7},
    reports: {host: other, name: warehouse, search_path: [facts], credentials: static, static: {accounts: {readonly: {user: u, password_file: admin.token}}}}}`),
		"host: localhost", "hosts: [localhost, \"localhost:5433\"]", 1)
}

func loaded(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Load("sallyport.yaml", os.Environ())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRoutesAreServed: a route without credentials of its own is the same cluster, with the same catalog; one that has some is another.
func TestRoutesAreServed(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", withRoutes(""))
	p, log := newProcess(t)
	defer p.close()
	served, _, _, _, err := p.serverConfig(loaded(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(served.Databases) != 1 {
		t.Errorf("clients can name %d databases", len(served.Databases))
	}
	app := served.Databases["app"]
	replica, reports := app.Routes["replica"], app.Routes["reports"]
	if len(app.Routes) != 2 || replica.Credentials != app.Credentials || replica.Catalog != app.Catalog || app.Catalog == nil {
		t.Errorf("the replica is another cluster: %+v", replica)
	}
	if replica.Hosts.Target() != hosts.Standby || app.Hosts.Target() != hosts.Primary || len(replica.Hosts.Names()) != 2 {
		t.Errorf("sessions want %s and %s", app.Hosts.Target(), replica.Hosts.Target())
	}
	if reports.Credentials == app.Credentials || reports.Catalog != nil || reports.Backend.Host != "other" || reports.Backend.Database != "warehouse" ||
		reports.VaultRoles["readonly"] != "readonly" || len(reports.SearchPath) != 1 {
		t.Errorf("the reports are the same cluster: %+v", reports)
	}
	if len(p.issuers.minted) != 1 || len(p.catalogs.current()) != 1 {
		t.Errorf("%d databases have roles made in them, %d are read", len(p.issuers.minted), len(p.catalogs.current()))
	}
	if target := p.issuers.minted["app"].opener.Load().Hosts.Target(); target != hosts.Primary {
		t.Errorf("roles are made on %s", target)
	}
	for _, warning := range []string{"databases.app.routes.reports: has no catalog", "databases.app.routes.reports.static: sessions share"} {
		if !strings.Contains(log.String(), warning) {
			t.Errorf("the log does not say %q", warning)
		}
	}
	if strings.Contains(log.String(), "routes.replica") {
		t.Error("what is said of a database is said of its route, too")
	}
}

// TestPlacesOutliveReloads: what is open goes on counting, and limits are those of the configuration in force.
func TestPlacesOutliveReloads(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", withRoutes(", max_connections: 3"))
	p, _ := newProcess(t)
	defer p.close()
	served, _, _, _, err := p.serverConfig(loaded(t))
	if err != nil {
		t.Fatal(err)
	}
	app := served.Databases["app"].Places
	app.Take()
	app.Take()
	write(t, "sallyport.yaml", withRoutes(", max_connections: 2, queue_timeout: 1s"))
	p.reload()
	if p.reloadError() != nil {
		t.Fatal(p.reloadError())
	}
	if got := app.Status(); got.Open != 2 || got.Most != 2 || app.Take() {
		t.Errorf("%+v", got)
	}
	scrape := p.get("/metrics", "").Body.String()
	for _, want := range []string{
		`sallyport_database_sessions{database="app",route=""} 2`, `sallyport_database_sessions_max{database="app",route=""} 2`,
		`sallyport_database_sessions_max{database="app",route="replica"} 7`, `sallyport_database_sessions_max{database="app",route="reports"} 0`,
	} {
		if !strings.Contains(scrape, want) {
			t.Errorf("/metrics does not say %s", want)
		}
	}
}

// TestHostsAreChecked: /readyz shows the hosts of databases that have several, and one that fails makes nothing unready.
func TestHostsAreChecked(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", withRoutes(""))
	p, _ := newProcess(t)
	defer p.close()
	if _, err := p.issuers.minted["app"].opener.Load().Open(t.Context()); err == nil {
		t.Fatal("somebody is there")
	}
	found := map[string]string{}
	for _, check := range p.ready() {
		if strings.HasPrefix(check.Name, "hosts ") {
			found[check.Name] = check.Message
			if check.OK || !check.Advisory {
				t.Errorf("%+v", check)
			}
		}
	}
	if len(found) != 2 || !strings.Contains(found["hosts app"], "localhost:5432 fails: ") || !strings.Contains(found["hosts app.routes.replica"], "localhost:5433 fails: ") {
		t.Errorf("checks: %q", found)
	}
}

// TestCheckShowsPlaces: where sessions are opened, of databases that leave a choice.
func TestCheckShowsPlaces(t *testing.T) {
	deploy(t)
	write(t, "sallyport.yaml", withRoutes(""))
	var stdout, stderr bytes.Buffer
	if status := check([]string{"--config", "sallyport.yaml"}, &stdout, &stderr); status != exitOK {
		t.Fatalf("status %d: %s", status, &stderr)
	}
	want := `databases.app: primary of localhost:5432, localhost:5433
databases.app.routes.replica: standby of localhost:5432, localhost:5433, by chance
databases.app.routes.reports: primary of other:5432, with static credentials of its own
sallyport.yaml: ok
`
	if stdout.String() != want {
		t.Errorf("got\n%swant\n%s", &stdout, want)
	}
}
