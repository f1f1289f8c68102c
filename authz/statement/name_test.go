package statement

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplitName(t *testing.T) {
	long := strings.Repeat("a", 70)
	tests := map[string]struct {
		text string
		want []string // nil: no name
	}{
		"plain":              {"secrets", []string{"secrets"}},
		"folded":             {"App.SECRETS", []string{"app", "secrets"}},
		"quoted":             {`"App"."Se""crets"`, []string{"App", `Se"crets`}},
		"dot in quotes":      {`"a.b".c`, []string{"a.b", "c"}},
		"spaces":             {" app . secrets ", []string{"app", "secrets"}},
		"three parts":        {"db.app.t", []string{"db", "app", "t"}},
		"letters stay":       {"ÄÖ", []string{"ÄÖ"}},
		"truncated":          {long, []string{long[:63]}},
		"truncated at rune":  {strings.Repeat("a", 62) + "é", []string{strings.Repeat("a", 62)}},
		"digits in a name":   {"t1", []string{"t1"}},
		"empty":              {"", nil},
		"spaces only":        {"  ", nil},
		"oid":                {"16384", nil},
		"dash":               {"-", nil},
		"open quote":         {`"app`, nil},
		"dot at the end":     {"app.", nil},
		"dot in front":       {".app", nil},
		"two names":          {"app secrets", nil},
		"after a quoted one": {`"app"secrets`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := splitName(test.text)
			if diff := cmp.Diff(test.want, got); ok != (test.want != nil) || ok && diff != "" {
				t.Errorf("got %q, %t\n%s", got, ok, diff)
			}
		})
	}
}

func FuzzSplitName(f *testing.F) {
	for _, seed := range []string{"a.b", `"A"."b""c"`, " x ", "é.\"", "1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parts, ok := splitName(text)
		for _, part := range parts {
			if ok && len(part) >= nameLength {
				t.Errorf("%q: a part of %d bytes", text, len(part))
			}
		}
	})
}
