package statement

import (
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// maxInternedBytes bounds the encoded facts that are remembered. An application has some hundred kinds of statements of some kilobytes.
const maxInternedBytes = 16 << 20

// interned gives equal facts one sheet. A program that writes its values into its texts sends ever new texts, and the same few facts:
// whoever has decided about a sheet knows it again by its address.
type interned struct {
	mu    sync.Mutex
	known map[string]*interning // by encoded facts
	size  int
}

// interning are the sheets of the same facts.
type interning struct {
	facts  *Sheet            // without names
	sheets map[string]*Sheet // by encoded names
}

// facts returns the sheet of encoded facts, without names: the first that was decoded from them.
func (i *interned) facts(encoded []byte) (*Sheet, error) {
	if known := i.find(encoded); known != nil {
		return known, nil
	}
	sheet := &Sheet{}
	if err := cbor.Unmarshal(encoded, sheet); err != nil {
		return nil, fmt.Errorf("decode facts: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.intern(encoded, sheet).facts, nil
}

func (i *interned) find(encoded []byte) *Sheet {
	i.mu.Lock()
	defer i.mu.Unlock()
	if known := i.known[string(encoded)]; known != nil {
		return known.facts
	}
	return nil
}

// sheet returns the first sheet that was made of facts and encoded names: made, if they are new.
func (i *interned) sheet(encoded []byte, facts *Sheet, names []byte, made *Sheet) *Sheet {
	i.mu.Lock()
	defer i.mu.Unlock()
	same := i.intern(encoded, facts)
	if sheet := same.sheets[string(names)]; sheet != nil {
		return sheet
	}
	if same.sheets == nil {
		same.sheets = map[string]*Sheet{}
	}
	same.sheets[string(names)] = made
	i.size += len(names)
	return made
}

// intern finds the sheets of facts, or makes a place for them: what was there before may have been forgotten. The lock is held.
func (i *interned) intern(encoded []byte, facts *Sheet) *interning {
	if same := i.known[string(encoded)]; same != nil {
		return same
	}
	if i.known == nil || i.size+len(encoded) > maxInternedBytes {
		i.known, i.size = map[string]*interning{}, 0
	}
	same := &interning{facts: facts}
	i.known[string(encoded)] = same
	i.size += len(encoded)
	return same
}
