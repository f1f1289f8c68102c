package audit

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"strconv"
)

// Bounds of what is recorded of bind values.
const (
	// maxValueBytes is how much of a value stands in a line.
	maxValueBytes = 1024
	// maxValuesBytes is how much of all of a statement's: a Bind has up to 65535, and each may be as long as the message.
	maxValuesBytes = 16 << 10
	// maxValues is of how many of them something is said.
	maxValues = 256
	// hashBytes is how much of a value's hash stands in a line: nobody finds another value with the same.
	hashBytes = 16
)

// ValueDetail is how much is recorded of bind values.
type ValueDetail uint8

// The details. Each says what the one before does; hashes and values exclude each other.
const (
	ValueTypes  ValueDetail = iota + 1 // their types and lengths, and which are NULL
	ValueHashes                        // what tells whether two of them are the same
	WholeValues                        // themselves
)

// Values are the bind values of a statement as they came, in memory that is not theirs.
type Values struct {
	Detail  ValueDetail
	Types   Types  // as far as known
	Formats []byte // Int16 each: none, one for all, or one for each
	Bodies  []byte // Int32 and as many bytes each, -1 for NULL; checked
	Count   int
	Hasher  *ValueHasher // for ValueHashes
}

// Types are the OIDs of types, four bytes each, in network order. 0, and what is missing, is unknown.
type Types []byte

func (t Types) at(i int) uint32 {
	if len(t) < 4*(i+1) {
		return 0
	}
	return binary.BigEndian.Uint32(t[4*i:])
}

// ValueHasher makes the hashes of one session's values. Not for several goroutines.
type ValueHasher struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

// ValueKey is what hashes of values are made with. It is in memory only, and gone with the process: who has the log finds out which of its
// values are the same, and cannot try which value it was, as with a plain hash of a birthday or a card's number. No operator can either.
type ValueKey [32]byte

// NewValueKey makes a random one.
func NewValueKey() *ValueKey {
	var k ValueKey
	_, _ = rand.Read(k[:]) // never fails (crypto/rand)
	return &k
}

// Hasher begins a session's.
func (k *ValueKey) Hasher() *ValueHasher { return &ValueHasher{mac: hmac.New(sha256.New, k[:])} }

func (h *ValueHasher) append(dst []byte, value []byte) []byte {
	h.mac.Reset()
	_, _ = h.mac.Write(value) // never fails (hash.Hash)
	return appendHex(dst, h.mac.Sum(h.sum[:0])[:hashBytes])
}

// values appends the bind values, unless they may be secrets.
func (o *object) values(v *Values, secret bool) {
	if v == nil || v.Count == 0 {
		return
	}
	if secret {
		o.flag("parameters_withheld", true)
		return
	}
	o.key("parameters")
	o.buf = append(o.buf, '[')
	rest, room := v.Bodies, maxValuesBytes
	shown := min(v.Count, maxValues)
	for i := range shown {
		value, null, after := nextValue(rest)
		rest = after
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		before := len(o.buf)
		o.buf = v.append(o.buf, i, value, null, room)
		room -= len(o.buf) - before
	}
	o.buf = append(o.buf, ']')
	if v.Count > shown {
		o.uint("parameters_omitted", uint64(v.Count-shown)) // #nosec -- positive
	}
}

// nextValue cuts the first value off.
func nextValue(b []byte) (value []byte, null bool, rest []byte) {
	if len(b) < 4 {
		return nil, true, nil
	}
	n := int(int32(binary.BigEndian.Uint32(b))) // #nosec -- -1 is NULL
	if b = b[4:]; n < 0 || n > len(b) {
		return nil, true, b
	}
	return b[:n], false, b[n:]
}

// append appends what is said of value i. When there is no more room it is not said what it is.
func (v *Values) append(dst []byte, i int, value []byte, null bool, room int) []byte {
	t := v.Types.at(i)
	dst = append(append(append(dst, `{"type":"`...), typeName(t)...), '"')
	if typeName(t) == "" {
		dst = append(strconv.AppendUint(append(dst[:len(dst)-1], "oid "...), uint64(t), 10), '"')
	}
	if null {
		return append(dst, `,"null":true}`...)
	}
	dst = strconv.AppendInt(append(dst, `,"bytes":`...), int64(len(value)), 10)
	switch {
	case v.Detail == ValueTypes || room <= 0:
	case speaksOfSecret(view(value)):
		dst = append(dst, `,"redacted":true`...)
	case v.Detail == ValueHashes:
		dst = append(v.Hasher.append(append(dst, `,"hash":"`...), value), '"')
	default:
		dst = appendValue(append(dst, `,"value":`...), t, v.binary(i), value, min(maxValueBytes, room))
	}
	return append(dst, '}')
}

// binary says in which format value i is.
func (v *Values) binary(i int) bool {
	switch len(v.Formats) / 2 {
	case 0:
		return false
	case 1:
		i = 0
	}
	return len(v.Formats) >= 2*(i+1) && v.Formats[2*i+1] == 1
}
