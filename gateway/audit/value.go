package audit

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// OIDs of types whose binary format is read here (pg_type.dat), and what PostgreSQL calls them.
const (
	typeBool        = 16
	typeBytea       = 17
	typeChar        = 18
	typeSQLName     = 19
	typeInt8        = 20
	typeInt2        = 21
	typeInt4        = 23
	typeText        = 25
	typeOID         = 26
	typeJSON        = 114
	typeXML         = 142
	typeFloat4      = 700
	typeFloat8      = 701
	typeBPChar      = 1042
	typeVarchar     = 1043
	typeDate        = 1082
	typeTimestamp   = 1114
	typeTimestamptz = 1184
	typeUUID        = 2950
)

// typeName is what PostgreSQL calls a type; "" for those that are not PostgreSQL's own, or rare.
func typeName(oid uint32) string {
	switch oid {
	case 0:
		return "unknown"
	case typeBool:
		return "bool"
	case typeBytea:
		return "bytea"
	case typeChar:
		return "char"
	case typeSQLName:
		return "name"
	case typeInt8:
		return "int8"
	case typeInt2:
		return "int2"
	case typeInt4:
		return "int4"
	case typeText:
		return "text"
	case typeOID:
		return "oid"
	case typeJSON:
		return "json"
	case typeXML:
		return "xml"
	case typeFloat4:
		return "float4"
	case typeFloat8:
		return "float8"
	case typeBPChar:
		return "bpchar"
	case typeVarchar:
		return "varchar"
	case typeDate:
		return "date"
	case typeTimestamp:
		return "timestamp"
	case typeTimestamptz:
		return "timestamptz"
	case typeUUID:
		return "uuid"
	}
	return rareTypeName(oid)
}

// rareTypeName is the name of a type whose binary format is not read here.
func rareTypeName(oid uint32) string {
	switch oid {
	case 600:
		return "point"
	case 650:
		return "cidr"
	case 705:
		return "unknown"
	case 790:
		return "money"
	case 829:
		return "macaddr"
	case 869:
		return "inet"
	case 1000:
		return "bool[]"
	case 1005:
		return "int2[]"
	case 1007:
		return "int4[]"
	case 1009:
		return "text[]"
	case 1015:
		return "varchar[]"
	case 1016:
		return "int8[]"
	case 1083:
		return "time"
	case 1186:
		return "interval"
	case 1266:
		return "timetz"
	case 1700:
		return "numeric"
	case 2951:
		return "uuid[]"
	case 3802:
		return "jsonb"
	}
	return ""
}

// appendValue appends at most limit bytes of a value; "truncated" says that it has more. What is binary and cannot be read is in hex, and
// "format" says that.
func appendValue(dst []byte, oid uint32, isBinary bool, value []byte, limit int) []byte {
	shown := len(value)
	if !isBinary || isText(oid) && utf8.Valid(value) {
		kept := cut(view(value), limit)
		shown = len(kept)
		dst = appendString(dst, kept)
	} else if decoded, ok := appendDecoded(append(dst, '"'), oid, value); ok {
		dst = append(decoded, '"')
	} else {
		shown = min(len(value), limit/2) // a byte is two digits
		dst = append(appendHex(append(dst, '"'), value[:shown]), `","format":"hex"`...)
	}
	if shown < len(value) {
		dst = append(dst, `,"truncated":true`...)
	}
	return dst
}

func appendHex(dst, value []byte) []byte { return hex.AppendEncode(dst, value) }

func isText(oid uint32) bool {
	switch oid {
	case typeChar, typeSQLName, typeText, typeJSON, typeXML, typeBPChar, typeVarchar:
		return true
	}
	return false
}

// appendDecoded appends what a binary value is as text, if it is of a type that is read here and as long as those are.
func appendDecoded(dst []byte, oid uint32, value []byte) (_ []byte, ok bool) {
	switch {
	case oid == typeBool && len(value) == 1:
		return strconv.AppendBool(dst, value[0] != 0), true
	case oid == typeInt2 && len(value) == 2:
		return strconv.AppendInt(dst, int64(int16(binary.BigEndian.Uint16(value))), 10), true // #nosec -- the sign is the point
	case oid == typeInt4 && len(value) == 4:
		return strconv.AppendInt(dst, int64(int32(binary.BigEndian.Uint32(value))), 10), true // #nosec -- the sign is the point
	case oid == typeOID && len(value) == 4:
		return strconv.AppendUint(dst, uint64(binary.BigEndian.Uint32(value)), 10), true
	case oid == typeInt8 && len(value) == 8:
		return strconv.AppendInt(dst, int64(binary.BigEndian.Uint64(value)), 10), true // #nosec -- the sign is the point
	case oid == typeFloat4 && len(value) == 4:
		return strconv.AppendFloat(dst, float64(math.Float32frombits(binary.BigEndian.Uint32(value))), 'g', -1, 32), true
	case oid == typeFloat8 && len(value) == 8:
		return strconv.AppendFloat(dst, math.Float64frombits(binary.BigEndian.Uint64(value)), 'g', -1, 64), true
	case oid == typeUUID && len(value) == 16:
		return appendUUID(dst, value), true
	}
	return appendMoment(dst, oid, value)
}

func appendUUID(dst, value []byte) []byte {
	for i, b := range value {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hexDigits[b>>4], hexDigits[b&0xF])
	}
	return dst
}

// maxDays is how far the years that RFC 3339 can write are away from 2000.
const maxDays = 8000 * 365

// appendMoment is appendDecoded for dates and timestamps: days and microseconds since 2000, with the extremes for infinity.
func appendMoment(dst []byte, oid uint32, value []byte) (_ []byte, ok bool) {
	var days, micros int64
	layout := time.DateOnly
	switch {
	case oid == typeDate && len(value) == 4:
		days = int64(int32(binary.BigEndian.Uint32(value))) // #nosec -- the sign is the point
		if days == math.MaxInt32 || days == math.MinInt32 {
			return appendInfinity(dst, days < 0), true
		}
	case (oid == typeTimestamp || oid == typeTimestamptz) && len(value) == 8:
		micros = int64(binary.BigEndian.Uint64(value)) // #nosec -- the sign is the point
		if micros == math.MaxInt64 || micros == math.MinInt64 {
			return appendInfinity(dst, micros < 0), true
		}
		const day = 24 * 60 * 60 * 1_000_000
		days, micros = micros/day, micros%day
		layout = "2006-01-02T15:04:05.000000"
		if oid == typeTimestamptz {
			layout += "Z"
		}
	default:
		return dst, false
	}
	if days < -maxDays || days > maxDays {
		return dst, false
	}
	t := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(days)).Add(time.Duration(micros) * time.Microsecond)
	if t.Year() < 1 || t.Year() > 9999 {
		return dst, false
	}
	return t.AppendFormat(dst, layout), true
}

func appendInfinity(dst []byte, negative bool) []byte {
	if negative {
		dst = append(dst, '-')
	}
	return append(dst, "infinity"...)
}
