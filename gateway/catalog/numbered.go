package catalog

import (
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/sallyport/sallyport/authz/statement"
)

// firstOwn is the first OID that initdb gives to nothing: FirstNormalObjectId (access/transam.h).
const firstOwn = 16384

// bytesOfOID is what an OID takes in a message.
const bytesOfOID = 4

// Numbered are types that Parse gives to parameters by their OIDs, which no text shows: those that PostgreSQL did not come with, four bytes
// each, in order. A value of one is made when it is bound, and so runs the functions that values of the type run.
type Numbered string

// NumberedIn returns those among the types that a Parse has.
func NumberedIn(types []byte) Numbered {
	var own []uint32
	for ; len(types) >= bytesOfOID; types = types[bytesOfOID:] {
		if oid := binary.BigEndian.Uint32(types); oid >= firstOwn {
			own = append(own, oid)
		}
	}
	slices.Sort(own)
	var numbered []byte
	for _, oid := range slices.Compact(own) {
		numbered = binary.BigEndian.AppendUint32(numbered, oid)
	}
	return Numbered(numbered)
}

func (n Numbered) oids() []uint32 {
	var oids []uint32
	for rest := []byte(n); len(rest) >= bytesOfOID; rest = rest[bytesOfOID:] {
		oids = append(oids, binary.BigEndian.Uint32(rest))
	}
	return oids
}

// Unresolved is the sheet of a text to whose parameters such types are given, where there is no snapshot to look them up in.
func (n Numbered) Unresolved(sheet *statement.Sheet) *statement.Sheet {
	if n == "" {
		return sheet
	}
	u := *sheet
	return incomplete(&u, "the types of parameters are given by numbers that are not known")
}

// incomplete makes a sheet that is still our own say that it does not say everything.
func incomplete(sheet *statement.Sheet, why string) *statement.Sheet {
	sheet.Complete = false
	sheet.Incomplete = append(slices.Clone(sheet.Incomplete), why)
	return sheet
}

// typeNumbered adds a type by its number. A number that is not known may be a temporary type's.
func (r *resolver) typeNumbered(oid uint32) {
	name, ok := r.snapshot.TypeNames[oid]
	if !ok {
		r.unnumbered = true
		r.unknownName("", strconv.FormatUint(uint64(oid), 10))
		return
	}
	r.typeNamed(statement.Object{Schema: name.Schema, Name: name.Name})
}
