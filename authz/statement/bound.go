package statement

import (
	"strings"
	"unicode/utf8"
)

// nameLength is NAMEDATALEN: names are cut to one byte less, operators of that length are refused.
const nameLength = 64

// Defaults of Limits. libpg_query recurses over its parse tree, and its parser takes 240 bytes of memory for a byte of text: measured on
// an 8 MiB stack, up to 10 000 chained terms come back, 40 000 kill the process. These keep a factor of five away from that.
const (
	DefaultMaxTextBytes  = 1 << 20 // what people and ORMs write is under 100 KiB; 1 MiB takes a worker up to a second and 240 MB
	DefaultMaxTokens     = 20_000  // 5000 rows of two columns; bulk loading is COPY's
	DefaultMaxDepth      = 200     // parentheses, brackets and CASE together; generated SQL stays under 50
	DefaultMaxChain      = 2_000   // a + b + c …, casts, NOT NOT, UNION and JOIN chains: each is a level of the parse tree
	DefaultMaxStatements = 100     // in one text; migration tools send a few dozen
)

// Limits bound a text before it is parsed. A zero field means its default.
type Limits struct {
	MaxTextBytes  int
	MaxTokens     int
	MaxDepth      int
	MaxChain      int
	MaxStatements int
}

func (l Limits) withDefaults() Limits {
	for _, field := range []struct {
		value    *int
		fallback int
	}{
		{&l.MaxTextBytes, DefaultMaxTextBytes},
		{&l.MaxTokens, DefaultMaxTokens},
		{&l.MaxDepth, DefaultMaxDepth},
		{&l.MaxChain, DefaultMaxChain},
		{&l.MaxStatements, DefaultMaxStatements},
	} {
		if *field.value <= 0 {
			*field.value = field.fallback
		}
	}
	return l
}

// Check says whether a text may be given to the parser: nil, or a *LimitError. A text that PostgreSQL's scanner refuses passes: saying
// so, and where, is the parser's.
func (l Limits) Check(text string) error {
	l = l.withDefaults()
	if len(text) > l.MaxTextBytes {
		return &LimitError{SQLSTATE: stateTooLong, Message: "statement too long"}
	}
	if strings.IndexByte(text, 0) >= 0 {
		return &LimitError{SQLSTATE: stateEncoding, Message: "invalid byte sequence for encoding \"UTF8\": 0x00"}
	}
	if !utf8.ValidString(text) {
		return &LimitError{SQLSTATE: stateEncoding, Message: "invalid byte sequence for encoding \"UTF8\""}
	}
	b := bounds{limits: l}
	s := scanner{text: text}
	for {
		t := s.next()
		if t.kind == kindEnd || t.kind == kindBad {
			return nil
		}
		if err := b.take(t, text[t.start:t.end]); err != nil {
			return err
		}
	}
}

// bounds counts what makes a parse tree deep or large.
//
// Every open parenthesis or bracket has its own two chains, since "(1+1), (1+1)" is as deep as "(1+1)": operators end at a comma, AND,
// OR or a clause; UNION and JOIN chains run on to the end of the parenthesis.
type bounds struct {
	limits     Limits
	tokens     int
	statements int
	begun      bool // the current statement has a token
	depth      int
	cases      int
	chains     [maxTrackedDepth]chain
}

// maxTrackedDepth is how many levels keep their own chain; deeper ones share the last one, which only refuses sooner.
const maxTrackedDepth = 256

type chain struct{ terms, tables int }

func (b *bounds) take(t token, text string) error {
	b.tokens++
	if b.tokens > b.limits.MaxTokens {
		return tooComplex("more than %d tokens", b.limits.MaxTokens)
	}
	if t.kind != kindComment && text != ";" && !b.begun {
		b.begun = true
		b.statements++
		if b.statements > b.limits.MaxStatements {
			return tooComplex("more than %d statements in one text", b.limits.MaxStatements)
		}
	}
	current := b.level()
	switch t.kind {
	case kindSelf:
		b.punctuation(text[0])
	case kindOperator, kindCast:
		current.terms++
	case kindWord:
		b.word(text)
	}
	return b.verdict()
}

func (b *bounds) level() *chain { return &b.chains[min(b.depth, maxTrackedDepth-1)] }

func (b *bounds) verdict() error {
	if b.depth+b.cases > b.limits.MaxDepth {
		return tooComplex("nested more than %d deep", b.limits.MaxDepth)
	}
	if c := b.level(); c.terms > b.limits.MaxChain || c.tables > b.limits.MaxChain {
		return tooComplex("more than %d chained terms", b.limits.MaxChain)
	}
	return nil
}

func (b *bounds) punctuation(c byte) {
	switch c {
	case '(', '[':
		b.depth++
		if b.depth < maxTrackedDepth {
			*b.level() = chain{}
		}
	case ')', ']':
		b.depth = max(b.depth-1, 0)
	case ',':
		b.level().terms = 0
	case ';':
		// Inside BEGIN ATOMIC … END a semicolon does not end the statement, so parentheses and CASE stay open: the parser decides what
		// is an error.
		*b.level() = chain{}
		b.begun = false
	case '.':
	default:
		b.level().terms++
	}
}

// word takes what nests or chains without punctuation. A quoted identifier is not one of these.
func (b *bounds) word(text string) {
	var lower [len("intersect")]byte
	if len(text) > len(lower) {
		return
	}
	for i := range len(text) {
		lower[i] = text[i] | 0x20 // letters in lower case; no other character of a word becomes one
	}
	current := b.level()
	switch string(lower[:len(text)]) {
	case "case":
		b.cases++
	case "end":
		b.cases = max(b.cases-1, 0)
	case "union", "intersect", "except", "join":
		current.tables++
		current.terms = 0
	case "not", "at", "collate", "operator", "is", "isnull", "notnull", "in", "like", "ilike", "between":
		current.terms++
	case "and", "or", "when", "then", "else", "select", "from", "where", "having", "values":
		current.terms = 0
	}
}
