package gateway

import (
	"container/list"
	"net/netip"
)

// waiting are the sessions that have not proved anything yet, as they came. The server's lock guards it.
type waiting struct {
	list.List
	networks map[netip.Prefix]int // how many there are of each
}

func (w *waiting) add(s *session) {
	if w.networks == nil {
		w.networks = map[netip.Prefix]int{}
	}
	s.place = w.PushBack(s)
	w.count(s)
}

func (w *waiting) count(s *session) {
	s.network = networkOf(addressOf(s.client))
	w.networks[s.network]++
}

func (w *waiting) discount(s *session) {
	if w.networks[s.network]--; w.networks[s.network] == 0 {
		delete(w.networks, s.network)
	}
}

// recount counts a session by whom a PROXY header has named, if it is there.
func (w *waiting) recount(s *session) {
	if s.place != nil {
		w.discount(s)
		w.count(s)
	}
}

// remove takes a session off, if it is there.
func (w *waiting) remove(s *session) {
	if s.place == nil {
		return
	}
	w.Remove(s.place)
	s.place = nil
	w.discount(s)
}

// longest is who makes room for a newcomer, nil if nobody is there: of the network that has the most places, the one that has taken
// longest. By age alone a flood from one network would push out everybody else whose login takes longer than it takes to fill all places.
func (w *waiting) longest() *session {
	most := 0
	for _, n := range w.networks {
		most = max(most, n)
	}
	for e := w.Front(); e != nil; e = e.Next() {
		if s, ok := e.Value.(*session); ok && w.networks[s.network] == most {
			return s
		}
	}
	return nil
}

// The networks of RFC 6177: what one customer is given. A flood has as many addresses as its network holds.
const (
	networkBits4 = 24
	networkBits6 = 56
)

// networkOf is the zero Prefix for the zero Addr.
func networkOf(address netip.Addr) netip.Prefix {
	bits := networkBits6
	if address.Is4() {
		bits = networkBits4
	}
	network, err := address.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}
