package metrics

import "github.com/prometheus/client_golang/prometheus"

// other is the label of what is not in a closed set.
const other = "other"

// Counters are counters with one label from a closed set.
type Counters struct {
	byLabel map[string]prometheus.Counter
}

// Of returns the counter of a label. Callers on a hot path keep it.
func (c Counters) Of(label string) prometheus.Counter {
	if counter, ok := c.byLabel[label]; ok {
		return counter
	}
	return c.byLabel[other]
}

// Inc adds one to the counter of a label.
func (c Counters) Inc(label string) { c.Of(label).Inc() }

// Pairs are counters with two labels from closed sets.
type Pairs struct {
	byFirst map[string]Counters
}

// Of returns the counter of two labels. Callers on a hot path keep it.
func (p Pairs) Of(first, second string) prometheus.Counter {
	counters, ok := p.byFirst[first]
	if !ok {
		counters = p.byFirst[other]
	}
	return counters.Of(second)
}

// Inc adds one to the counter of two labels.
func (p Pairs) Inc(first, second string) { p.Of(first, second).Inc() }

// factory makes collectors and registers them. It panics on a name that is used twice: a mistake in this package that no input causes.
type factory struct{ registry *prometheus.Registry }

func (f factory) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	f.registry.MustRegister(c)
	return c
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	f.registry.MustRegister(g)
	return g
}

func (f factory) gaugeFunc(name, help string, value func() float64) {
	f.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, value))
}

func (f factory) counterFunc(name, help string, value func() float64) {
	f.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, value))
}

func (f factory) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets})
	f.registry.MustRegister(h)
	return h
}

// vector registers counters whose values exist, at zero, before they are first counted: a rate over them has no gap.
func (f factory) vector(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	f.registry.MustRegister(v)
	return v
}

func (f factory) counters(name, help, label string, values ...string) Counters {
	v := f.vector(name, help, label)
	c := Counters{make(map[string]prometheus.Counter)}
	for _, value := range withOther(values) {
		c.byLabel[value] = v.WithLabelValues(value)
	}
	return c
}

func (f factory) pairs(name, help, first string, firsts []string, second string, seconds []string) Pairs {
	v := f.vector(name, help, first, second)
	p := Pairs{make(map[string]Counters)}
	for _, a := range withOther(firsts) {
		c := Counters{make(map[string]prometheus.Counter)}
		for _, b := range withOther(seconds) {
			c.byLabel[b] = v.WithLabelValues(a, b)
		}
		p.byFirst[a] = c
	}
	return p
}

func withOther(values []string) []string {
	return append(values[:len(values):len(values)], other)
}
