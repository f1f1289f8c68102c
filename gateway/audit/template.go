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

// template is what many lines of a session begin with, encoded and hashed once. What it was made of is compared with every event.
type template struct {
	prefix           proof.Prefix
	rest             []byte // what is behind its blocks
	session          []byte // its id, as it stands there
	hash             uint64
	statement        Statement // one that it is for; what is its own, and the texts, are not in it
	normalized, text textShape
	outcome          Outcome // likewise
}

// textShape is what a line says of a text that it leaves out.
type textShape struct {
	digest                           digest
	some, truncated, aside, redacted bool
}

// shape is that of a text; nil: of none.
func (t *Text) shape() textShape {
	if t == nil {
		return textShape{}
	}
	return textShape{digest: t.digest, some: true, truncated: t.truncated, aside: t.whole != "", redacted: t.redacted}
}

// isOf says whether it is the shape of a text, without making that one's.
func (s *textShape) isOf(t *Text) bool {
	if t == nil {
		return !s.some
	}
	return s.some && s.digest == t.digest && s.truncated == t.truncated && s.aside == (t.whole != "") && s.redacted == t.redacted
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
func (t *templates) keep(made *template, o *object) {
	if len(o.buf) > maxTemplateBytes {
		return
	}
	buf := slices.Clone(o.buf)
	made.prefix, made.session = proof.NewPrefix(buf), slices.Clone(o.session)
	made.rest = buf[len(made.prefix.Blocks()):]
	t.places[placeOfTemplate(made.hash)].known.Store(made)
}

// repeats says whether the same text comes again with other values: not in a Query, which mostly has them in it.
func (e *Statement) repeats() bool { return e.Protocol != ProtocolQuery }

// shown are the texts of which the beginning of the line says what it leaves out: of n, the normalized form, and of the text. nil: of none.
func (e *Statement) shown(n *Text) (normalized, text *Text) {
	if n != nil && n.some {
		normalized = n
	}
	if e.Text.some && e.repeats() {
		text = &e.Text
	}
	return normalized, text
}

// hash is mostly another one when the beginning of the line is.
func (e *Statement) hash(normalized, text *Text) (hash uint64) {
	if normalized != nil {
		hash = normalized.digest.word(0)
	}
	if text != nil {
		hash += 3 * text.digest.word(0)
	}
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
func (e *Statement) template(hash uint64, normalized, text *Text) *template {
	kept := *e
	kept.Text, kept.Normalized, kept.Values = Text{}, Text{}, nil
	kept.StatementName, kept.Portal = strings.Clone(e.StatementName), strings.Clone(e.Portal)
	kept.Reasons, kept.Obligations = slices.Clone(e.Reasons), slices.Clone(e.Obligations)
	return &template{hash: hash, normalized: normalized.shape(), text: text.shape(), statement: kept}
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
