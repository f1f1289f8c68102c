package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Lines that are no leaves are written in one way only, and anything else is a leaf: who changes one makes it a leaf that the next
// checkpoint does not know.
const (
	lineTime = "2006-01-02T15:04:05.000000Z"

	headTime     = `{"time":"`
	headType     = `{"type":"`
	lastTime     = `,"time":"`
	typeStart    = `","type":"tree","session":"",`
	typeMark     = `","type":"checkpoint","session":"","size":`
	fieldSize    = `"size":`
	fieldHashes  = `,"hashes":"`
	fieldLeaves  = `,"leaves":"`
	fieldNote    = `","note":"`
	lineEnd      = `"}`
	noteNewline  = `\n`
	markNewlines = 6 // of the longest note: text, blank line, signature
)

// AppendStart appends the line that a file begins with, without its newline.
func AppendStart(dst []byte, now time.Time, t *Tree) []byte {
	dst = append(now.UTC().AppendFormat(append(dst, headTime...), lineTime), typeStart...)
	dst = append(append(append(dst, fieldSchema...), Schema...), `",`...)
	dst = strconv.AppendInt(append(dst, fieldSize...), t.size, 10)
	dst = append(dst, fieldHashes...)
	dst = appendHashes(dst, t.Edge())
	return append(dst, lineEnd...)
}

// AppendCheckpoint appends the line of a checkpoint, without its newline. leaves are those since the checkpoint before, signed is
// the checkpoint of t.
func AppendCheckpoint(dst []byte, now time.Time, t *Tree, leaves []Hash, signed string) []byte {
	dst = append(now.UTC().AppendFormat(append(dst, headTime...), lineTime), typeMark...)
	return appendMark(dst, t.size, leaves, signed)
}

func appendMark(dst []byte, size int64, leaves []Hash, signed string) []byte {
	dst = strconv.AppendInt(dst, size, 10)
	dst = append(dst, fieldLeaves...)
	dst = appendHashes(dst, leaves)
	dst = append(dst, fieldNote...)
	dst = append(dst, strings.ReplaceAll(signed, "\n", noteNewline)...)
	return append(dst, lineEnd...)
}

// appendHashes appends the base64 of all hashes together.
func appendHashes(dst []byte, hashes []Hash) []byte {
	// 32 bytes leave a rest in base64, three hashes none.
	const together = 3
	var raw [together*tlog.HashSize + 2]byte // what reads six bytes reads eight
	for ; len(hashes) >= together; hashes = hashes[together:] {
		for i := range together {
			copy(raw[i*tlog.HashSize:], hashes[i][:])
		}
		dst = appendDigits(dst, raw[:])
	}
	rest := raw[:0]
	for _, h := range hashes {
		rest = append(rest, h[:]...)
	}
	return base64.StdEncoding.AppendEncode(dst, rest)
}

// appendDigits appends the digits in base64 (RFC 4648, 4) of raw but for its last two bytes, two at once.
func appendDigits(dst, raw []byte) []byte {
	for ; len(raw) >= 8; raw = raw[6:] {
		x := binary.BigEndian.Uint64(raw) >> 16
		first, second, third, fourth := digitPairs[x>>36], digitPairs[x>>24&0xfff], digitPairs[x>>12&0xfff], digitPairs[x&0xfff]
		dst = binary.LittleEndian.AppendUint64(dst, uint64(first)|uint64(second)<<16|uint64(third)<<32|uint64(fourth)<<48)
	}
	return dst
}

// digitPairs are the two digits of twelve bits, the first in the lower byte.
var digitPairs = func() (pairs [1 << 12]uint16) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for n := range pairs {
		pairs[n] = uint16(digits[n>>6]) | uint16(digits[n&63])<<8
	}
	return pairs
}()

func parseHashes(text []byte) ([]Hash, bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(raw)%tlog.HashSize != 0 {
		return nil, false
	}
	hashes := make([]Hash, len(raw)/tlog.HashSize)
	for i := range hashes {
		hashes[i] = Hash(raw[i*tlog.HashSize:])
	}
	return hashes, true
}

// mark is a checkpoint as it stands in a log. Nothing of it is verified.
type mark struct {
	size   int64
	leaves []Hash
	note   string
}

// behindTime is what follows the time that a line begins with; ok is false when it begins otherwise.
func behindTime(line []byte) (rest []byte, ok bool) {
	if len(line) < len(headTime)+len(lineTime) || !bytes.HasPrefix(line, []byte(headTime)) || !isTime(line[len(headTime):][:len(lineTime)]) {
		return nil, false
	}
	return line[len(headTime)+len(lineTime):], true
}

// isTime says whether so many bytes are a time as lines have it.
func isTime(stamp []byte) bool {
	for i, c := range []byte(lineTime) { // the digits' places are those of the layout
		if digit := '0' <= c && c <= '9'; digit && (stamp[i] < '0' || stamp[i] > '9') || !digit && stamp[i] != c {
			return false
		}
	}
	return true
}

// Stamp is the time of a line as it stands there, which sorts as text; nil: it has none. A line begins with it, or it ends with it.
func Stamp(line []byte) []byte {
	if _, ok := behindTime(line); ok {
		return line[len(headTime):][:len(lineTime)]
	}
	head, ended := bytes.CutSuffix(line, []byte(lineEnd))
	at := len(head) - len(lineTime)
	if !ended || at < 0 || !bytes.HasSuffix(head[:at], []byte(lastTime)) || !isTime(head[at:]) {
		return nil
	}
	return head[at:]
}

// parseStart reads a start; ok is false when the line is none.
func parseStart(line []byte) (t Tree, ok bool) {
	rest, ok := behindTime(line)
	if !ok || !bytes.HasPrefix(rest, []byte(typeStart)) {
		return t, false
	}
	rest, ok = behindSchema(rest[len(typeStart):])
	if !ok || !bytes.HasPrefix(rest, []byte(fieldSize)) {
		return t, false
	}
	size, rest, _ := bytes.Cut(rest[len(fieldSize):], []byte(fieldHashes))
	n, err := strconv.ParseInt(string(size), 10, 64)
	text, ended := bytes.CutSuffix(rest, []byte(lineEnd))
	hashes, decoded := parseHashes(text)
	if err != nil || !ended || !decoded || strconv.FormatInt(n, 10) != string(size) {
		return t, false
	}
	t, err = NewTree(n, hashes)
	return t, err == nil
}

// behindSchema is what follows the version in a start, if there is one; ok is false when it is none of ours.
func behindSchema(rest []byte) (behind []byte, ok bool) {
	rest, versioned := bytes.CutPrefix(rest, []byte(fieldSchema))
	if !versioned {
		return rest, true
	}
	version, rest, ended := bytes.Cut(rest, []byte(`",`))
	major, _, ok := parseSchema(version)
	return rest, ended && ok && major == schemaMajor
}

// BeginsStart says whether what there is of a torn line is, or can be, the beginning of the line that a file begins with.
func BeginsStart(torn []byte) bool {
	rest, ok := behindTime(torn)
	if !ok {
		return len(torn) < len(headTime)+len(lineTime)
	}
	return bytes.HasPrefix(rest, []byte(typeStart)) || bytes.HasPrefix([]byte(typeStart), rest)
}

// ParseStart reads the line that a file begins with: the tree before it. ok is false when the line is none.
func ParseStart(line []byte) (t Tree, ok bool) { return parseStart(line) }

// parseMark reads a checkpoint; ok is false when the line is none.
func parseMark(line []byte) (m mark, ok bool) {
	rest, ok := behindTime(line)
	if !ok || !bytes.HasPrefix(rest, []byte(typeMark)) {
		return m, false
	}
	rest = rest[len(typeMark):]
	size, behind, _ := bytes.Cut(rest, []byte(fieldLeaves))
	leaves, behind, _ := bytes.Cut(behind, []byte(fieldNote))
	text, _ := bytes.CutSuffix(behind, []byte(lineEnd))
	n, err := strconv.ParseInt(string(size), 10, 64)
	if m.leaves, ok = parseHashes(leaves); err != nil || !ok {
		return m, false
	}
	m.size, m.note = n, strings.ReplaceAll(string(text), noteNewline, "\n")
	if strings.ContainsAny(m.note, `"\`) || strings.Count(m.note, "\n") > markNewlines {
		return m, false
	}
	return m, bytes.Equal(appendMark(nil, m.size, m.leaves, m.note), rest)
}

// Label says which event a line is, for people: its id, or its type and session. It is "" for what is no event.
func Label(line []byte) string {
	if _, ok := behindTime(line); !ok && !bytes.HasPrefix(line, []byte(headType)) {
		return ""
	}
	kind, session := field(line, keyType), field(line, keySession)
	if id := field(line, keyID); len(id) > 0 {
		session = id
	}
	const longest = 64 // of what somebody else may have written
	label := string(kind[:min(len(kind), longest)])
	if len(session) > 0 {
		label += " " + string(session[:min(len(session), longest)])
	}
	return label
}

// The keys that say which event a line is. No string has them in it: its quotes are escaped.
const (
	keyType    = `"type":"`
	keySession = `,"session":"`
	keyID      = `,"id":"`
)

// field is what stands behind a key.
func field(line []byte, key string) []byte {
	_, rest, _ := bytes.Cut(line, []byte(key))
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return value
}

// Kind is what a line is to the tree.
type Kind uint8

// The kinds of lines.
const (
	KindLeaf Kind = iota
	KindStart
	KindCheckpoint
)

// KindOf says what a line is.
func KindOf(line []byte) Kind {
	if _, ok := parseStart(line); ok {
		return KindStart
	}
	if _, ok := parseMark(line); ok {
		return KindCheckpoint
	}
	return KindLeaf
}
