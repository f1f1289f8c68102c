package statement

import "testing"

func TestDocumentStrings(t *testing.T) {
	tests := map[string]struct {
		text, want string
	}{
		"plain":         {`"abc"`, "abc"},
		"empty":         {`""`, ""},
		"letters":       {`"é😀"`, "é😀"},
		"escapes":       {`"a\b\f\n\r\t\"\\é"`, "a\b\f\n\r\t\"\\é"},
		"codes":         {`"\u0001\u003c\u003E"`, "\x01<>"},
		"escaped quote": {`"\\"`, `\`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := document{text: tt.text + ","}
			got, err := d.string()
			if err != nil || got != tt.want || !d.at(',') {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestDocumentStringsRefused(t *testing.T) {
	for _, text := range []string{``, `a`, `"`, `"a`, `"\"`, `"\`, `"a\u00`, `"\u00"`, `"\u0080"`, `"\u00e9"`, `"\u-001"`, `"\x"`, `"\n`} {
		d := document{text: text}
		if got, err := d.string(); err == nil {
			t.Errorf("%s: got %q", text, got)
		}
	}
}
