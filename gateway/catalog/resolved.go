package catalog

import (
	"strings"
	"sync"

	"github.com/sallyport/sallyport/authz/recent"
	"github.com/sallyport/sallyport/authz/statement"
)

// maxResolvedBytes bounds the sheets that a snapshot remembers: some thousand kinds of statements. A session that rests keeps its last
// snapshot, so there may be several.
const maxResolvedBytes = 16 << 20

// resolved are the sheets that a snapshot has resolved. All sessions that search the same schemas share them, and so what was decided about
// them. Its zero value is empty.
type resolved struct {
	once   sync.Once
	sheets *recent.Cache[resolution, *statement.Sheet]
}

// resolution is what a sheet follows from, in one snapshot.
type resolution struct {
	saying                  statement.Saying
	path                    string
	parameters              Numbered
	fingerprint, normalized string
}

func (r *resolved) get(sheet *statement.Sheet, path []string, parameters Numbered, resolve func() *statement.Sheet) *statement.Sheet {
	r.once.Do(func() { r.sheets = recent.New[resolution, *statement.Sheet](maxResolvedBytes) })
	key := resolution{sheet.Saying(), strings.Join(path, "\x00"), parameters, sheet.Fingerprint, sheet.Normalized} // no name has a NUL
	if known, ok := r.sheets.Get(key); ok {
		return known
	}
	ahead := key
	ahead.fingerprint, ahead.normalized = "", ""
	if known, ok := r.sheets.Get(ahead); ok { // without the text's names: these change nothing about what it means
		return r.sheets.Put(key, known.Called(sheet), len(key.path)+len(key.fingerprint)+len(key.normalized))
	}
	facts := resolve()
	return r.sheets.Put(key, facts, sheet.Size()+facts.Size()+len(key.path)+len(parameters))
}
