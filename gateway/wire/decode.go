package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf8"
)

// ErrFormat reports a message whose body is not exactly what its type prescribes: SQLSTATE 08P01.
var ErrFormat = errors.New("invalid message format")

// ErrEncoding reports a string that is not UTF-8: SQLSTATE 22021.
var ErrEncoding = errors.New("invalid byte sequence for encoding \"UTF8\"")

// cut takes a NUL-terminated string off the front of a body.
func cut(b []byte) (s, rest []byte, err error) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return nil, nil, ErrFormat
	}
	if !utf8.Valid(b[:i]) {
		return nil, nil, ErrEncoding
	}
	return b[:i], b[i+1:], nil
}

// DecodeQuery returns the text of a Query. The result shares the body's memory.
func DecodeQuery(body []byte) (text []byte, err error) {
	text, rest, err := cut(body)
	if err != nil {
		return nil, err
	}
	if len(rest) != 0 {
		return nil, ErrFormat
	}
	return text, nil
}

// ParseBody is a decoded Parse; it shares the body's memory.
type ParseBody struct {
	Name, Text []byte
	Types      []byte // parameter type OIDs, four bytes each
}

// DecodeParse decodes a Parse.
func DecodeParse(body []byte) (m ParseBody, err error) {
	var rest []byte
	if m.Name, rest, err = cut(body); err != nil {
		return m, err
	}
	if m.Text, rest, err = cut(rest); err != nil {
		return m, err
	}
	if len(rest) < 2 || len(rest) != 2+4*int(binary.BigEndian.Uint16(rest)) {
		return m, ErrFormat
	}
	m.Types = rest[2:]
	return m, nil
}

// BindBody is a decoded Bind; it shares the body's memory.
type BindBody struct {
	Portal, Statement []byte
	Parameters        int
	Formats           []byte // of the parameters, Int16 each: none, one for all, or one for each
	Values            []byte // Int32 and as many bytes each; -1 is NULL
}

// DecodeBind decodes a Bind and checks every length and format code in it.
func DecodeBind(body []byte) (m BindBody, err error) {
	var rest []byte
	if m.Portal, rest, err = cut(body); err != nil {
		return m, err
	}
	if m.Statement, rest, err = cut(rest); err != nil {
		return m, err
	}
	formats := rest
	if rest, err = skipFormats(rest); err != nil {
		return m, err
	}
	m.Formats = formats[2 : len(formats)-len(rest)]
	if len(rest) < 2 {
		return m, ErrFormat
	}
	m.Parameters = int(binary.BigEndian.Uint16(rest))
	rest = rest[2:]
	m.Values = rest
	for range m.Parameters {
		if rest, err = skipValue(rest); err != nil {
			return m, err
		}
	}
	m.Values = m.Values[:len(m.Values)-len(rest)]
	if rest, err = skipFormats(rest); err != nil {
		return m, err
	}
	if len(rest) != 0 {
		return m, ErrFormat
	}
	return m, nil
}

// skipFormats walks a counted list of format codes. PostgreSQL takes codes other than 0 and 1 and fails later; they have no meaning, so they end here.
func skipFormats(b []byte) ([]byte, error) {
	if len(b) < 2 {
		return nil, ErrFormat
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	if len(b) < 2*n {
		return nil, ErrFormat
	}
	for i := range n {
		if b[2*i] != 0 || b[2*i+1] > 1 {
			return nil, ErrFormat
		}
	}
	return b[2*n:], nil
}

// skipValue walks one parameter value; a length of -1 is NULL.
func skipValue(b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, ErrFormat
	}
	n := int64(int32(binary.BigEndian.Uint32(b))) // #nosec -- the sign is the point: the field is an Int32
	b = b[4:]
	if n == -1 {
		return b, nil
	}
	if n < 0 || n > int64(len(b)) {
		return nil, ErrFormat
	}
	return b[n:], nil
}

// DecodeExecute returns the portal that an Execute names and the most rows it wants (0: all).
func DecodeExecute(body []byte) (portal []byte, rows uint32, err error) {
	portal, rest, err := cut(body)
	if err != nil {
		return nil, 0, err
	}
	if len(rest) != 4 {
		return nil, 0, ErrFormat
	}
	return portal, binary.BigEndian.Uint32(rest), nil
}

// What Describe and Close name.
const (
	KindStatement byte = 'S'
	KindPortal    byte = 'P'
)

// DecodeName decodes a Describe or a Close: the kind of the object, statement or portal, and its name.
func DecodeName(body []byte) (kind byte, name []byte, err error) {
	if len(body) == 0 || body[0] != KindStatement && body[0] != KindPortal {
		return 0, nil, ErrFormat
	}
	name, rest, err := cut(body[1:])
	if err != nil {
		return 0, nil, err
	}
	if len(rest) != 0 {
		return 0, nil, ErrFormat
	}
	return body[0], name, nil
}

// Field returns one field of an ErrorResponse or NoticeResponse body, nil if it is not there.
func Field(body []byte, code byte) []byte {
	for len(body) > 1 {
		i := bytes.IndexByte(body[1:], 0)
		if i < 0 {
			return nil
		}
		if body[0] == code {
			return body[1 : 1+i]
		}
		body = body[i+2:]
	}
	return nil
}
