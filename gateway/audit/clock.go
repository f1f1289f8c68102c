package audit

import "time"

// appendTime appends t, or now when t is zero, in UTC with exactly six decimals (RFC 3339), so that times sort as text.
// Years that RFC 3339 cannot write (a token may expire in any year) become its last or first one.
func appendTime(dst []byte, t time.Time) []byte {
	var c clock
	return c.append(dst, t)
}

// clock writes times. It keeps the last second that it has written: many events are of the same. The zero value is ready. Not for
// several goroutines.
type clock struct {
	second int64
	stamp  [len(zeroStamp)]byte // of that second; zeros: it has written none yet
}

const zeroStamp = "0000-00-00T00:00:00.000000Z"

// append is appendTime.
func (c *clock) append(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		t = time.Now()
	}
	if second := t.Unix(); second != c.second || c.stamp[0] == 0 {
		year := t.UTC().Year()
		if year > 9999 {
			return append(dst, "9999-12-31T23:59:59.999999Z"...)
		}
		if year < 0 {
			return append(dst, "0000-01-01T00:00:00.000000Z"...)
		}
		c.set(t.UTC())
		c.second = second
	}
	micros := t.Nanosecond() / 1000
	dst = append(dst, c.stamp[:]...)
	fraction := dst[len(dst)-len("000000Z"):]
	setPair(fraction[0:], micros/10_000)
	setPair(fraction[2:], micros/100%100)
	setPair(fraction[4:], micros%100)
	return dst
}

// set makes the stamp of a second.
func (c *clock) set(t time.Time) {
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	copy(c.stamp[:], zeroStamp)
	setPair(c.stamp[0:], year/100)
	setPair(c.stamp[2:], year%100)
	setPair(c.stamp[5:], int(month))
	setPair(c.stamp[8:], day)
	setPair(c.stamp[11:], hour)
	setPair(c.stamp[14:], minute)
	setPair(c.stamp[17:], second)
}

// setPair writes a number below 100 as two digits.
func setPair(dst []byte, value int) {
	tens := uint(value) * 205 >> 11                                // #nosec G115 -- that is value/10
	dst[0], dst[1] = byte('0'+tens), byte('0'+uint(value)-10*tens) // #nosec G115 -- below 100
}
