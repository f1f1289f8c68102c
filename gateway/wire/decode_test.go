package wire

import (
	"encoding/binary"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// body encodes a message with pgproto3 and takes its header off.
func body(t testing.TB, m pgproto3.FrontendMessage) []byte {
	t.Helper()
	b, err := m.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b[headerSize:]
}

func TestDecode(t *testing.T) {
	bind := body(t, &pgproto3.Bind{
		DestinationPortal: "p", PreparedStatement: "s", ParameterFormatCodes: []int16{0, 1},
		Parameters: [][]byte{[]byte("1"), nil}, ResultFormatCodes: []int16{1},
	})
	got, err := DecodeBind(bind)
	want := BindBody{Portal: []byte("p"), Statement: []byte("s"), Parameters: 2, Formats: []byte{0, 0, 0, 1}, Values: []byte("\x00\x00\x00\x011\xff\xff\xff\xff")}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("DecodeBind: %v %s", err, diff)
	}
	parse, err := DecodeParse(body(t, &pgproto3.Parse{Name: "s", Query: "select $1", ParameterOIDs: []uint32{23}}))
	wantParse := ParseBody{Name: []byte("s"), Text: []byte("select $1"), Types: []byte{0, 0, 0, 23}}
	if diff := cmp.Diff(wantParse, parse); err != nil || diff != "" {
		t.Errorf("DecodeParse: %v %s", err, diff)
	}
	portal, rows, err := DecodeExecute(body(t, &pgproto3.Execute{Portal: "p", MaxRows: 7}))
	if string(portal) != "p" || rows != 7 || err != nil {
		t.Errorf("DecodeExecute = %q, %d, %v", portal, rows, err)
	}
	kind, name, err := DecodeName(body(t, &pgproto3.Describe{ObjectType: 'S', Name: "s"}))
	if kind != KindStatement || string(name) != "s" || err != nil {
		t.Errorf("DecodeName = %q, %q, %v", kind, name, err)
	}
}

func TestDecodeRefusesWhatIsNotExact(t *testing.T) {
	be16 := func(n ...int) (b []byte) {
		for _, v := range n {
			b = binary.BigEndian.AppendUint16(b, uint16(v))
		}
		return b
	}
	cat := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	names := []byte("p\x00s\x00")
	decoders := map[string]func([]byte) error{
		"query":   func(b []byte) error { _, err := DecodeQuery(b); return err },
		"parse":   func(b []byte) error { _, err := DecodeParse(b); return err },
		"bind":    func(b []byte) error { _, err := DecodeBind(b); return err },
		"execute": func(b []byte) error { _, _, err := DecodeExecute(b); return err },
		"name":    func(b []byte) error { _, _, err := DecodeName(b); return err },
	}
	tests := map[string]struct {
		decoder string
		body    []byte
		want    error
	}{
		"query without NUL":              {"query", []byte("select 1"), ErrFormat},
		"query with a second part":       {"query", []byte("select 1\x00; drop table t\x00"), ErrFormat},
		"query, trailing byte":           {"query", []byte("select 1\x00\x00"), ErrFormat},
		"query, empty body":              {"query", nil, ErrFormat},
		"query, invalid UTF-8":           {"query", []byte("select '\xc0\xaf'\x00"), ErrEncoding},
		"query, surrogate":               {"query", []byte("select '\xed\xa0\x80'\x00"), ErrEncoding},
		"parse without types":            {"parse", []byte("s\x00select 1\x00"), ErrFormat},
		"parse, NUL inside the text":     {"parse", []byte("s\x00select 1\x00; drop\x00\x00\x00"), ErrFormat},
		"parse, fewer types than said":   {"parse", cat([]byte("s\x00q\x00"), be16(2), []byte{0, 0, 0, 23}), ErrFormat},
		"parse, trailing byte":           {"parse", cat([]byte("s\x00q\x00"), be16(0), []byte{0}), ErrFormat},
		"parse, invalid UTF-8 name":      {"parse", cat([]byte("\xff\x00q\x00"), be16(0)), ErrEncoding},
		"bind, negative length":          {"bind", cat(names, be16(0, 1), []byte{0xff, 0xff, 0xff, 0xfb}, be16(0)), ErrFormat},
		"bind, length past the end":      {"bind", cat(names, be16(0, 1), []byte{0, 0, 0, 9}, be16(0)), ErrFormat},
		"bind, length of two gigabytes":  {"bind", cat(names, be16(0, 1), []byte{0x7f, 0xff, 0xff, 0xff}, be16(0)), ErrFormat},
		"bind, format 2":                 {"bind", cat(names, be16(1, 2, 0, 0)), ErrFormat},
		"bind, result format 2":          {"bind", cat(names, be16(0, 0, 1, 2)), ErrFormat},
		"bind, formats past the end":     {"bind", cat(names, be16(65535)), ErrFormat},
		"bind, parameters past the end":  {"bind", cat(names, be16(0, 65535)), ErrFormat},
		"bind without result formats":    {"bind", cat(names, be16(0, 0)), ErrFormat},
		"bind, trailing byte":            {"bind", cat(names, be16(0, 0, 0), []byte{0}), ErrFormat},
		"bind, invalid UTF-8 portal":     {"bind", cat([]byte("\xff\x00s\x00"), be16(0, 0, 0)), ErrEncoding},
		"execute without rows":           {"execute", []byte("p\x00"), ErrFormat},
		"execute, trailing byte":         {"execute", []byte("p\x00\x00\x00\x00\x00\x00"), ErrFormat},
		"describe of an unknown kind":    {"name", []byte("Xs\x00"), ErrFormat},
		"describe without a body":        {"name", nil, ErrFormat},
		"describe, two names":            {"name", []byte("Ss\x00t\x00"), ErrFormat},
		"describe without NUL":           {"name", []byte("Ss"), ErrFormat},
		"describe, invalid UTF-8 name":   {"name", []byte("S\xf5\x00"), ErrEncoding},
		"describe, overlong UTF-8 name":  {"name", []byte("S\xc1\x81\x00"), ErrEncoding},
		"describe, truncated UTF-8 name": {"name", []byte("S\xe2\x82\x00"), ErrEncoding},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := decoders[tt.decoder](tt.body); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestField(t *testing.T) {
	body := []byte("SERROR\x00VERROR\x00C42601\x00Msyntax error\x00\x00")
	for code, want := range map[byte]string{'C': "42601", 'V': "ERROR", 'M': "syntax error", 'D': ""} {
		if got := string(Field(body, code)); got != want {
			t.Errorf("Field(%q) = %q, want %q", code, got, want)
		}
	}
	for _, odd := range [][]byte{nil, {0}, []byte("C"), []byte("C42601")} {
		if got := Field(odd, 'C'); got != nil {
			t.Errorf("Field(%q) = %q, want none", odd, got)
		}
	}
}

// FuzzDecode holds the decoders to what pgproto3 makes of the same bytes: whatever we take, it takes, and reads the same names.
func FuzzDecode(f *testing.F) {
	f.Add(byte('B'), []byte("p\x00s\x00\x00\x00\x00\x01\x00\x00\x00\x01x\x00\x00"))
	f.Add(byte('P'), []byte("s\x00select 1\x00\x00\x00"))
	f.Add(byte('E'), []byte("p\x00\x00\x00\x00\x00"))
	f.Add(byte('D'), []byte("Ss\x00"))
	f.Add(byte('Q'), []byte("select 1\x00"))
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		switch kind {
		case 'B':
			got, err := DecodeBind(b)
			if err != nil {
				return
			}
			var want pgproto3.Bind
			if err := want.Decode(b); err != nil {
				t.Fatalf("pgproto3 refuses a Bind that we take: %v", err)
			}
			if string(got.Portal) != want.DestinationPortal || string(got.Statement) != want.PreparedStatement || got.Parameters != len(want.Parameters) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		case 'P':
			got, err := DecodeParse(b)
			if err != nil {
				return
			}
			var want pgproto3.Parse
			if err := want.Decode(b); err != nil || string(got.Text) != want.Query || string(got.Name) != want.Name {
				t.Errorf("got %+v, want %+v, %v", got, want, err)
			}
		case 'E':
			_, _, _ = DecodeExecute(b)
		case 'D':
			_, _, _ = DecodeName(b)
		default:
			if text, err := DecodeQuery(b); err == nil && !utf8.Valid(text) {
				t.Error("took a text that is not UTF-8")
			}
		}
		_ = Field(b, kind)
	})
}
