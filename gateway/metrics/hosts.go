package metrics

import "github.com/prometheus/client_golang/prometheus"

// Place is where sessions of a database are opened: its own hosts, or those of a route.
type Place struct {
	Database, Route     string // by the names that the configuration has for them
	Open, Waiting, Most int    // sessions, clients that wait for one to end, and how many sessions there may be; 0: no limit
}

// Host is what is known of one backend host.
type Host struct {
	Host                    string // host:port
	Failing, Standby, Known bool
	Opened, Failed          uint64 // sessions
}

// hosts collects what is known of places and hosts. They are those of configurations, not of clients.
type hosts struct {
	places func() []Place
	tried  func() []Host

	open, waiting, most, failing, standby, opened *prometheus.Desc
}

func newHosts(places func() []Place, tried func() []Host) *hosts {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
	}
	return &hosts{
		places: places, tried: tried,
		open:    desc("database_sessions", "Sessions that a database has, by route.", "database", "route"),
		waiting: desc("database_sessions_waiting", "Clients that wait for a session of it to end.", "database", "route"),
		most:    desc("database_sessions_max", "How many it may have; 0 is no limit.", "database", "route"),
		failing: desc("backend_host_failing", "A host that could not be reached the last time.", "host"),
		standby: desc("backend_host_standby", "Hosts that are known to be a standby, or none.", "host"),
		opened:  desc("backend_host_sessions_total", "Sessions that were to be opened at a host.", "host", "result"),
	}
}

// Describe implements prometheus.Collector.
func (h *hosts) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{h.open, h.waiting, h.most, h.failing, h.standby, h.opened} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (h *hosts) Collect(to chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	for _, p := range h.places() {
		send(h.open, prometheus.GaugeValue, float64(p.Open), p.Database, p.Route)
		send(h.waiting, prometheus.GaugeValue, float64(p.Waiting), p.Database, p.Route)
		send(h.most, prometheus.GaugeValue, float64(p.Most), p.Database, p.Route)
	}
	for _, one := range h.tried() {
		send(h.failing, prometheus.GaugeValue, number(one.Failing), one.Host)
		if one.Known {
			send(h.standby, prometheus.GaugeValue, number(one.Standby), one.Host)
		}
		send(h.opened, prometheus.CounterValue, float64(one.Opened), one.Host, "ok")
		send(h.opened, prometheus.CounterValue, float64(one.Failed), one.Host, "failed")
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
