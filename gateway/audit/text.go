package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Bounds of the texts that the log keeps.
const (
	// DefaultMaxTextBytes is how much of a text stands in a line when Config.MaxTextBytes is zero: more than people write and most
	// programs generate, little enough that a client cannot fill a disk with one message.
	DefaultMaxTextBytes = 64 << 10
	// DefaultMaxWholeBytes is how long a text is kept whole beside the log, unless somebody says otherwise: the longest
	// statement that is analysed by default.
	DefaultMaxWholeBytes = 1 << 20
)

// Text is a text as the log records it: redacted, bounded, with a digest. Make it once per text and keep it beside the prepared
// statement. The zero value records no text.
type Text struct {
	text      string // as much of it as stands in a line
	whole     string // all of it, where it is too long for a line and is kept beside the log
	digest    digest
	limit     int  // how much of it may stand in a line
	some      bool // it is not the zero Text
	truncated bool
	redacted  bool
	speaks    bool // of a secret: what it is run with may be one
}

// digest is the SHA-256 of a whole redacted text: a digest of the original would let whoever reads the log try passwords against it.
type digest [sha256.Size]byte

// NewText redacts sql (see Redact), digests the whole of it and keeps at most maxBytes of it for a line; 0 is DefaultMaxTextBytes. None
// is kept beside the log.
func NewText(sql string, maxBytes int) Text {
	return textBounds{line: maxBytes}.text(sql)
}

// textBounds says how much of a text is kept.
type textBounds struct {
	line  int // in a line; 0: DefaultMaxTextBytes
	whole int // a longer text than this is not kept beside the log
}

func (b textBounds) text(sql string) Text {
	if b.line <= 0 {
		b.line = DefaultMaxTextBytes
	}
	text, redacted, speaks := redact(sql)
	keep := len(text) > b.line && len(text) <= b.whole
	if keep && !utf8.ValidString(text) {
		text = string([]rune(text)) // as JSON has it: the digest beside the log is of what stands there
	}
	kept := cut(text, b.line)
	t := Text{text: kept, limit: b.line, some: true, truncated: len(kept) < len(text), redacted: redacted, speaks: speaks}
	t.digest = sha256.Sum256(unsafe.Slice(unsafe.StringData(text), len(text))) // #nosec G103 -- which only reads it
	if keep {
		t.whole = text
	}
	return t
}

// PassingText is the memory of a Text that is recorded once and not kept: making one allocates nothing, unless there is something to
// redact. The Text holds until the next one is made in the same memory.
type PassingText struct {
	sql []byte
}

// maxPassingBytes is the largest memory that is kept for the next text.
const maxPassingBytes = 64 << 10

// Set is NewText in this memory.
func (p *PassingText) Set(sql []byte, maxBytes int) Text {
	return p.set(sql, textBounds{line: maxBytes})
}

func (p *PassingText) set(sql []byte, bounds textBounds) Text {
	if cap(p.sql) > maxPassingBytes {
		p.sql = nil
	}
	p.sql = append(p.sql[:0], sql...)
	return bounds.text(view(p.sql))
}

// view is bytes as a string without copying them: it changes when they do.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) } // #nosec G103 -- see PassingText

// Clone is a copy for who keeps a Text that may be a passing one.
func (t Text) Clone() Text {
	t.text, t.whole = strings.Clone(t.text), strings.Clone(t.whole)
	return t
}

// String is the text as far as it stands in a line.
func (t Text) String() string { return t.text }

// Digest is the SHA-256 of the whole redacted text, in hex; "" for the zero Text.
func (t Text) Digest() string {
	if !t.some {
		return ""
	}
	return hex.EncodeToString(t.digest[:])
}

// Speaks says whether it speaks of a secret, in it or beside it: UPDATE users SET password = $1. What is bound to such a text is not recorded.
func (t Text) Speaks() bool { return t.speaks }

// WithoutValues is a text that runs by its name what speaks of a secret: EXECUTE change('bob', 'x'). None of its literals and numbers is
// left. Of a text that is not kept whole it is the beginning, and so is what the digest is of.
func (t Text) WithoutValues() Text {
	known := t.whole
	if known == "" {
		known = t.text
	}
	text, found := redactValues(known)
	if !found {
		t.speaks = true
		return t
	}
	kept := cut(text, t.limit)
	return Text{
		text: kept, limit: t.limit, some: true, digest: sha256.Sum256([]byte(text)),
		truncated: t.truncated && t.whole == "" || len(kept) < len(text), redacted: true, speaks: true,
	}
}

// Redacted says whether a password was taken out of it.
func (t Text) Redacted() bool { return t.redacted }
