package statement

import (
	"encoding/json"
	"fmt"
	"sync"
)

// maxInternedBytes bounds the encoded facts that are remembered. An application has some hundred kinds of statements of some kilobytes.
const maxInternedBytes = 16 << 20

// interned gives equal facts one sheet. A program that writes its values into its texts sends ever new texts, and the same few facts:
// whoever has decided about a sheet knows it again by its address.
type interned struct {
	mu     sync.Mutex
	sheets map[string]*Sheet // by encoded facts and names
	size   int
}

// sheet decodes facts and names, or finds the sheet that they decoded to before. names may be nil, when the worker has died over them.
// replace says that the worker wants to be replaced.
func (i *interned) sheet(facts, names []byte) (sheet *Sheet, replace bool, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	key := make([]byte, 0, len(facts)+len(names))
	key = append(append(key, facts...), names...)
	if sheet := i.sheets[string(key)]; sheet != nil {
		return sheet, false, nil
	}
	sheet = &Sheet{}
	if err := json.Unmarshal(facts, sheet); err != nil {
		return nil, false, fmt.Errorf("decode facts: %w", err)
	}
	if names == nil {
		return sheet, false, nil
	}
	var decoded textNames
	if err := json.Unmarshal(names, &decoded); err != nil {
		return nil, false, fmt.Errorf("decode names: %w", err)
	}
	sheet.Fingerprint, sheet.Normalized = decoded.Fingerprint, decoded.Normalized
	if !decoded.Replace { // or the next one with these names would be told to go too
		i.keep(string(key), sheet)
	}
	return sheet, decoded.Replace, nil
}

func (i *interned) keep(key string, sheet *Sheet) {
	if i.sheets == nil || i.size+len(key) > maxInternedBytes {
		i.sheets, i.size = map[string]*Sheet{}, 0
	}
	i.sheets[key] = sheet
	i.size += len(key)
}
