package gateway

import (
	"errors"
	"sync"
	"time"
)

// maxIdentities bounds the identities whose hours are kept, a KiB each. They are those that were here within the last hour and whose
// policy limits the hour.
const maxIdentities = 10_000

// identities keeps what holds for all sessions of an identity together. An identity goes by its user: whoever logs in under that name is one.
type identities struct {
	mu    sync.Mutex
	known map[string]*identity
}

// identity is one of them. While it has sessions it is kept, and afterwards while its hour is not over.
type identity struct {
	sessions int // those that joined; under the lock of identities
	hour     hour
}

var errTooManyIdentities = errors.New("more identities have limits per hour than the gateway keeps")

// join gives a session what its identity's sessions share. It must be given back by leave.
func (i *identities) join(user string, now time.Time) (*identity, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	who := i.known[user]
	if who == nil {
		if len(i.known) >= maxIdentities {
			i.sweep(now)
		}
		if len(i.known) >= maxIdentities {
			return nil, errTooManyIdentities
		}
		if i.known == nil {
			i.known = map[string]*identity{}
		}
		who = &identity{}
		i.known[user] = who
	}
	who.sessions++
	return who, nil
}

// leave ends a session's part. An identity that was delivered nothing is forgotten at once; the others when room is needed.
func (i *identities) leave(user string, now time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	who := i.known[user]
	if who == nil {
		return
	}
	who.sessions--
	if who.sessions == 0 && who.hour.empty(now) {
		delete(i.known, user)
	}
}

// sweep forgets the identities that have no session and whose hour is over.
func (i *identities) sweep(now time.Time) {
	for user, who := range i.known {
		if who.sessions == 0 && who.hour.empty(now) {
			delete(i.known, user)
		}
	}
}
