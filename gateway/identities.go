package gateway

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxIdentities bounds the identities that are kept, a KiB each. They are those that were here within the last hour and whose policy
// limits the hour, or the second.
const maxIdentities = 10_000

// identities keeps what holds for all sessions of an identity together. An identity goes by its user: whoever logs in under that name is one.
type identities struct {
	mu    sync.Mutex
	known map[string]*identity
}

// identity is one of them. While it has sessions it is kept, and afterwards while its hour is not over.
type identity struct {
	sessions int                      // those that joined; under the lock of identities
	paces    map[uint64]*rate.Limiter // by statements per second: sessions with the same limit share it; under the lock of identities
	hour     hour
}

// forgettable says whether an identity that has no session would begin afresh as it is. The lock of identities is held.
func (who *identity) forgettable(now time.Time) bool {
	if who.sessions > 0 || !who.hour.empty(now) {
		return false
	}
	for _, pace := range who.paces {
		if pace.TokensAt(now) < float64(pace.Burst()) {
			return false
		}
	}
	return true
}

var errTooManyIdentities = errors.New("more identities have limits in time than the gateway keeps")

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
	if who.forgettable(now) {
		delete(i.known, user)
	}
}

// pace is the limit of an identity's statements per second.
func (i *identities) pace(who *identity, perSecond uint64) *rate.Limiter {
	i.mu.Lock()
	defer i.mu.Unlock()
	pace := who.paces[perSecond]
	if pace == nil {
		if who.paces == nil {
			who.paces = map[uint64]*rate.Limiter{}
		}
		pace = rate.NewLimiter(rate.Limit(perSecond), int(perSecond)) // #nosec -- bounded by the decision
		who.paces[perSecond] = pace
	}
	return pace
}

// sweep forgets the identities that have no session and whose hour is over.
func (i *identities) sweep(now time.Time) {
	for user, who := range i.known {
		if who.forgettable(now) {
			delete(i.known, user)
		}
	}
}
