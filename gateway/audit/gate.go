package audit

import (
	"errors"
	"sync/atomic"
	"time"
)

// maxWait is how long an event waits for a file that takes nothing, and for its own fsync. Then its statement is denied: a client that
// hears so can do something, one that waits cannot.
const maxWait = 2 * time.Second

// ErrSlow is what Append answers when the file does not take events in time.
var ErrSlow = errors.New("audit log does not take events in time")

// gate is a lock that one does not wait for endlessly: whoever holds it may hang in the kernel, with a disk that does not answer.
type gate struct {
	token chan struct{} // holds one when somebody is in
	stuck atomic.Bool   // somebody waited in vain, and who is in has not come out since
}

func newGate() gate { return gate{token: make(chan struct{}, 1)} }

// enter says whether one is in. While it is known that nobody comes out it does not wait at all.
func (g *gate) enter() bool {
	select {
	case g.token <- struct{}{}:
		return true
	default:
	}
	if g.stuck.Load() {
		return false
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case g.token <- struct{}{}:
		return true
	case <-timer.C:
		g.stuck.Store(true)
		return false
	}
}

func (g *gate) leave() {
	g.stuck.Store(false)
	<-g.token
}
