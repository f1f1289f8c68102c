package statement

import (
	"errors"
	"fmt"
)

// SQLSTATE codes of the texts that are refused before PostgreSQL's grammar sees them.
const (
	stateTooLong    = "54000" // program_limit_exceeded
	stateTooComplex = "54001" // statement_too_complex
	stateEncoding   = "22021" // character_not_in_repertoire
)

// ErrUnavailable is returned by Pool.Analyze when no worker could be had in time, or the pool does not run.
var ErrUnavailable = errors.New("no statement worker is available")

// LimitError says that a text is beyond what is analysed: too long, too deep, too many, not UTF-8, or one that a worker died of.
// Nothing in it repeats the text.
type LimitError struct {
	SQLSTATE string `json:"sqlstate"` // 54000, 54001, or 22021 for bytes that are not text
	Message  string `json:"message"`
}

// Error implements error.
func (e *LimitError) Error() string { return e.Message }

// SyntaxError is PostgreSQL's own: the text does not parse.
type SyntaxError struct {
	Message  string `json:"message"`  // as PostgreSQL words it; it quotes the text
	Position int    `json:"position"` // 1-based, in characters, as in the P field of an ErrorResponse; 0 unknown
}

// Error implements error.
func (e *SyntaxError) Error() string { return e.Message }

func tooComplex(format string, args ...any) *LimitError {
	return &LimitError{SQLSTATE: stateTooComplex, Message: fmt.Sprintf("statement too complex: "+format, args...)}
}
