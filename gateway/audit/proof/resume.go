package proof

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// State is where a log stands.
type State struct {
	Tree     Tree
	Unsealed []Hash // leaves behind the last checkpoint
	Torn     []byte // a last line without its newline, which is no leaf yet
	Lines    int64
	Began    time.Time // of the first line; zero: it does not say
}

// Resume reads the state of a log from its file, whose checkpoints must agree with its lines. It does not look at signatures: whoever
// goes on with the log may have another key than those before.
func Resume(r io.Reader) (s State, err error) {
	v := NewVerifier(nil)
	lines := NewLines(r)
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		v.at.Line++
		if err != nil {
			return s, fmt.Errorf("line %d: %w", v.at.Line, err)
		}
		if lines.Torn() {
			s.Torn = append(s.Torn, line...)
			if KindOf(line) == KindLeaf {
				break // not before it is complete
			}
		}
		v.line(line)
		if v.at.Line == 1 {
			s.Began = TimeOf(line)
		}
		if len(v.report.Findings) > 0 {
			f := v.report.Findings[0]
			return s, fmt.Errorf("line %d: %s", f.Line, f.Problem)
		}
	}
	s.Tree, s.Lines = v.tree, v.at.Line
	for _, l := range v.pending {
		s.Unsealed = append(s.Unsealed, l.hash)
	}
	return s, nil
}

// TimeOf is the time of a line; zero: it has none.
func TimeOf(line []byte) time.Time {
	stamp := Stamp(line)
	if stamp == nil {
		return time.Time{}
	}
	t, _ := time.Parse(lineTime, string(stamp))
	return t
}
