package metrics

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Catalog is what is known of one database's catalog at a scrape.
type Catalog struct {
	Database   string // by the name that the configuration has for it
	Generation uint64
	Confirmed  time.Time // zero: never
	Opaque     int       // views that are not understood

	Read, Unchanged, Failed uint64 // refreshes
}

// catalogs collects the numbers of all catalogs. The databases are those of the configuration in force.
type catalogs struct {
	ask func() []Catalog

	generation, age, opaque, refreshes *prometheus.Desc
}

func newCatalogs(ask func() []Catalog) *catalogs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_catalog_"+name, help, append([]string{"database"}, labels...), nil)
	}
	return &catalogs{
		ask:        ask,
		generation: desc("generation", "Which reading of a database's definitions is in use; 0 is none."),
		age:        desc("age_seconds", "How long ago the definitions in use were last known to be the database's."),
		opaque:     desc("opaque_views", "Views whose definitions are not understood."),
		refreshes:  desc("refreshes_total", "Attempts to bring the definitions up to date.", "result"),
	}
}

// Describe implements prometheus.Collector.
func (c *catalogs) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.generation, c.age, c.opaque, c.refreshes} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *catalogs) Collect(to chan<- prometheus.Metric) {
	for _, one := range c.ask() {
		age := math.Inf(1)
		if !one.Confirmed.IsZero() {
			age = time.Since(one.Confirmed).Seconds()
		}
		send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(desc, kind, value, append([]string{one.Database}, labels...)...)
		}
		send(c.generation, prometheus.GaugeValue, float64(one.Generation))
		send(c.age, prometheus.GaugeValue, age)
		send(c.opaque, prometheus.GaugeValue, float64(one.Opaque))
		send(c.refreshes, prometheus.CounterValue, float64(one.Read), "read")
		send(c.refreshes, prometheus.CounterValue, float64(one.Unchanged), "unchanged")
		send(c.refreshes, prometheus.CounterValue, float64(one.Failed), "failed")
	}
}
