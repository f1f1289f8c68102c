package audit

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"time"
	"unicode/utf8"
	"unsafe"
)

// Bounds of what a client can make the log write, apart from the text, which Config.MaxTextBytes bounds.
const (
	// maxFieldBytes bounds every string: a statement's name can be as long as a Parse message.
	maxFieldBytes = 1024
	// maxListEntries bounds every list: a text can name as many relations as fit into it.
	maxListEntries = 256
)

// object appends one JSON object. Keys are constants of this package and need no escaping.
type object struct {
	buf     []byte
	session []byte // its id, encoded
}

func begin(dst []byte, t time.Time, kind, session string) object {
	dst = append(dst, `{"time":"`...)
	dst = appendTime(dst, t)
	dst = append(dst, `","type":"`...)
	return beginSession(dst, kind, session)
}

// beginAlike is begin for an event of which there are many alike in a session: it begins with what they have in common, and the time, which
// they have not, comes last; see endAt.
func beginAlike(dst []byte, kind, session string) object {
	return beginSession(append(dst, `{"type":"`...), kind, session)
}

func beginSession(dst []byte, kind, session string) object {
	dst = append(dst, kind...)
	o := object{buf: append(dst, `","session":"`...)}
	from := len(o.buf)
	o.buf = appendBounded(o.buf[:from-1], session)
	o.session = o.buf[from : len(o.buf)-1] // which stays as it is, also where buf grows out of that memory
	return o
}

func (o *object) end() []byte { return append(o.buf, '}') }

// endAt ends what beginAlike has begun.
func (o *object) endAt(t time.Time, c *clock) []byte {
	o.buf = append(o.buf, `,"time":"`...)
	return append(c.append(o.buf, t), `"}`...)
}

func (o *object) key(key string) {
	o.buf = append(o.buf, ',', '"')
	o.buf = append(o.buf, key...)
	o.buf = append(o.buf, '"', ':')
}

func (o *object) string(key, value string) {
	o.key(key)
	o.buf = appendBounded(o.buf, value)
}

// optional leaves the key out when there is no value.
func (o *object) optional(key, value string) {
	if value != "" {
		o.string(key, value)
	}
}

func (o *object) uint(key string, value uint64) {
	o.key(key)
	o.buf = appendNumber(o.buf, value)
}

func (o *object) micros(key string, value time.Duration) {
	o.key(key)
	o.buf = appendMicros(o.buf, value)
}

func appendMicros(dst []byte, d time.Duration) []byte {
	if d < 0 {
		return strconv.AppendInt(dst, d.Microseconds(), 10)
	}
	return appendNumber(dst, uint64(d.Microseconds())) // #nosec G115 -- not negative
}

// appendNumber is strconv.AppendUint for less, without a loop: the two lines of a statement have five numbers, short ones of any length.
func appendNumber(dst []byte, value uint64) []byte {
	const most = 99_999_999 // eight digits
	if value > most {
		return strconv.AppendUint(dst, value, 10)
	}
	x := value/10_000 | value%10_000<<32               // the first digits in the lower half
	hundreds := x * 10_486 >> 20 & 0x0000007f_0000007f // that is x/100 in either
	x = hundreds | (x-100*hundreds)<<16
	tens := x * 103 >> 10 & 0x000f_000f_000f_000f // and x/10 in all four
	x = tens | (x-10*tens)<<8
	zeros := bits.TrailingZeros64(x|1<<56) / 8 // before the first digit that is none, or the last
	dst = binary.LittleEndian.AppendUint64(dst, (x|'0'*ones)>>(8*zeros))
	return dst[:len(dst)-zeros]
}

// ones has a 1 in every byte.
const ones = 0x0101010101010101

func (o *object) bool(key string, value bool) {
	o.key(key)
	o.buf = strconv.AppendBool(o.buf, value)
}

// flag leaves the key out when it is false.
func (o *object) flag(key string, value bool) {
	if value {
		o.bool(key, true)
	}
}

// moment leaves the key out when there is no time.
func (o *object) moment(key string, value time.Time) {
	if value.IsZero() {
		return
	}
	o.key(key)
	o.buf = append(o.buf, '"')
	o.buf = appendTime(o.buf, value)
	o.buf = append(o.buf, '"')
}

// list appends at most maxListEntries; a last entry then says how many are missing.
func (o *object) list(key string, values []string) { o.listOf(key, values, maxListEntries) }

func (o *object) listOf(key string, values []string, limit int) {
	o.key(key)
	o.buf = append(o.buf, '[')
	for i, value := range values {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		if i == limit {
			o.buf = append(o.buf, '"', '+')
			o.buf = strconv.AppendInt(o.buf, int64(len(values)-i), 10)
			o.buf = append(o.buf, ` more"`...)
			break
		}
		o.buf = appendBounded(o.buf, value)
	}
	o.buf = append(o.buf, ']')
}

// some leaves the key out when there are no entries.
func (o *object) some(key string, values []string) { o.someOf(key, values, maxListEntries) }

func (o *object) someOf(key string, values []string, limit int) {
	if len(values) > 0 {
		o.listOf(key, values, limit)
	}
}

// beginID begins the id of a statement in the session that the object began with; endID ends it.
func (o *object) beginID() {
	o.buf = append(o.buf, `,"id":"`...)
	o.buf = append(o.buf, o.session...)
	o.buf = append(o.buf, '.')
}

func (o *object) endID(number uint64) {
	o.buf = appendNumber(o.buf, number)
	o.buf = append(o.buf, '"')
}

func (o *object) identity(id *Identity) {
	o.string("user", id.User)
	o.string("method", id.Method)
	o.optional("issuer", id.Issuer)
	o.optional("subject", id.Subject)
}

// text appends a text, or its digest alone.
func (o *object) text(t *Text, omit bool) {
	if !t.some {
		return
	}
	if !omit {
		o.key("text")
		o.buf = appendString(o.buf, t.text)
	}
	o.digest("text_digest", &t.digest)
	o.flag("text_truncated", t.truncated)
	o.flag("text_aside", t.whole != "")
	o.flag("text_redacted", t.redacted)
}

// normalized is text for the normalized form.
func (o *object) normalized(t *Text, omit bool) {
	if t == nil || !t.some {
		return
	}
	if !omit {
		o.key("normalized")
		o.buf = appendString(o.buf, t.text)
	}
	o.digest("normalized_digest", &t.digest)
	o.flag("normalized_truncated", t.truncated)
	o.flag("normalized_aside", t.whole != "")
}

func (o *object) digest(key string, d *digest) {
	o.key(key)
	o.buf = append(o.buf, '"')
	o.buf = append(appendDigest(o.buf, d), '"')
}

// appendDigest appends a digest in hex, four bytes at once: two digests of every statement take their part of its line.
func appendDigest(dst []byte, d *digest) []byte {
	for i := 0; i < len(d); i += 4 {
		x := uint64(binary.BigEndian.Uint32(d[i:]))
		x = (x | x<<16) & 0x0000ffff0000ffff
		x = (x | x<<8) & 0x00ff00ff00ff00ff
		x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f // a digit in every byte
		letters := (x + 6*ones) >> 4 & ones // 1 where it is 10 or more
		dst = binary.BigEndian.AppendUint64(dst, x+'0'*ones+letters*('a'-'0'-10))
	}
	return dst
}

// appendBounded is appendString for at most maxFieldBytes of value; "…" shows the cut.
func appendBounded(dst []byte, value string) []byte {
	if len(value) <= maxFieldBytes {
		return appendString(dst, value)
	}
	dst = appendString(dst, cut(value, maxFieldBytes))
	return append(dst[:len(dst)-1], "…\""...)
}

// cut returns at most limit bytes of value and never half a character.
func cut(value string, limit int) string {
	if len(value) <= limit {
		return value
	}
	for i := range utf8.UTFMax {
		if limit-i < 0 {
			break
		}
		if utf8.RuneStart(value[limit-i]) {
			return value[:limit-i]
		}
	}
	return value[:limit] // not UTF-8 anyway
}

const hexDigits = "0123456789abcdef"

// appendString appends value as a JSON string (RFC 8259, 7), byte for byte as encoding/json does without HTML escaping: what is not
// UTF-8 becomes U+FFFD, U+2028 and U+2029 are escaped for readers that are JavaScript.
func appendString(dst []byte, value string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := plain(value); i < len(value); {
		b := value[i]
		if b < utf8.RuneSelf {
			if b >= ' ' && b != '"' && b != '\\' {
				i++
				continue
			}
			dst = append(dst, value[start:i]...)
			dst = appendEscape(dst, b)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(value[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, value[start:i]...), `\ufffd`...)
		case r == '\u2028' || r == '\u2029':
			dst = append(append(dst, value[start:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&0xF])
		default:
			i += size
			continue
		}
		i += size
		start = i
	}
	return append(append(dst, value[start:]...), '"')
}

// plain is the length of a beginning in which nothing needs to be escaped: nearly all of nearly every string, mostly the whole of it. It
// looks at whole words; shorter strings are left to whoever looks at bytes.
func plain(value string) int {
	b := unsafe.Slice(unsafe.StringData(value), len(value)) // #nosec G103 -- which only reads it
	n := 0
	for ; n+8 <= len(b); n += 8 {
		if special(binary.LittleEndian.Uint64(b[n:])) {
			return n
		}
	}
	if n > 0 && !special(binary.LittleEndian.Uint64(b[len(b)-8:])) { // some of it for the second time
		return len(b)
	}
	return n
}

// special says whether one of eight bytes is no ASCII, below a space, a quote or a backslash: its high bit stays. What a borrow sets
// besides is behind one of those.
func special(word uint64) bool {
	const highs = 0x80 * ones
	return (word|(word-' '*ones)|((word^'"'*ones)-ones)|((word^'\\'*ones)-ones))&highs != 0
}

func appendEscape(dst []byte, b byte) []byte {
	switch b {
	case '"', '\\':
		return append(dst, '\\', b)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[b>>4], hexDigits[b&0xF])
}
