package gateway

import (
	"context"
	"hash/maphash"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
)

// textCache keeps the texts a session has sent lately, so that a Query that comes again is not taken apart again.
type textCache map[string]*prepared

// maxCachedTexts and the others bound it: a session repeats few texts, and those are short and say little.
const (
	maxCachedTexts = 64
	maxCachedText  = 4 << 10
	maxCachedSheet = 64 << 10
)

// prepare gets the facts of a text. It never fails: what could not be read says why.
func (j *judge) prepare(ctx context.Context, text []byte) *prepared {
	if p := j.texts[string(text)]; p != nil {
		return p
	}
	p := &prepared{text: string(text)}
	p.audit = j.log.Text(p.text)
	ctx, cancel := context.WithTimeout(ctx, j.timeouts.Decision)
	defer cancel()
	j.fresh = false
	p.sheet, p.err = j.analyzer.AnalyzeAhead(ctx, p.text, func(facts *statement.Sheet) { j.foresee(ctx, facts) })
	p.known = j.opinionOf(p.sheet, "")
	if p.err == nil && len(text) <= maxCachedText && p.known.size <= maxCachedSheet {
		if len(j.texts) >= maxCachedTexts {
			clear(j.texts)
		}
		j.texts[p.text] = p
	}
	return p
}

// passingText is the text that a Query carries once and nobody asks for again, as programs do that write their values into their texts. All
// such texts of a session are told one after the other in this one place.
type passingText struct {
	prepared prepared
	text     audit.PassingText
	shape    statement.Memory

	seed   maphash.Seed
	hashes [maxCachedTexts]uint32 // of those that passed lately
}

// read is prepare for the text of a Query. What it returns for a text with known facts holds until the next Query.
func (j *judge) read(ctx context.Context, text []byte) *prepared {
	if p := j.texts[string(text)]; p != nil {
		return p
	}
	sheet := j.analyzer.Known(text, &j.passing.shape)
	if sheet == nil || carries(sheet) || len(text) <= maxCachedText && j.passing.passed(text) {
		return j.prepare(ctx, text)
	}
	j.passing.prepared = prepared{sheet: sheet, audit: j.log.PassingText(&j.passing.text, text), known: j.opinionOf(sheet, "")}
	return &j.passing.prepared
}

// carries says whether a text outlives its Query: as a prepared statement or a cursor.
func carries(sheet *statement.Sheet) bool {
	for i := range sheet.Statements {
		if sheet.Statements[i].Prepared != nil {
			return true
		}
	}
	return false
}

// passed says whether a text has passed lately: then it comes again, and is worth remembering. It may err.
func (p *passingText) passed(text []byte) bool {
	hash := uint32(maphash.Bytes(p.seed, text)) // #nosec G115 -- it is cut
	place := &p.hashes[hash%maxCachedTexts]
	passed := *place == hash
	*place = hash
	return passed
}
