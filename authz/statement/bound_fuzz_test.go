package statement

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// FuzzScan holds our scanner to PostgreSQL's: every token begins and ends where pg_query.Scan says, and is of the same kind.
func FuzzScan(f *testing.F) {
	for _, seed := range scanSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text) || len(text) > 1<<12 {
			t.Skip()
		}
		got, bad := scanAll(text)
		want, err := pg.Scan(text)
		if err != nil {
			return // where the scanner stops does not matter: nothing is parsed
		}
		if bad {
			t.Fatalf("refused %q, PostgreSQL's scanner does not", text)
		}
		compareTokens(t, text, got, want.Tokens)
	})
}

var scanSeeds = []string{
	"select 'it''s' || E'\\'' || $$a$b$$ || $x$ $$ $x$ from \"a\"\"b\" -- c",
	"select U&'\\0061' uescape '!', U&\"\\0061\", u& 1, n'x', b'01', x'1f'",
	"select 'a'\n'b', 'a' -- c\n 'b', 'a' 'b', 'a' /* */ 'b'",
	"select 1.5e-3, .5, 1., 1..2, 1_000, 0x1F, 0o17, 0b1_1, $1, $12",
	"select a<-b, a@-1, a->>'x', a||-1, 1--2\n, 1/*/**/*/+2, a!=b, a<>b, a>=b, =>, :=, ::, ?",
	"/* nested /* */ */ select 1;;",
	"select é, \"é\", 'é', a$b, $a$é$a$",
	"select*from t", "select+-1", "a=-1", "a*/b", "@-- c\n+", "1+/* */2", "..", "$", "\\", "{", "e'\\", "\v\f\r",
	"select 1e5, 1e+5, 0_1, 1.e5",
	"$1a", "a 'b'--c", "'a'\n--c\n'b'", "'a'--c\n'b'", "'a'--c", "u&", "U&x", "x'1'\n'2'",
}

func scanAll(text string) ([]token, bool) {
	s := scanner{text: text}
	var tokens []token
	for {
		t := s.next()
		switch t.kind {
		case kindEnd:
			return tokens, false
		case kindBad:
			return tokens, true
		}
		tokens = append(tokens, t)
	}
}

func compareTokens(t *testing.T, text string, got []token, want []*pg.ScanToken) {
	t.Helper()
	for i, w := range want {
		if i >= len(got) {
			t.Fatalf("%q: %d tokens, PostgreSQL has %d", text, len(got), len(want))
		}
		k := kindOf(w, text)
		if g := got[i]; g.start != int(w.Start) || g.end != int(w.End) || g.kind != k {
			t.Fatalf("%q: token %d is %v %q, PostgreSQL has %v (%v) %q", text, i, g.kind, text[g.start:g.end], k, w.Token, text[w.Start:w.End])
		}
	}
	if len(got) > len(want) {
		t.Fatalf("%q: %d tokens, PostgreSQL has %d", text, len(got), len(want))
	}
}

func kindOf(t *pg.ScanToken, text string) kind {
	switch t.Token {
	case pg.Token_IDENT:
		if text[t.Start] == '"' {
			return kindQuoted
		}
		return kindWord
	case pg.Token_UIDENT:
		return kindQuoted
	case pg.Token_SCONST, pg.Token_USCONST:
		return kindString
	case pg.Token_BCONST, pg.Token_XCONST:
		return kindBits
	case pg.Token_ICONST, pg.Token_FCONST:
		return kindNumber
	case pg.Token_PARAM:
		return kindParam
	case pg.Token_TYPECAST:
		return kindCast
	case pg.Token_DOT_DOT:
		return kindDots
	case pg.Token_SQL_COMMENT, pg.Token_C_COMMENT:
		return kindComment
	case pg.Token_Op, pg.Token_COLON_EQUALS, pg.Token_EQUALS_GREATER, pg.Token_LESS_EQUALS, pg.Token_GREATER_EQUALS, pg.Token_NOT_EQUALS:
		return kindOperator
	}
	if t.KeywordKind != pg.KeywordKind_NO_KEYWORD {
		return kindWord
	}
	return kindSelf
}

// FuzzSkipWords: what a shape is made of is found whether or not what lies between is scanned.
func FuzzSkipWords(f *testing.F) {
	for _, seed := range scanSeeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got, want []token
		keep := func(kept *[]token, found token) {
			if found.kind != kindWord && !strings.Contains(",()", text[found.start:found.end]) {
				*kept = append(*kept, found)
			}
		}
		for s := (scanner{text: text}); s.pos < len(text); {
			keep(&want, s.next())
		}
		for s := (scanner{text: text}); s.pos < len(text); {
			if s.pos = skipWords(text, s.pos); s.pos < len(text) {
				keep(&got, s.next())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: found %v, want %v", text, got, want)
		}
	})
}
