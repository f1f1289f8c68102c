package main

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/admin"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/config"
	"github.com/sallyport/sallyport/gateway/metrics"
)

// places are what outlives a configuration of where databases are: what is known of their hosts, and how many sessions are open there. What
// is open stays open when a configuration is replaced, so it goes on counting.
type places struct {
	servers hosts.Servers

	mu      sync.Mutex
	all     map[string]*hosts.Places
	inForce []place // those of the configuration in force
}

// place is a database, or a route of one.
type place struct {
	database, route, key string
	section              config.Database
}

// placesOf lists the places of a configuration, by database and route.
func placesOf(c *config.Config) (list []place) {
	for _, name := range slices.Sorted(maps.Keys(c.Databases)) {
		database := c.Databases[name]
		list = append(list, place{database: name, key: name, section: database})
		for _, route := range slices.Sorted(maps.Keys(database.Routes)) {
			list = append(list, place{name, route, config.RouteKey(name, route), database.Routes[route]})
		}
	}
	return list
}

// line says where sessions are opened, of a database that leaves a choice; "" of one that does not.
func (in place) line() string {
	if len(in.section.Hosts) == 1 && in.route == "" && len(in.section.Routes) == 0 {
		return ""
	}
	line := "databases." + in.key + ": " + string(in.section.Target) + " of " + strings.Join(in.section.Addresses(), ", ")
	if in.section.LoadBalance {
		line += ", by chance"
	}
	if in.section.Shared == "" && in.route != "" {
		line += ", with " + string(in.section.Credentials) + " credentials of its own"
	}
	return line
}

// supply gives the databases of a configuration and their routes, by their keys, what is known of their hosts and their places.
func (ps *places) supply(databases map[string]gateway.Database) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.all == nil {
		ps.all = make(map[string]*hosts.Places)
	}
	for key, database := range databases {
		if ps.all[key] == nil {
			ps.all[key] = &hosts.Places{}
		}
		database.Hosts, database.Places = database.Hosts.Sharing(&ps.servers), ps.all[key]
		databases[key] = database
	}
}

// use puts the limits of a configuration in force.
func (ps *places) use(c *config.Config) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.inForce = placesOf(c)
	for _, in := range ps.inForce {
		ps.all[in.key].Bound(in.section.MaxConnections)
	}
}

// nest puts routes where their databases are: until then each has a key of its own.
func nest(c *config.Config, flat map[string]gateway.Database) map[string]gateway.Database {
	nested := make(map[string]gateway.Database, len(c.Databases))
	for name, section := range c.Databases {
		database := flat[name]
		database.Routes = make(map[string]gateway.Database, len(section.Routes))
		for route := range section.Routes {
			database.Routes[route] = flat[config.RouteKey(name, route)]
		}
		nested[name] = database
	}
	return nested
}

// flatten undoes nest.
func flatten(nested map[string]gateway.Database) map[string]gateway.Database {
	flat := maps.Clone(nested)
	for name, database := range nested {
		for route, of := range database.Routes {
			flat[config.RouteKey(name, route)] = of
		}
	}
	return flat
}

// checks are for /readyz: of the databases that have several hosts, which of them fail.
func (ps *places) checks() []admin.Check {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	failing := make(map[string]string)
	for _, server := range ps.servers.Status() {
		if server.Failing {
			failing[server.Host] = server.Cause
		}
	}
	var checks []admin.Check
	for _, in := range ps.inForce {
		addresses := in.section.Addresses()
		if len(addresses) < 2 {
			continue
		}
		var said []string
		for _, address := range addresses {
			if cause, ok := failing[address]; ok {
				said = append(said, address+" fails: "+cause)
			}
		}
		check := advisory("hosts "+in.key, nil)
		check.OK, check.Message = len(said) == 0, strings.Join(said, "; ")
		checks = append(checks, check)
	}
	return checks
}

// numbers are for the metrics.
func (ps *places) numbers() (list []metrics.Place) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, in := range ps.inForce {
		status := ps.all[in.key].Status()
		list = append(list, metrics.Place{
			Database: in.database, Route: in.route, Open: status.Open, Waiting: status.Waiting, Most: status.Most,
		})
	}
	return list
}

// tried are for the metrics, too: hosts of the configuration in force that somebody has tried.
func (ps *places) tried() (list []metrics.Host) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	has := make(map[string]bool)
	for _, in := range ps.inForce {
		for _, address := range in.section.Addresses() {
			has[address] = true
		}
	}
	for _, server := range ps.servers.Status() {
		if !has[server.Host] {
			continue
		}
		list = append(list, metrics.Host{
			Host: server.Host, Failing: server.Failing, Standby: server.Standby, Known: server.Known, Opened: server.Opened, Failed: server.Failed,
		})
	}
	return list
}
