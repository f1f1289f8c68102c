package gateway

import (
	"sync"
	"time"
)

// hourMinutes is the window of the limits per hour: so many whole minutes, and the one that has begun.
const hourMinutes = 60

// hour counts what an identity was delivered in the last hour, minute by minute: a sliding window of fixed size, never shorter than an
// hour and at most a minute longer.
type hour struct {
	mu      sync.Mutex
	minutes [hourMinutes + 1]caps
	newest  int64 // the minute that counts now, since 1970
	total   caps
}

// slide forgets the minutes that have left the window. The lock is held.
func (h *hour) slide(now time.Time) {
	minute := now.Unix() / 60
	if minute-h.newest > hourMinutes {
		h.minutes, h.total = [hourMinutes + 1]caps{}, caps{}
		h.newest = minute
	}
	for h.newest < minute { // a clock that was set back goes on in the newest minute
		h.newest++
		oldest := h.at(h.newest)
		h.total.rows -= oldest.rows
		h.total.bytes -= oldest.bytes
		*oldest = caps{}
	}
}

func (h *hour) at(minute int64) *caps { return &h.minutes[minute%int64(len(h.minutes))] }

// take counts one message of so many bytes, unless that would pass a bound.
func (h *hour) take(now time.Time, bound caps, bytes uint64) limit {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slide(now)
	if l := bound.passed(h.total, bytes); l != limitNone {
		return l
	}
	h.total.add(1, bytes)
	h.at(h.newest).add(1, bytes)
	return limitNone
}

// used says which bound leaves nothing more to deliver, not even a row without a byte.
func (h *hour) used(now time.Time, bound caps) limit {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slide(now)
	return bound.passed(h.total, 1)
}

// empty says whether nothing was delivered within the window.
func (h *hour) empty(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slide(now)
	return h.total == caps{}
}

// hourly is what a session has of its identity's hour.
type hourly struct {
	hour  *hour
	bound caps
}

func (h *hourly) take(now time.Time, bytes uint64) (l limit, bound uint64) {
	return h.perHour(h.hour.take(now, h.bound, bytes))
}

// usedUp says whether the hour leaves nothing to deliver.
func (h *hourly) usedUp(now time.Time) (l limit, bound uint64) {
	return h.perHour(h.hour.used(now, h.bound))
}

func (h *hourly) perHour(l limit) (limit, uint64) {
	switch l {
	case limitRows:
		return limitRowsPerHour, h.bound.rows
	case limitBytes:
		return limitBytesPerHour, h.bound.bytes
	}
	return limitNone, 0
}
