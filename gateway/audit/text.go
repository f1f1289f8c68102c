package audit

import (
	"crypto/sha256"
	"encoding/hex"
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
	if maxBytes <= 0 {
		maxBytes = DefaultMaxTextBytes
	}
	text, redacted := Redact(sql)
	sum := sha256.Sum256([]byte(text))
	kept := cut(text, maxBytes)
	return Text{
		text:      kept,
		digest:    hex.EncodeToString(sum[:]),
		truncated: len(kept) < len(text),
		redacted:  redacted,
	}
}

// String is the text as recorded.
func (t Text) String() string { return t.text }

// Digest is the SHA-256 of the whole redacted text, in hex; "" for the zero Text.
func (t Text) Digest() string { return t.digest }
