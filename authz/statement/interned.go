package statement

import "sync"

// maxInternedBytes bounds the encoded facts that are remembered. An application has some hundred kinds of statements of some kilobytes.
const maxInternedBytes = 16 << 20

// interned gives equal facts one sheet. A program that writes its values into its texts sends ever new texts, and the same few facts:
// whoever has decided about a sheet knows it again by its address.
type interned struct {
	mu     sync.Mutex
	sheets map[string]*Sheet // by encoded facts and names
	size   int
}

// sheet returns the first sheet that was decoded from facts and names: this one, if they are new.
func (i *interned) sheet(facts, names []byte, decoded *Sheet) *Sheet {
	i.mu.Lock()
	defer i.mu.Unlock()
	key := make([]byte, 0, len(facts)+len(names))
	key = append(append(key, facts...), names...)
	if sheet := i.sheets[string(key)]; sheet != nil {
		return sheet
	}
	i.keep(string(key), decoded)
	return decoded
}

func (i *interned) keep(key string, sheet *Sheet) {
	if i.sheets == nil || i.size+len(key) > maxInternedBytes {
		i.sheets, i.size = map[string]*Sheet{}, 0
	}
	i.sheets[key] = sheet
	i.size += len(key)
}
