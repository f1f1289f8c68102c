package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unsafe"
)

// DefaultMaxTextBytes is how much of a statement's text the log keeps when Config.MaxTextBytes is zero: more than people write and
// most programs generate, little enough that a client cannot fill a disk with one message.
const DefaultMaxTextBytes = 64 << 10

// Text is a statement's text as the log records it: redacted, bounded, with a digest. Make it once per text and keep it beside the
// prepared statement. The zero value records no text.
type Text struct {
	text      string
	digest    string
	truncated bool
	redacted  bool
}

// NewText redacts sql (see Redact), digests the whole of it and keeps at most maxBytes of it; 0 is DefaultMaxTextBytes.
//
// The digest (SHA-256, hex) is of the redacted text: a digest of the original would let whoever reads the log try passwords against it.
func NewText(sql string, maxBytes int) Text {
	return new(PassingText).set(sql, maxBytes)
}

// PassingText is the memory of a Text that is recorded once and not kept: making one allocates nothing, unless there is something to
// redact. The Text holds until the next one is made in the same memory.
type PassingText struct {
	sql    []byte
	digest [2 * sha256.Size]byte
}

// maxPassingBytes is the largest memory that is kept for the next text.
const maxPassingBytes = 64 << 10

// Set is NewText in this memory.
func (p *PassingText) Set(sql []byte, maxBytes int) Text {
	if cap(p.sql) > maxPassingBytes {
		p.sql = nil
	}
	p.sql = append(p.sql[:0], sql...)
	return p.set(view(p.sql), maxBytes)
}

func (p *PassingText) set(sql string, maxBytes int) Text {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxTextBytes
	}
	text, redacted := Redact(sql)
	sum := sha256.Sum256(unsafe.Slice(unsafe.StringData(text), len(text))) // #nosec G103 -- which only reads it
	hex.Encode(p.digest[:], sum[:])
	kept := cut(text, maxBytes)
	return Text{text: kept, digest: view(p.digest[:]), truncated: len(kept) < len(text), redacted: redacted}
}

// view is bytes as a string without copying them: it changes when they do.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } // #nosec G103 -- see PassingText

// Clone is a copy for who keeps a Text that may be a passing one.
func (t Text) Clone() Text {
	t.text, t.digest = strings.Clone(t.text), strings.Clone(t.digest)
	return t
}

// String is the text as recorded.
func (t Text) String() string { return t.text }

// Digest is the SHA-256 of the whole redacted text, in hex; "" for the zero Text.
func (t Text) Digest() string { return t.digest }
