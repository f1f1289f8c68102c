package hosts

import (
	"container/list"
	"context"
	"sync"
)

// Places bound how many sessions are open at once. Who finds none free waits, and is served in the order of coming. x/sync/semaphore does
// that, too, but for a number that cannot change, and a reload may change this one. The zero value has no bound.
type Places struct {
	mu      sync.Mutex
	most    int       // 0: no bound
	taken   int       // counted without a bound, too: there may be one tomorrow
	waiting list.List // of chan struct{}, closed when the place is theirs
}

// PlacesStatus is how many places are taken.
type PlacesStatus struct {
	Open, Waiting, Most int
}

// Status is what it is now.
func (p *Places) Status() PlacesStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PlacesStatus{Open: p.taken, Waiting: p.waiting.Len(), Most: p.most}
}

// Bound sets how many there are from now on; 0 is no bound. Nobody loses a place: if more are taken, they are not given again.
func (p *Places) Bound(most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most = most
	p.serve()
}

// Take takes a place if there is one and nobody waits for it. Who has taken one leaves.
func (p *Places) Take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting.Len() > 0 || !p.free() {
		return false
	}
	p.taken++
	return true
}

// Enter takes a place, or waits for one. The error is the cause of ctx's end. Who has entered leaves.
func (p *Places) Enter(ctx context.Context) error {
	if p.Take() {
		return nil
	}
	p.mu.Lock()
	turn := make(chan struct{})
	waiting := p.waiting.PushBack(turn)
	p.serve() // there may be one since
	p.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-turn: // it came at the same moment, and goes to the next
		p.taken--
		p.serve()
	default:
		p.waiting.Remove(waiting)
	}
	return context.Cause(ctx)
}

// Leave gives a place back: the session has ended.
func (p *Places) Leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	p.serve()
}

// free says whether there is a place. The lock is held.
func (p *Places) free() bool { return p.most == 0 || p.taken < p.most }

// serve gives what is free to those who have waited longest. The lock is held.
func (p *Places) serve() {
	for p.free() && p.waiting.Len() > 0 {
		p.taken++
		close(p.waiting.Remove(p.waiting.Front()).(chan struct{}))
	}
}
