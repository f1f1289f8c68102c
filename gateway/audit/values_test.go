package audit

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
)

// bound encodes values as a Bind does; nil is NULL.
func bound(values ...[]byte) []byte {
	var b []byte
	for _, v := range values {
		if v == nil {
			b = binary.BigEndian.AppendUint32(b, 0xffffffff)
			continue
		}
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(v))), v...)
	}
	return b
}

func oids(types ...uint32) Types {
	var b Types
	for _, t := range types {
		b = binary.BigEndian.AppendUint32(b, t)
	}
	return b
}

// parameters is what a line says of bind values.
func parameters(t *testing.T, v *Values, sql string) string {
	t.Helper()
	line := (&Statement{Text: NewText(sql, 0), Values: v}).AppendJSON(nil)
	var fields struct {
		Parameters json.RawMessage
		Withheld   bool `json:"parameters_withheld"`
		Omitted    int  `json:"parameters_omitted"`
	}
	if err := json.Unmarshal(line, &fields); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if fields.Withheld {
		return "withheld" + string(fields.Parameters)
	}
	return string(fields.Parameters)
}

func TestWholeValues(t *testing.T) {
	binaryFormat, text := []byte{0, 1}, []byte(nil)
	for name, test := range map[string]struct {
		oid     uint32
		formats []byte
		value   []byte
		want    string
	}{
		"text":                {typeText, text, []byte("it's \"é\""), `{"type":"text","bytes":9,"value":"it's \"é\""}`},
		"a number as text":    {typeInt4, text, []byte("17"), `{"type":"int4","bytes":2,"value":"17"}`},
		"no type":             {0, text, []byte("17"), `{"type":"unknown","bytes":2,"value":"17"}`},
		"another type":        {70000, text, []byte("x"), `{"type":"oid 70000","bytes":1,"value":"x"}`},
		"null":                {typeText, text, nil, `{"type":"text","null":true}`},
		"empty":               {typeText, text, []byte{}, `{"type":"text","bytes":0,"value":""}`},
		"bool":                {typeBool, binaryFormat, []byte{1}, `{"type":"bool","bytes":1,"value":"true"}`},
		"int2":                {typeInt2, binaryFormat, []byte{0xff, 0xfe}, `{"type":"int2","bytes":2,"value":"-2"}`},
		"int4":                {typeInt4, binaryFormat, []byte{0, 0, 1, 0}, `{"type":"int4","bytes":4,"value":"256"}`},
		"int8":                {typeInt8, binaryFormat, []byte{0x80, 0, 0, 0, 0, 0, 0, 0}, `{"type":"int8","bytes":8,"value":"-9223372036854775808"}`},
		"float4":              {typeFloat4, binaryFormat, []byte{0x3f, 0xc0, 0, 0}, `{"type":"float4","bytes":4,"value":"1.5"}`},
		"float8":              {typeFloat8, binaryFormat, []byte{0x7f, 0xf8, 0, 0, 0, 0, 0, 0}, `{"type":"float8","bytes":8,"value":"NaN"}`},
		"uuid":                {typeUUID, binaryFormat, []byte("\x55\x0e\x84\x00\xe2\x9b\x41\xd4\xa7\x16\x44\x66\x55\x44\x00\x00"), `{"type":"uuid","bytes":16,"value":"550e8400-e29b-41d4-a716-446655440000"}`},
		"varchar":             {typeVarchar, binaryFormat, []byte("abc"), `{"type":"varchar","bytes":3,"value":"abc"}`},
		"text, not UTF-8":     {typeText, binaryFormat, []byte{0xff}, `{"type":"text","bytes":1,"value":"ff","format":"hex"}`},
		"bytea":               {typeBytea, binaryFormat, []byte{0, 0xab}, `{"type":"bytea","bytes":2,"value":"00ab","format":"hex"}`},
		"date":                {typeDate, binaryFormat, []byte{0, 0, 0, 31}, `{"type":"date","bytes":4,"value":"2000-02-01"}`},
		"date before":         {typeDate, binaryFormat, []byte{0xff, 0xff, 0xff, 0xff}, `{"type":"date","bytes":4,"value":"1999-12-31"}`},
		"date, infinity":      {typeDate, binaryFormat, []byte{0x80, 0, 0, 0}, `{"type":"date","bytes":4,"value":"-infinity"}`},
		"date, far":           {typeDate, binaryFormat, []byte{0x70, 0, 0, 0}, `{"type":"date","bytes":4,"value":"70000000","format":"hex"}`},
		"timestamp":           {typeTimestamp, binaryFormat, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, `{"type":"timestamp","bytes":8,"value":"1999-12-31T23:59:59.999999"}`},
		"timestamptz":         {typeTimestamptz, binaryFormat, []byte{0, 0, 0, 0, 0, 0x0f, 0x42, 0x40}, `{"type":"timestamptz","bytes":8,"value":"2000-01-01T00:00:01.000000Z"}`},
		"timestamp, infinity": {typeTimestamp, binaryFormat, []byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, `{"type":"timestamp","bytes":8,"value":"infinity"}`},
		"of another length":   {typeInt4, binaryFormat, []byte{1}, `{"type":"int4","bytes":1,"value":"01","format":"hex"}`},
		"not read":            {1700, binaryFormat, []byte{1, 2}, `{"type":"numeric","bytes":2,"value":"0102","format":"hex"}`},
		"no type, binary":     {0, binaryFormat, []byte{1, 2}, `{"type":"unknown","bytes":2,"value":"0102","format":"hex"}`},
		"a secret":            {typeText, text, []byte("postgresql://bob:hunter2@h"), `{"type":"text","bytes":26,"redacted":true}`},
	} {
		t.Run(name, func(t *testing.T) {
			v := &Values{Detail: WholeValues, Types: oids(test.oid), Formats: test.formats, Bodies: bound(test.value), Count: 1}
			if got := parameters(t, v, "SELECT $1"); got != "["+test.want+"]" {
				t.Errorf("got %s\nwant [%s]", got, test.want)
			}
		})
	}
}

func TestValueDetails(t *testing.T) {
	key := NewValueKey()
	v := &Values{Types: oids(typeText), Formats: []byte{0, 0, 0, 1, 0, 0}, Bodies: bound([]byte("a"), []byte("a"), nil, []byte("b")), Count: 4, Hasher: key.Hasher()}
	v.Detail = ValueTypes
	const types = `[{"type":"text","bytes":1},{"type":"unknown","bytes":1},{"type":"unknown","null":true},{"type":"unknown","bytes":1}]`
	if got := parameters(t, v, "SELECT"); got != types {
		t.Errorf("types: %s", got)
	}
	v.Detail = ValueHashes
	var hashed []struct{ Hash string }
	got := parameters(t, v, "SELECT")
	if err := json.Unmarshal([]byte(got), &hashed); err != nil {
		t.Fatal(err)
	}
	if hashed[0].Hash != hashed[1].Hash || hashed[0].Hash == hashed[3].Hash || len(hashed[0].Hash) != 32 || hashed[2].Hash != "" {
		t.Errorf("hashes: %s", got)
	}
	v.Hasher = NewValueKey().Hasher()
	if again := parameters(t, v, "SELECT"); strings.Contains(again, hashed[0].Hash) {
		t.Errorf("another key gives the same hash: %s", again)
	}
}

// TestValuesOfSecrets: nothing is said of the values of a text that speaks of a secret, nor of one that is not known.
func TestValuesOfSecrets(t *testing.T) {
	v := &Values{Detail: WholeValues, Bodies: bound([]byte("hunter2")), Count: 1}
	for _, sql := range []string{"UPDATE u SET password = $1", "SELECT crypt($1, salt) FROM u", "ALTER ROLE r PASSWORD 'x'", "SELECT 'x' AS token, $1"} {
		if got := parameters(t, v, sql); got != "withheld" {
			t.Errorf("%s: %s", sql, got)
		}
	}
	if line := (&Statement{Values: v}).AppendJSON(nil); strings.Contains(string(line), "hunter2") {
		t.Errorf("of a text that is not known: %s", line)
	}
}

// TestValuesAreBounded: what a client binds cannot fill a disk.
func TestValuesAreBounded(t *testing.T) {
	long := []byte(strings.Repeat("é", maxValueBytes))
	many := make([][]byte, 2*maxValues)
	for i := range many {
		many[i] = long
	}
	for name, v := range map[string]*Values{
		"text":   {Types: oids(typeText)},
		"binary": {Types: oids(typeBytea), Formats: []byte{0, 1}},
	} {
		v.Detail, v.Bodies, v.Count = WholeValues, bound(many...), len(many)
		got := parameters(t, v, "SELECT")
		if limit := 2*maxValuesBytes + maxValues*64; len(got) > limit {
			t.Errorf("%s: %d bytes, more than %d", name, len(got), limit)
		}
		if !strings.Contains(got, `"truncated":true`) || strings.Count(got, `"type"`) != maxValues {
			t.Errorf("%s: %.300s", name, got)
		}
	}
}

func TestValuesDoNotAllocate(t *testing.T) {
	e := &Statement{Text: NewText("SELECT $1, $2", 0)}
	v := &Values{Types: oids(typeText, typeInt4), Bodies: bound([]byte("abc"), []byte("17")), Count: 2, Hasher: NewValueKey().Hasher()}
	memory := make([]byte, 0, 4096)
	for _, detail := range []ValueDetail{0, ValueTypes, ValueHashes, WholeValues} {
		if v.Detail = detail; detail != 0 {
			e.Values = v
		}
		if n := testing.AllocsPerRun(100, func() { memory = e.AppendJSON(memory[:0]) }); n != 0 {
			t.Errorf("detail %d: %v allocations", detail, n)
		}
	}
}
