package gateway

import (
	"bytes"
	"encoding/binary"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/catalog"
	"github.com/sallyport/sallyport/gateway/wire"
)

// typed is a text whose Parse gives types to its parameters. Those that PostgreSQL did not come with are judged with it; the others are
// remembered where somebody wants to know. A text that two names have with different types is two texts then.
func (j *judge) typed(p *prepared, types []byte) *prepared {
	parameters := catalog.NumberedIn(types)
	if p.sheet == nil {
		parameters = ""
	}
	given := p.given
	if j.grant.BindValues != "" && len(types) > 0 && !bytes.Equal(given, types) {
		given = bytes.Clone(types)
	}
	if parameters == "" && bytes.Equal(given, p.given) {
		return p
	}
	t := &prepared{text: p.text, sheet: p.sheet, err: p.err, inner: p.inner, audit: p.audit, known: p.known, given: given}
	if parameters != "" {
		t.parameters, t.known = parameters, j.opinionOf(p.sheet, parameters)
	}
	return t
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
