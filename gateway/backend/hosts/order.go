package hosts

import (
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/sallyport/sallyport/gateway/backend"
)

// order gives the hosts in the order in which they are to be tried, each once. surely has those that are known to suit come before those
// that nobody knows; otherwise they are alike, or a new host would never be tried.
func (s *Set) order(want Target, surely bool) iter.Seq[*backend.Config] {
	return func(yield func(*backend.Config) bool) {
		var later []*backend.Config
		for _, host := range s.ranked(want, surely) {
			if !s.cfg.Servers.try(host, s.now()) {
				later = append(later, host) // it has failed, and its time has not come, or another finds out about it
				continue
			}
			if !yield(host) {
				return
			}
		}
		for _, host := range later {
			if !yield(host) {
				return
			}
		}
	}
}

// ranked sorts the hosts by what is known of them. Those of a rank stay in the order of the configuration, or are in a random one.
func (s *Set) ranked(want Target, surely bool) []*backend.Config {
	order := make([]*backend.Config, len(s.cfg.Hosts))
	for i := range s.cfg.Hosts {
		order[i] = &s.cfg.Hosts[i]
	}
	if s.cfg.LoadBalance {
		rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] }) // #nosec G404 -- no secret hangs on it
	}
	now := s.now()
	ranks := make(map[*backend.Config]rank, len(order))
	for _, host := range order {
		ranks[host] = s.cfg.Servers.rank(host, want, surely, now)
	}
	slices.SortStableFunc(order, func(a, b *backend.Config) int { return int(ranks[a]) - int(ranks[b]) })
	return order
}
