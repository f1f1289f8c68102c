package audit

import "strings"

// tokenKind is what Redact needs to tell apart.
type tokenKind uint8

const (
	tokenEnd     tokenKind = iota
	tokenWord              // keyword or unquoted identifier
	tokenQuoted            // "identifier", U&"identifier"
	tokenLiteral           // '…', E'…', U&'…', B'…', X'…', N'…', $tag$…$tag$
	tokenComment           // -- … and /* … */
	tokenNumber            // 17, 1.5
	tokenOther             // one byte of anything else: punctuation
)

// token is a stretch of the text: sql[start:end], and sql[bodyStart:bodyEnd] between its quotes.
type token struct {
	kind               tokenKind
	start, end         int
	bodyStart, bodyEnd int
	escapes            byte // 'E' or 'U': backslashes in the body stand for other characters
	open               bool // the text ended before the quote or comment was closed
}

// lexer cuts SQL into tokens as PostgreSQL's scan.l does with standard_conforming_strings = on, the only setting Sallyport allows
// (PostgreSQL documentation, 4.1 Lexical Structure). It is lenient: every text has tokens, also one that PostgreSQL would refuse.
type lexer struct {
	sql string
	pos int
}

func (l *lexer) next() token {
	for l.pos < len(l.sql) && isSpace(l.sql[l.pos]) {
		l.pos++
	}
	start := l.pos
	if start == len(l.sql) {
		return token{kind: tokenEnd, start: start, end: start, bodyStart: start, bodyEnd: start}
	}
	rest := l.sql[start:]
	switch c := rest[0]; {
	case c == '\'':
		return l.quoted(tokenLiteral, start, start+1, '\'', 0)
	case c == '"':
		return l.quoted(tokenQuoted, start, start+1, '"', 0)
	case strings.HasPrefix(rest, "--"):
		return l.lineComment(start)
	case strings.HasPrefix(rest, "/*"):
		return l.blockComment(start)
	case c == '$':
		return l.dollar(start)
	case isWordStart(c):
		return l.word(start)
	case isDigit(c):
		return l.number(start)
	}
	return l.finish(token{kind: tokenOther, start: start, bodyStart: start, bodyEnd: start + 1, end: start + 1})
}

func (l *lexer) finish(t token) token {
	l.pos = t.end
	return t
}

// quoted reads from bodyStart to the closing quote. A doubled quote is part of the body; so is what follows a backslash in E”.
func (l *lexer) quoted(kind tokenKind, start, bodyStart int, quote, escapes byte) token {
	t := token{kind: kind, start: start, bodyStart: bodyStart, escapes: escapes}
	for i := bodyStart; i < len(l.sql); i++ {
		switch {
		case l.sql[i] == '\\' && escapes == 'E':
			i++
		case l.sql[i] != quote:
		case i+1 < len(l.sql) && l.sql[i+1] == quote:
			i++
		default:
			t.bodyEnd, t.end = i, i+1
			return l.finish(t)
		}
	}
	return l.unclosed(t)
}

func (l *lexer) unclosed(t token) token {
	t.bodyEnd, t.end, t.open = len(l.sql), len(l.sql), true
	return l.finish(t)
}

func (l *lexer) lineComment(start int) token {
	end := len(l.sql)
	if i := strings.IndexAny(l.sql[start:], "\r\n"); i >= 0 {
		end = start + i
	}
	return l.finish(token{kind: tokenComment, start: start, bodyStart: start + 2, bodyEnd: end, end: end})
}

// blockComment counts: comments nest.
func (l *lexer) blockComment(start int) token {
	t := token{kind: tokenComment, start: start, bodyStart: start + 2}
	depth := 1
	for i := start + 2; i+1 < len(l.sql); i++ {
		switch l.sql[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			if depth == 0 {
				t.bodyEnd, t.end = i, i+2
				return l.finish(t)
			}
			i++
		}
	}
	return l.unclosed(t)
}

// dollar reads $tag$ … $tag$; a $ that opens none ($1, $-) is punctuation.
func (l *lexer) dollar(start int) token {
	i := start + 1
	for i < len(l.sql) && isWordPart(l.sql[i]) && l.sql[i] != '$' && (i > start+1 || isWordStart(l.sql[i])) {
		i++
	}
	if i == len(l.sql) || l.sql[i] != '$' {
		return l.finish(token{kind: tokenOther, start: start, bodyStart: start, bodyEnd: start + 1, end: start + 1})
	}
	tag := l.sql[start : i+1]
	t := token{kind: tokenLiteral, start: start, bodyStart: i + 1}
	closing := strings.Index(l.sql[i+1:], tag)
	if closing < 0 {
		return l.unclosed(t)
	}
	t.bodyEnd = i + 1 + closing
	t.end = t.bodyEnd + len(tag)
	return l.finish(t)
}

// word reads a keyword or identifier, or the literal that it is the prefix of.
func (l *lexer) word(start int) token {
	end := start + 1
	for end < len(l.sql) && isWordPart(l.sql[end]) {
		end++
	}
	rest := l.sql[end:]
	if end == start+1 && rest != "" {
		switch c := l.sql[start] | 0x20; {
		case c == 'u' && strings.HasPrefix(rest, "&'"):
			return l.quoted(tokenLiteral, start, end+2, '\'', 'U')
		case c == 'u' && strings.HasPrefix(rest, `&"`):
			return l.quoted(tokenQuoted, start, end+2, '"', 'U')
		case c == 'e' && rest[0] == '\'':
			return l.quoted(tokenLiteral, start, end+1, '\'', 'E')
		case (c == 'b' || c == 'x' || c == 'n') && rest[0] == '\'':
			return l.quoted(tokenLiteral, start, end+1, '\'', 0)
		}
	}
	return l.finish(token{kind: tokenWord, start: start, bodyStart: start, bodyEnd: end, end: end})
}

// number reads digits, as far as Redact must know where they end.
func (l *lexer) number(start int) token {
	end := start + 1
	for end < len(l.sql) && (isDigit(l.sql[end]) || l.sql[end] == '.') {
		end++
	}
	return l.finish(token{kind: tokenNumber, start: start, bodyStart: start, bodyEnd: end, end: end})
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isSpace(c byte) bool {
	return c == ' ' || c >= '\t' && c <= '\r'
}

func isWordStart(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80
}

func isWordPart(c byte) bool {
	return isWordStart(c) || c >= '0' && c <= '9' || c == '$'
}
