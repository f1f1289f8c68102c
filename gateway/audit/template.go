package audit

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

const (
	// templatePlaces is how many templates a session has of statements, and how many of outcomes: more than most programs run in turn.
	templatePlaces = 16
	// maxTemplateBytes is the longest beginning that is kept: sixteen of them are what a session may cost.
	maxTemplateBytes = 4 << 10
)

// template is what many lines of a session begin with, encoded and hashed once. What it was made of is compared with every event, and its
// bytes with every line before their hash is used.
type template struct {
	object
	prefix    proof.Prefix
	hash      uint64
	statement Statement // one that it is for; what is its own, and the texts, are not in it
	texts     [2]textShape
	outcome   Outcome // likewise
}

// textShape is what a line says of a text that it leaves out.
type textShape struct {
	digest                           digest
	some, truncated, aside, redacted bool
}

func (t *Text) shape() textShape {
	return textShape{digest: t.digest, some: true, truncated: t.truncated, aside: t.whole != "", redacted: t.redacted}
}

// templates are those of a session, each in the place that its hash gives it. One is made when events come one after the other, among
// those of one place, that are alike: what never comes again is not worth it. They are safe for concurrent use.
type templates struct {
	places [templatePlaces]struct {
		seen  atomic.Uint64 // the last hash that no template was found for
		known atomic.Pointer[template]
	}
}

func placeOfTemplate(hash uint64) int { return int(hash>>32) % templatePlaces } // #nosec G115 -- 32 bits

// find is the template with a hash; nil: there is none.
func (t *templates) find(hash uint64) *template {
	found := t.places[placeOfTemplate(hash)].known.Load()
	if found == nil || found.hash != hash {
		return nil
	}
	return found
}

// worth says whether there should be a template that was not found.
func (t *templates) worth(hash uint64) bool {
	return t.places[placeOfTemplate(hash)].seen.Swap(hash) == hash
}

// keep keeps a template whose line begins as o does, with a zero byte before it.
func (t *templates) keep(made *template, o object) {
	if len(o.buf) > maxTemplateBytes {
		return
	}
	o.buf = slices.Clone(o.buf)
	made.object, made.prefix = o, proof.NewPrefix(o.buf)
	t.places[placeOfTemplate(made.hash)].known.Store(made)
}

// begun is an object that begins as the template says, in the given memory.
func (t *template) begun(memory []byte) object {
	return object{buf: append(memory, t.buf...), session: t.session}
}

// repeats says whether the same text comes again with other values: not in a Query, which mostly has them in it.
func (e *Statement) repeats() bool { return e.Protocol != ProtocolQuery }

// shapes are what the beginning of the line says of its texts.
func (e *Statement) shapes(n *Text) (texts [2]textShape) {
	if n != nil && n.some {
		texts[0] = n.shape()
	}
	if e.Text.some && e.repeats() {
		texts[1] = e.Text.shape()
	}
	return texts
}

// hash is mostly another one when the beginning of the line is.
func (e *Statement) hash(texts *[2]textShape) uint64 {
	hash := texts[0].digest.word(0) + 3*texts[1].digest.word(0)
	hash += e.Who.hash(e.StatementName) + 3*e.Who.hash(e.Portal) + uint64(len(e.Protocol)+16*len(e.Decision))<<32 // #nosec G115 -- no length is negative
	for _, list := range [...][]string{e.Reasons, e.Obligations} {
		for _, entry := range list {
			hash = 5*hash + e.Who.hash(entry)
		}
	}
	return hash
}

// alike says whether two statements' lines begin alike, but for their texts.
func (e *Statement) alike(other *Statement) bool {
	return e.Session == other.Session && e.Protocol == other.Protocol && e.StatementName == other.StatementName && e.Portal == other.Portal &&
		e.Decision == other.Decision && e.SQLSTATE == other.SQLSTATE && e.PolicyRevision == other.PolicyRevision && e.Facts == other.Facts &&
		e.Incomplete == other.Incomplete && e.Resolved == other.Resolved && e.Observe == other.Observe &&
		slices.Equal(e.Reasons, other.Reasons) && slices.Equal(e.Obligations, other.Obligations)
}

// template is an empty one for statements like this. It keeps nothing of it that may be in memory which changes.
func (e *Statement) template(hash uint64, texts *[2]textShape) *template {
	kept := *e
	kept.Text, kept.Normalized, kept.Values = Text{}, Text{}, nil
	kept.StatementName, kept.Portal = strings.Clone(e.StatementName), strings.Clone(e.Portal)
	kept.Reasons, kept.Obligations = slices.Clone(e.Reasons), slices.Clone(e.Obligations)
	return &template{hash: hash, texts: *texts, statement: kept}
}

// hash is that of an outcome.
func (e *Outcome) hash() uint64 {
	return e.Who.hash(e.Command) + (3*e.Rows+5*e.Bytes+uint64(len(e.Status)))<<32 // #nosec G115 -- no length is negative
}

// alike says whether two outcomes' lines begin alike.
func (e *Outcome) alike(other *Outcome) bool {
	return e.Rows == other.Rows && e.Bytes == other.Bytes && e.Command == other.Command && e.Status == other.Status && e.SQLSTATE == other.SQLSTATE &&
		e.Session == other.Session
}
