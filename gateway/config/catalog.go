package config

import (
	"time"

	"github.com/sallyport/sallyport/gateway/catalog"
)

// Catalog says how a database's catalog is read.
type Catalog struct {
	VaultRole string
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
func readCatalog(database *section) *Catalog {
	if !database.has("catalog") {
		database.known["catalog"] = true
		return nil
	}
	s := database.section("catalog")
	c := &Catalog{
		VaultRole: s.required("vault_role", "the Vault role of the gateway's own session, which needs nothing but to connect"),
		Poll:      s.duration("poll", catalog.DefaultPoll, minCatalogPoll, maxCatalogPoll),
	}
	c.MaxAge = s.duration("max_age", max(catalog.DefaultMaxAge, catalog.MinPolls*c.Poll), catalog.MinPolls*c.Poll, maxCatalogAge)
	s.done()
	return c
}
