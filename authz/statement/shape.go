package statement

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/sallyport/sallyport/authz/recent"
)

// The shape of a text is the text with a mark in the place of every plain literal. Texts of one shape have the same tokens, but for what
// the plain literals say; so the parser makes the same tree of them, and the walker finds the same facts unless one depends on a literal.
//
// The whole shape is the key of a sheet, not a hash of it: nobody can make up a text whose shape is taken for another's.

// Marks of plain literals. A text has no NUL.
const (
	markString  = "\x00s"
	markInteger = "\x00i" // fits in 32 bits: some places of the grammar take no other number
	markNumber  = "\x00n"
)

// appendShape appends the shape of a text. It has none, and ok is false, when the scanner refuses the text, or when one literal may say how
// another token is to be read: U&"d!0061ta" UESCAPE '!'.
func appendShape(dst []byte, text string) (shape []byte, ok bool) {
	s := scanner{text: text}
	copied := 0
	for {
		s.pos = skipWords(text, s.pos)
		t := s.next()
		switch t.kind {
		case kindEnd:
			return append(dst, text[copied:]...), true
		case kindBad:
			return dst, false
		case kindQuoted:
			if text[t.start] != '"' {
				return dst, false
			}
		case kindString, kindNumber:
			if text[t.start]|0x20 == 'u' {
				return dst, false
			}
			if mark := plainLiteral(text[t.start:t.end]); mark != "" {
				dst = append(append(dst, text[copied:t.start]...), mark...)
				copied = t.end
			}
		}
	}
}

// skipWords passes over white space, words, commas and parentheses: most of a text, and no part of a literal. It stops before a letter that
// may be the prefix of one.
func skipWords(text string, i int) int {
	for i < len(text) {
		switch c := text[i]; {
		case classes[c]&classStart != 0:
			end := i + 1
			for end < len(text) && isIdentPart(text[end]) {
				end++
			}
			if end == i+1 && end < len(text) && (text[end] == '\'' || text[end] == '&') {
				return i
			}
			i = end
		case classes[c]&classSpace != 0, c == ',', c == '(', c == ')':
			i++
		default:
			return i
		}
	}
	return i
}

// plainLiteral returns the mark of a literal whose content cannot be wrong and is read the same by every release and whatever the
// settings are; "" for another, which belongs to the shape as it stands. Not plain are, among others, all that have a prefix, a
// backslash or a second part on another line, dollar quotes, and numbers in another form than 12 or 1.5.
func plainLiteral(literal string) string {
	if literal[0] == '\'' {
		if strings.IndexByte(literal, '\\') >= 0 || !inOnePart(literal[1:len(literal)-1]) {
			return ""
		}
		return markString
	}
	whole, fraction, decimal := strings.Cut(literal, ".")
	switch {
	case !onlyDigits(whole) || decimal && !onlyDigits(fraction):
		return ""
	case !decimal && fitsInteger(whole):
		return markInteger
	}
	return markNumber
}

// inOnePart says whether all quotes between those of a literal are doubled ones: a single one ends a part that another continues.
func inOnePart(body string) bool {
	for {
		i := strings.IndexByte(body, '\'')
		if i < 0 {
			return true
		}
		if i+1 == len(body) || body[i+1] != '\'' {
			return false
		}
		body = body[i+2:]
	}
}

func onlyDigits(text string) bool {
	for i := range len(text) {
		if !isDigit(text[i]) {
			return false
		}
	}
	return text != ""
}

// fitsInteger says whether digits are a 32-bit integer: that makes them another token (process_integer_literal in scan.l).
func fitsInteger(digits string) bool {
	const largest = "2147483647"
	digits = strings.TrimLeft(digits, "0")
	return len(digits) < len(largest) || len(digits) == len(largest) && digits <= largest
}

// hasShape says whether the sheet, which is text's, is that of all texts of its shape: no fact depends on a literal, and no name has one
// in it. Utility commands are left out: their literals are what they are about.
func (s *Sheet) hasShape(text string) bool {
	if !s.Complete || s.Fingerprint == "" || s.Normalized == "" || holdsLiteral(s.Normalized, text) {
		return false
	}
	for i := range s.Statements {
		statement := &s.Statements[i]
		plain := statement.Explain == nil && statement.Copy == nil && statement.Prepared == nil
		if !plain || statement.Hints.Literals || statement.Class != ClassQuery && statement.Class != ClassWrite {
			return false
		}
	}
	return true
}

// holdsLiteral says whether anything of a literal may be left in the normalized form of a text: a literal, or a parameter that is not the
// next one after those that the text has itself. (SELECT -(6) is normalized to SELECT $16), where 6 is what it selects.)
func holdsLiteral(normalized, text string) bool {
	own, _ := parameters(text)
	all, others := parameters(normalized)
	if others {
		return true
	}
	highest := 0
	if len(own) > 0 {
		highest = own[len(own)-1]
	}
	given, _ := slices.BinarySearch(all, highest+1)
	for i, number := range all[given:] {
		if number != highest+1+i {
			return true
		}
	}
	return false
}

// parameters lists the numbers of the parameters in a text, in order, and says whether there are literals, what is no token, or words that
// may end in a parameter.
func parameters(text string) (numbers []int, others bool) {
	s := scanner{text: text}
	for {
		switch t := s.next(); t.kind {
		case kindEnd:
			slices.Sort(numbers)
			return numbers, others
		case kindParam:
			number, err := strconv.Atoi(text[t.start+1 : t.end])
			others = others || err != nil
			numbers = append(numbers, number)
		case kindBad:
			return numbers, true
		case kindWord:
			others = others || strings.IndexByte(text[t.start:t.end], '$') >= 0
		case kindString, kindBits, kindNumber:
			others = true
		}
	}
}

// Memory is where the shapes of one caller's texts are made, one after the other.
type Memory struct{ shape []byte }

// maxKeptShape is the largest buffer that is kept to make shapes in.
const maxKeptShape = 64 << 10

// Known returns the facts of a text that was seen before, or differs from one that was in nothing but literals on which no fact depends;
// nil for another, which is for Analyze. It allocates nothing, once the memory is large enough, and keeps nothing of the text.
func (p *Pool) Known(text []byte, memory *Memory) *Sheet {
	return p.known(unsafe.String(unsafe.SliceData(text), len(text)), memory) // #nosec G103 -- nothing below keeps the string
}

func (p *Pool) known(text string, memory *Memory) *Sheet {
	sheet, ok := p.texts.Get(text)
	if !ok && len(text) <= p.config.Limits.MaxTextBytes && strings.IndexByte(text, 0) < 0 && utf8.ValidString(text) {
		sheet, ok = p.ofShape(text, memory)
	}
	if !ok {
		return nil
	}
	p.stats.hits.Add(1)
	return sheet
}

func (p *Pool) ofShape(text string, memory *Memory) (*Sheet, bool) {
	shape, ok := appendShape(memory.shape[:0], text)
	if cap(shape) <= maxKeptShape {
		memory.shape = shape
	}
	if !ok {
		return nil, false
	}
	return recent.GetBytes(p.shapes, shape)
}

// decodedFactor is how much larger facts are as Go values than encoded, an estimate.
const decodedFactor = 6

// learn remembers the sheet of a text, and for all texts of its shape if it is theirs. encoded is the size of its encoded form. It returns
// the sheet that is remembered for the text: whoever came first.
func (p *Pool) learn(text string, sheet *Sheet, encoded int) *Sheet {
	size := len(text) + encoded*decodedFactor
	if shape, ok := appendShape(nil, text); ok && sheet.hasShape(text) {
		sheet = p.shapes.Put(string(shape), sheet, size)
	}
	return p.texts.Put(text, sheet, size)
}
