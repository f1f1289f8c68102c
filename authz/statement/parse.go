package statement

import (
	"errors"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"
)

// parse turns a text that has passed Limits.Check into its facts, all but fingerprint and normalized text, and says whether there may be
// constants in it. It runs in a worker: the C code it calls can die on what it is given.
func parse(text string) (sheet *Sheet, constants bool, err error) {
	tree, constants, err := parseTree(text)
	if err != nil {
		return nil, false, parseError(err)
	}
	sheet = &Sheet{Complete: true, Statements: make([]Statement, 0, len(tree.GetStmts()))}
	for _, raw := range tree.GetStmts() {
		w := &walker{facts: newFacts()}
		s := w.statement(raw)
		sheet.Statements = append(sheet.Statements, s)
		for _, reason := range w.reasons {
			if len(sheet.Incomplete) < maxReasons {
				sheet.Incomplete = append(sheet.Incomplete, reason)
			}
		}
	}
	sheet.Complete = len(sheet.Incomplete) == 0
	return sheet, constants, nil
}

// statement walks one statement.
func (w *walker) statement(raw *pg.RawStmt) Statement {
	w.facts.command = outerCommand(raw.GetStmt())
	w.facts.runs(w.facts.command)
	w.visit("ParseResult.stmts", raw)
	s := w.facts.statement()
	s.Class = class(raw.GetStmt(), s.Commands)
	s.Hints.Literals = w.literals
	if s.Command == "" {
		w.incomplete("statement without a command tag")
	}
	return s
}

// parseError tells what PostgreSQL's grammar refuses from what is too deep for the way its tree takes to us. The position is in
// characters already (scanner_errposition counts them).
func parseError(err error) error {
	var syntax *parser.Error
	if errors.As(err, &syntax) {
		if gaveUp(syntax.Message) {
			return tooComplex("the parser gave up")
		}
		return &SyntaxError{Message: syntax.Message, Position: syntax.Cursorpos}
	}
	return tooComplex("the parse tree is too deep")
}

// gaveUp recognises what the parser says when the text was too much for it. The text is quoted at the end only.
func gaveUp(message string) bool {
	return strings.HasPrefix(message, "out of memory") || strings.HasPrefix(message, "memory exhausted") ||
		strings.HasPrefix(message, "stack depth limit exceeded")
}

// normalize returns the fingerprint and the normalized text; either may fail by itself, and is then empty. A text without constants is
// normalized as it is.
func normalize(text string, constants bool) (fingerprint, normalized string) {
	fingerprint, err := pg.Fingerprint(text)
	if err != nil {
		fingerprint = ""
	}
	if !constants {
		return fingerprint, text
	}
	normalized, err = pg.Normalize(text)
	if err != nil {
		normalized = ""
	}
	return fingerprint, normalized
}
