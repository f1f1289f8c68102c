package config

import (
	"maps"
	"slices"

	"github.com/sallyport/sallyport/gateway/credentials"
)

// readRoutes reads the other places where sessions of a database may be opened. What a route does not say is as in its database.
func (c *Config) readRoutes(key string, db *Database, s *section) {
	names, sections := s.sections("routes")
	for _, name := range names {
		route := sections[name]
		if name == "" || len(name) > maxNameBytes {
			route.d.problem(route.line, route.path, "must have 1 to %d bytes", maxNameBytes)
		}
		if db.Routes == nil {
			db.Routes = make(map[string]Database)
		}
		db.Routes[name] = c.readRoute(key, *db, route)
	}
}

func (c *Config) readRoute(key string, of Database, s *section) Database {
	route := of
	route.Routes, route.Shared = nil, key
	c.readHosts(&route, s, &of)
	route.Name = s.text("name", of.Name)
	if len(route.Name) > maxNameBytes {
		s.at("name").problem("must have 1 to %d bytes", maxNameBytes)
	}
	if s.has("search_path") {
		route.SearchPath = s.texts("search_path")
		s.checkSearchPath(route.SearchPath)
	}
	own := s.has("credentials") || slices.ContainsFunc(slices.Collect(maps.Keys(sourceKeys)), s.has)
	if own {
		route.Shared, route.VaultRoles, route.Minted, route.Static, route.KVMount, route.PKI = "", nil, nil, nil, "", credentials.PKIConfig{}
		c.readCredentials(key, &route, s, c.vault)
		if of.Credentials != route.Credentials && (of.Credentials == credentials.SourceVaultPKI || route.Credentials == credentials.SourceVaultPKI) {
			route.Authentication = defaultMethod(route.Credentials)
		}
		route.Catalog = readCatalog(s, route)
	} else if s.has("catalog") {
		s.known["catalog"] = true
		s.at("catalog").problem("is for a route with credentials of its own: without them it is the same cluster, whose catalog is the database's; remove it")
	}
	if !own && of.Catalog != nil && route.Name != of.Name {
		s.at("name").problem("is %q, but the catalog is that of %q, which is the database's: give the route credentials and a catalog of its own", route.Name, of.Name)
	}
	if s.has("tls") {
		c.readBackendTLS(&route, s)
	}
	for _, name := range append(slices.Collect(maps.Keys(sourceKeys)), "credentials", "catalog", "tls", "search_path") {
		s.known[name] = true
	}
	s.done()
	return route
}

// Places are all databases and their routes, by the keys that the file has for them below "databases": what can be said of a database can
// be said of each of its routes.
func (c *Config) Places() map[string]Database {
	all := make(map[string]Database)
	for name, db := range c.Databases {
		all[name] = db
		for route, of := range db.Routes {
			all[RouteKey(name, route)] = of
		}
	}
	return all
}

// RouteKey is the key of a route among Places.
func RouteKey(database, route string) string { return database + ".routes." + route }

// checkRouteKeys refuses a database whose name is the key of another's route.
func (c *Config) checkRouteKeys(d *document) {
	for name, db := range c.Databases {
		for route := range db.Routes {
			if key := RouteKey(name, route); c.Databases[key].Name != "" {
				d.problem(d.lines["databases."+key], "databases."+key, "is also the route %q of %q: rename one of them", route, name)
			}
		}
	}
}
