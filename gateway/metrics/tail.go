package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Tail is how a receiver follows the audit log, at a scrape.
type Tail struct {
	Receiver   string
	Delivered  uint64
	Lost       uint64
	Failures   map[string]uint64 // of every class
	Failing    string            // the class of the failure that lasts; "": none does
	Behind     int64             // events
	BehindTime time.Duration
}

// tails collects the numbers of all that follow the audit log.
type tails struct {
	ask func() []Tail

	delivered, lost, failures, failing, lag, age *prometheus.Desc
}

func newTails(ask func() []Tail) *tails {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_audit_tail_"+name, help, append([]string{"receiver"}, labels...), nil)
	}
	return &tails{
		ask:       ask,
		delivered: desc("delivered_events_total", "Audit events that a receiver has taken; those that were sent again are counted again."),
		lost:      desc("lost_events_total", "Audit events that a receiver will not get: their file was gone, or it refuses them."),
		failures:  desc("failures_total", "Attempts to deliver the audit log that failed.", "class"),
		failing:   desc("failing", "1 for the kind of failure that lasts, 0 for all others.", "class"),
		lag:       desc("lag_events", "Audit events that a receiver has not taken yet."),
		age:       desc("lag_seconds", "How old the first of them is."),
	}
}

// Describe implements prometheus.Collector.
func (c *tails) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.delivered, c.lost, c.failures, c.failing, c.lag, c.age} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c *tails) Collect(to chan<- prometheus.Metric) {
	for _, one := range c.ask() {
		send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(desc, kind, value, append([]string{one.Receiver}, labels...)...)
		}
		send(c.delivered, prometheus.CounterValue, float64(one.Delivered))
		send(c.lost, prometheus.CounterValue, float64(one.Lost))
		send(c.lag, prometheus.GaugeValue, float64(one.Behind))
		send(c.age, prometheus.GaugeValue, one.BehindTime.Seconds())
		for class, n := range one.Failures {
			send(c.failures, prometheus.CounterValue, float64(n), class)
			now := 0.0
			if class == one.Failing {
				now = 1
			}
			send(c.failing, prometheus.GaugeValue, now, class)
		}
	}
}
