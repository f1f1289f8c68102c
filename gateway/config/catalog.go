package config

import (
	"time"

	"github.com/sallyport/sallyport/gateway/catalog"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// Catalog says how a database's catalog is read.
type Catalog struct {
	VaultRole string // of its session; or the group, or the account
	Poll      time.Duration
	MaxAge    time.Duration
}

// Bounds of a catalog's times. A poll costs a database of 10,000 tables a tenth of a second; an age beyond a minute means that somebody who
// drops a table and makes another in its place is not noticed for a minute.
const (
	minCatalogPoll = 100 * time.Millisecond
	maxCatalogPoll = 30 * time.Second
	maxCatalogAge  = time.Minute
)

// readCatalog is nil when a database has none.
func readCatalog(database *section, db Database) *Catalog {
	if !database.has("catalog") {
		database.known["catalog"] = true
		return nil
	}
	s := database.section("catalog")
	key, what := catalogRole(db.Credentials)
	c := &Catalog{
		VaultRole: s.required(key, what),
		Poll:      s.duration("poll", catalog.DefaultPoll, minCatalogPoll, maxCatalogPoll),
	}
	c.MaxAge = s.duration("max_age", max(catalog.DefaultMaxAge, catalog.MinPolls*c.Poll), catalog.MinPolls*c.Poll, maxCatalogAge)
	switch {
	case db.Credentials != credentials.SourceVaultKV:
		s.checkName(key, c.VaultRole)
	case c.VaultRole != "":
		s.checkPath(key, c.VaultRole)
	}
	if _, ok := db.Static[c.VaultRole]; !ok && db.Static != nil && c.VaultRole != "" {
		s.at(key).problem("is %q, which is not one of static.accounts", c.VaultRole)
	}
	s.done()
	return c
}
