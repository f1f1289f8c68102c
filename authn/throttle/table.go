package throttle

import "time"

// sampled is how many records are looked at to find the one that makes room. Eight find one of the least guilty tenth in more than
// half of the cases, and none of the guiltiest as long as fewer than eight are guilty.
const sampled = 8

// scale turns failures into delays.
type scale struct {
	free int // failures that delay nothing
	base time.Duration
	most time.Duration
	leak time.Duration // one failure is forgotten in each
}

// delay is what a number of failures costs the next login: nothing, base, twice base, and so on to the most.
func (s scale) delay(failures int) time.Duration {
	if failures <= s.free {
		return 0
	}
	delay := s.base
	for range failures - s.free - 1 {
		if delay >= s.most/2 {
			return s.most
		}
		delay *= 2
	}
	return delay
}

// record is what is kept of one key.
type record struct {
	failures int
	counted  time.Time // when failures was right; leaks from then on
	next     time.Time // when the next login may go on
	used     time.Time // when it was last put
}

// table is a bounded map of records.
type table[K comparable] struct {
	records map[K]*record
	limit   int
	scale   scale
}

func newTable[K comparable](limit int, s scale) table[K] {
	return table[K]{records: make(map[K]*record), limit: limit, scale: s}
}

func (t *table[K]) has(key K) bool { return t.records[key] != nil }

// reserve keeps the next place in a key's queue and tells how long it is until then. A queue that is longer than the most is closed.
func (t *table[K]) reserve(key K, now time.Time) (delay time.Duration, ok bool) {
	r := t.records[key]
	if r == nil {
		return 0, true
	}
	r.leak(now, t.scale.leak)
	step := t.scale.delay(r.failures)
	if step == 0 {
		return 0, true
	}
	delay = max(r.next.Sub(now), 0)
	if delay > t.scale.most {
		return 0, false
	}
	r.next = now.Add(delay + step)
	return delay, true
}

// delay tells how long a key has to wait, by its failures alone: there is no queue, and so nobody to stand in it before others.
func (t *table[K]) delay(key K, now time.Time) time.Duration {
	r := t.records[key]
	if r == nil {
		return 0
	}
	r.leak(now, t.scale.leak)
	return t.scale.delay(r.failures)
}

// fail counts a failure. Beyond the one that makes the delay its longest they change nothing, so that what is over is forgotten in
// a time that does not depend on how long it went on.
func (t *table[K]) fail(key K, now time.Time) {
	r := t.put(key, now)
	r.leak(now, t.scale.leak)
	if t.scale.delay(r.failures) < t.scale.most {
		r.failures++
	}
	if next := now.Add(t.scale.delay(r.failures)); next.After(r.next) {
		r.next = next
	}
}

// put finds or makes a key's record.
func (t *table[K]) put(key K, now time.Time) *record {
	r := t.records[key]
	if r == nil {
		if len(t.records) >= t.limit {
			t.evict(now)
		}
		r = &record{counted: now}
		t.records[key] = r
	}
	r.used = now
	return r
}

// evict removes one record: of a few, which the map's random order chooses, the one with the fewest failures, and of several such the
// one that was used last the longest ago.
func (t *table[K]) evict(now time.Time) {
	var victim K
	var least *record
	looked := 0
	for key, r := range t.records {
		r.leak(now, t.scale.leak)
		if least == nil || r.failures < least.failures || (r.failures == least.failures && r.used.Before(least.used)) {
			victim, least = key, r
		}
		if looked++; looked == sampled {
			break
		}
	}
	delete(t.records, victim)
}

// leak forgets what is old enough.
func (r *record) leak(now time.Time, every time.Duration) {
	forgotten := now.Sub(r.counted) / every
	if forgotten <= 0 {
		return
	}
	if int64(forgotten) >= int64(r.failures) {
		r.failures, r.counted = 0, now
		return
	}
	r.failures -= int(forgotten)
	r.counted = r.counted.Add(forgotten * every)
}
