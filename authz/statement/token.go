package statement

import "strings"

// kind is what a token is, as far as bounding a text (and later keying it by its shape) needs to know.
type kind uint8

const (
	kindEnd      kind = iota // the end of the text
	kindWord                 // keyword or identifier without quotes
	kindQuoted               // "identifier", U&"identifier"
	kindString               // 'literal', E'…', U&'…', $tag$…$tag$
	kindBits                 // b'…', x'…'
	kindNumber               // integer or decimal
	kindParam                // $1
	kindOperator             // operator of any length that is not in kindSelf, and := =>
	kindSelf                 // one of , ( ) [ ] . ; : + - * / % ^ < > = and a lone $ or \
	kindCast                 // ::
	kindDots                 // ..
	kindComment              // -- or /* */
	kindBad                  // what PostgreSQL's scanner refuses; nothing after it is looked at
)

// token is a slice of the text.
type token struct {
	kind       kind
	start, end int // bytes, half open
}

// scanner yields the tokens of a text as PostgreSQL's scanner does (src/backend/parser/scan.l, release 17, with
// standard_conforming_strings on). It does not recurse and does not allocate.
//
// It stands in front of the parser only to bound what the parser is given: should the two ever disagree, a worker may die, but no fact
// changes. FuzzScan holds it to pg_query.Scan token for token.
type scanner struct {
	text string
	pos  int
}

func (s *scanner) next() token {
	s.pos = skipSpace(s.text, s.pos)
	start := s.pos
	if start == len(s.text) {
		return token{kind: kindEnd, start: start, end: start}
	}
	k, end := s.scan(start)
	if k == kindBad {
		end = len(s.text)
	}
	s.pos = end
	return token{kind: k, start: start, end: end}
}

// scan says what begins at i and where it ends.
func (s *scanner) scan(i int) (kind, int) {
	text := s.text
	c := text[i]
	var next byte // NUL at the end: no text has one
	if i+1 < len(text) {
		next = text[i+1]
	}
	switch {
	case isIdentStart(c):
		return s.word(i)
	case isDigit(c), c == '.' && isDigit(next):
		return scanNumber(text, i)
	case c == '\'':
		return s.literal(i, false, kindString)
	case c == '"':
		return quotedIdentifier(text, i)
	case c == '$':
		return scanDollar(text, i)
	case c == '-' && next == '-':
		return kindComment, lineEnd(text, i)
	case c == '/' && next == '*':
		return blockComment(text, i)
	case c == ':' && next == ':':
		return kindCast, i + 2
	case c == ':' && next == '=':
		return kindOperator, i + 2
	case c == '.' && next == '.':
		return kindDots, i + 2
	case isOperator(c):
		return scanOperator(text, i)
	}
	return kindSelf, i + 1
}

// word scans an identifier, or the literal that a prefix letter begins.
func (s *scanner) word(i int) (kind, int) {
	text := s.text
	if i+1 < len(text) && text[i+1] == '\'' {
		switch text[i] {
		case 'b', 'B', 'x', 'X':
			return s.literal(i+1, false, kindBits)
		case 'e', 'E':
			return s.literal(i+1, true, kindString)
		case 'n', 'N': // NCHAR, then the literal
			return kindWord, i + 1
		}
	}
	if i+2 < len(text) && (text[i] == 'u' || text[i] == 'U') && text[i+1] == '&' {
		switch text[i+2] {
		case '\'':
			return s.literal(i+2, false, kindString)
		case '"':
			return quotedIdentifier(text, i+2)
		}
	}
	for i < len(text) && isIdentPart(text[i]) {
		i++
	}
	return kindWord, i
}

// literal scans a quoted string whose opening quote is at i, with the continuations SQL knows: 'a' newline 'b' is one literal.
func (s *scanner) literal(i int, escapes bool, k kind) (kind, int) {
	text := s.text
	for i++; i < len(text); i++ {
		if !escapes { // nothing but a quote matters
			next := strings.IndexByte(text[i:], '\'')
			if next < 0 {
				break
			}
			i += next
		}
		switch {
		case text[i] == '\\' && escapes:
			i++
		case text[i] == '\'' && k != kindBits && i+1 < len(text) && text[i+1] == '\'':
			i++
		case text[i] == '\'':
			next := continued(text, i+1)
			if next < 0 {
				return k, i + 1
			}
			i = next
		}
	}
	return kindBad, len(text)
}

// continued returns where the quote stands that continues a literal ending before i, or -1: only white space with at least one newline may
// stand between. (The server allows line comments there too. libpg_query gives those as tokens and then finds two literals side by side,
// which nothing but DO and its like accept.)
func continued(text string, i int) int {
	newline := false
	for ; i < len(text) && isSpace(text[i]); i++ {
		newline = newline || text[i] == '\n' || text[i] == '\r'
	}
	if newline && i < len(text) && text[i] == '\'' {
		return i
	}
	return -1
}

func quotedIdentifier(text string, i int) (kind, int) {
	first := i + 1
	for i++; i < len(text); i++ {
		if text[i] != '"' {
			continue
		}
		if i+1 < len(text) && text[i+1] == '"' {
			i++
			continue
		}
		if i == first {
			return kindBad, len(text)
		}
		return kindQuoted, i + 1
	}
	return kindBad, len(text)
}

// scanDollar scans $1, $tag$…$tag$ or a lone dollar.
func scanDollar(text string, i int) (kind, int) {
	j := i + 1
	if j < len(text) && isDigit(text[j]) {
		for j < len(text) && isDigit(text[j]) {
			j++
		}
		return kindParam, j
	}
	for j < len(text) && (isIdentStart(text[j]) || j > i+1 && isDigit(text[j])) {
		j++
	}
	if j == len(text) || text[j] != '$' {
		return kindSelf, i + 1
	}
	tag := text[i : j+1]
	end := strings.Index(text[j+1:], tag)
	if end < 0 {
		return kindBad, len(text)
	}
	return kindString, j + 1 + end + len(tag)
}

func blockComment(text string, i int) (kind, int) {
	depth := 0
	for i < len(text) {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			depth++
			i += 2
		case strings.HasPrefix(text[i:], "*/"):
			depth--
			i += 2
			if depth == 0 {
				return kindComment, i
			}
		default:
			i++
		}
	}
	return kindBad, len(text)
}

// scanOperator scans an operator by the rules of scan.l: it ends before a comment, and before trailing + and - unless it has a character
// that no operator of the SQL standard has.
func scanOperator(text string, i int) (kind, int) {
	end, special := i, false
	for end < len(text) && isOperator(text[end]) {
		if end > i && (strings.HasPrefix(text[end:], "--") || strings.HasPrefix(text[end:], "/*")) {
			break
		}
		special = special || classes[text[end]]&classSpecial != 0
		end++
	}
	if !special {
		for end > i+1 && (text[end-1] == '+' || text[end-1] == '-') {
			end--
		}
	}
	if end == i+1 && classes[text[i]]&classSelf != 0 {
		return kindSelf, end
	}
	if end-i >= nameLength {
		return kindBad, len(text)
	}
	return kindOperator, end
}

func lineEnd(text string, i int) int {
	for i < len(text) && text[i] != '\n' && text[i] != '\r' {
		i++
	}
	return i
}

func skipSpace(text string, i int) int {
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	return i
}

// What a byte can be in a token, by scan.l.
const (
	classSpace    = 1 << iota
	classDigit    // of a number
	classStart    // first in an identifier
	classPart     // in an identifier
	classOperator // in an operator
	classSpecial  // in an operator that may end in + or -
	classSelf     // an operator that is a token of its own when it stands alone
)

var classes = func() (table [256]uint8) {
	for i := range table {
		c := byte(i)
		for _, class := range []struct {
			is    bool
			class uint8
		}{
			{c == ' ' || c >= '\t' && c <= '\r', classSpace},
			{c >= '0' && c <= '9', classDigit | classPart},
			{c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80, classStart | classPart},
			{c == '$', classPart},
			{strings.IndexByte("~!@#^&|`?+-*/%<>=", c) >= 0, classOperator},
			{strings.IndexByte("~!@#^&|`?%", c) >= 0, classSpecial},
			{strings.IndexByte("+-*/%^<>=", c) >= 0, classSelf},
		} {
			if class.is {
				table[i] |= class.class
			}
		}
	}
	return table
}()

func isSpace(c byte) bool      { return classes[c]&classSpace != 0 }
func isDigit(c byte) bool      { return classes[c]&classDigit != 0 }
func isIdentStart(c byte) bool { return classes[c]&classStart != 0 }
func isIdentPart(c byte) bool  { return classes[c]&classPart != 0 }
func isOperator(c byte) bool   { return classes[c]&classOperator != 0 }
