package main

import (
	"maps"
	"slices"

	"github.com/sallyport/sallyport/gateway/config"
)

// sayObserved says in which databases policy is not enforced: it must not be forgotten.
func (p *process) sayObserved(c *config.Config) {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.Databases)) {
		if c.Databases[name].Observe {
			names = append(names, name)
			p.logger.Warn("policy is observed and not enforced", "database", name)
		}
	}
	p.metrics.DatabasesObserved(names)
}
