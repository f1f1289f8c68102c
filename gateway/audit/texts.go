package audit

import (
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
)

// textPlaces is how many texts a log knows to be in its file: more than programs have, half a mebibyte of digests.
const textPlaces = 1 << 14

// place is where a text is remembered.
func (d *digest) place() int { return int(binary.BigEndian.Uint16(d[:])) % textPlaces }

// written are the texts that a file has already. Each digest has one place; whichever has the same takes it over, and the one before is
// written again when it comes again.
//
// Looking it up needs no lock; what is found without the one that its changes are made with may just be changing.
type written struct {
	places  [textPlaces][digestWords]atomic.Uint64
	changes atomic.Uint64 // so many were made: whoever finds as many with the lock as before needs not look again
}

const digestWords = len(digest{}) / 8

// word is a part of the digest.
func (d *digest) word(n int) uint64 { return binary.NativeEndian.Uint64(d[8*n:]) }

func (w *written) has(t *Text) bool {
	place := &w.places[t.digest.place()]
	for n := range place {
		if place[n].Load() != t.digest.word(n) {
			return false
		}
	}
	return true
}

// omitted says which texts of a statement its line need not have.
type omitted struct {
	text, normalized bool
	all              bool   // the line has none
	changes          uint64 // of what is written, before that was looked at
}

func (w *written) omitted(s *Statement) omitted {
	omit := omitted{changes: w.changes.Load()}
	n := s.normalized()
	if n != nil && n.digest.place() == s.Text.digest.place() {
		return omit // one would take over the place of the other between this line and its reader
	}
	omit.text, omit.normalized = w.has(&s.Text), n != nil && w.has(n)
	omit.all = omit.text && (omit.normalized || n == nil)
	return omit
}

// add takes in what the line of a statement has.
func (w *written) add(s *Statement) {
	for _, t := range [...]*Text{&s.Text, s.normalized()} {
		if t == nil || !t.some || w.has(t) {
			continue
		}
		place := &w.places[t.digest.place()]
		for n := range place {
			place[n].Store(t.digest.word(n))
		}
		w.changes.Add(1) // behind them: a change that was seen in part has not been counted yet
	}
}

// clear forgets all.
func (w *written) clear() {
	for i := range w.places {
		for n := range w.places[i] {
			w.places[i][n].Store(0)
		}
	}
	w.changes.Add(1)
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
