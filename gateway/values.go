package gateway

import (
	"bytes"
	"encoding/binary"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/wire"
)

// typed remembers which types Parse gives the parameters, where somebody wants to know. A text that two names have with different types is
// two texts then.
func (p *prepared) typed(want authz.BindValues, types []byte) *prepared {
	if want == "" || len(types) == 0 || bytes.Equal(p.given, types) {
		return p
	}
	return &prepared{text: p.text, sheet: p.sheet, err: p.err, inner: p.inner, audit: p.audit, known: p.known, given: bytes.Clone(types)}
}

// describe remembers which types the backend says that the parameters have: an Int16 and as many OIDs.
func (p *prepared) describe(body []byte) {
	if len(body) < 2 || len(body) != 2+4*int(binary.BigEndian.Uint16(body)) {
		return
	}
	types := bytes.Clone(body[2:])
	p.types.Store(&types)
}

// parameterTypes are the types as far as known. A client that gives none and does not ask for them binds text, or knows them by itself.
func (p *prepared) parameterTypes() audit.Types {
	if types := p.types.Load(); types != nil {
		return *types
	}
	return p.given
}

// bound is what the event of a Bind says of its values, as policy obliges the session.
func (j *judge) bindValues(p *prepared, m *wire.BindBody) *audit.Values {
	if j.grant.BindValues == "" || p == nil {
		return nil
	}
	j.values = audit.Values{Types: p.parameterTypes(), Formats: m.Formats, Bodies: m.Values, Count: m.Parameters}
	switch j.grant.BindValues {
	case authz.BindValuesTypes:
		j.values.Detail = audit.ValueTypes
	case authz.BindValuesRedacted:
		if j.hasher == nil {
			j.hasher = j.valueKey.Hasher()
		}
		j.values.Detail, j.values.Hasher = audit.ValueHashes, j.hasher
	case authz.BindValuesFull:
		j.values.Detail = audit.WholeValues
	}
	return &j.values
}
