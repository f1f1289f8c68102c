package audit

import (
	"encoding/binary"
	"encoding/hex"
)

// textPlaces is how many texts a log knows to be in its file: more than programs have, half a mebibyte of digests.
const textPlaces = 1 << 14

// place is where a text is remembered.
func (d *digest) place() int { return int(binary.BigEndian.Uint16(d[:])) % textPlaces }

// written are the texts that a file has already. Each digest has one place; whichever has the same takes it over, and the one before is
// written again when it comes again.
type written [textPlaces]digest

func (w *written) has(t *Text) bool { return w[t.digest.place()] == t.digest }

func (w *written) add(t *Text) {
	if t != nil && t.some {
		w[t.digest.place()] = t.digest
	}
}

// Texts finds the texts of which a line has only the digest. Note what every line has, in their order and from the beginning of a file:
// what Find does not find is in none of them. It remembers as much as the log does.
type Texts struct {
	places [textPlaces]struct{ digest, text string }
}

// Note remembers a text by what the line calls its digest.
func (t *Texts) Note(digest, text string) {
	if place, ok := placeOf(digest); ok {
		t.places[place].digest, t.places[place].text = digest, text
	}
}

// Find is the text with a digest.
func (t *Texts) Find(digest string) (text string, ok bool) {
	place, ok := placeOf(digest)
	if !ok || t.places[place].digest != digest {
		return "", false
	}
	return t.places[place].text, true
}

func placeOf(text string) (int, bool) {
	var d digest
	if len(text) != hex.EncodedLen(len(d)) {
		return 0, false
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return 0, false
	}
	return d.place(), true
}
