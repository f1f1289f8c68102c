package proof

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// maxCopyLine bounds a line of a file with checkpoints: those of a log have up to 1024 hashes.
	maxCopyLine = 1 << 20
	// maxNoteLines is more than a checkpoint has, with signatures of others added to it.
	maxNoteLines = 64
)

// ReadCopies reads the checkpoints that were kept elsewhere and verifies each: notes as they are, one behind the other, and lines that
// hold a JSON object with a note, such as those of a log or of syslog. Other lines are none of ours. The error is io.ErrUnexpectedEOF
// when there is no checkpoint.
func ReadCopies(r io.Reader, keys *Verifiers) ([]Checkpoint, error) {
	c := copies{keys: keys}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxCopyLine)
	for scanner.Scan() {
		if err := c.line(scanner.Text()); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(scanner.Err(), c.flush()); err != nil {
		return nil, err
	}
	if len(c.found) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return c.found, nil
}

// copies gathers checkpoints.
type copies struct {
	keys  *Verifiers
	note  []string // the lines that may be one, with their newlines
	found []Checkpoint
}

func (c *copies) line(line string) error {
	if inLine, ok := noteIn(line); ok {
		_, err := c.take(inLine)
		return err
	}
	if n := len(c.note); n > 0 && signatureLine(c.note[n-1]) && !signatureLine(line) {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if c.note = append(c.note, line+"\n"); len(c.note) > maxNoteLines {
		c.note = c.note[1:]
	}
	return nil
}

// flush takes the note that the lines end with.
func (c *copies) flush() error {
	lines := c.note
	c.note = nil
	for ; len(lines) > 0; lines = lines[1:] {
		if taken, err := c.take(strings.Join(lines, "")); taken || err != nil {
			return err
		}
	}
	return nil
}

// take takes a checkpoint, if it is one.
func (c *copies) take(signed string) (bool, error) {
	checkpoint, err := c.keys.Open(signed)
	switch {
	case errors.Is(err, errNotCheckpoint):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("checkpoint of %d events: %w", checkpoint.Size, err)
	}
	c.found = append(c.found, checkpoint)
	return true, nil
}

func signatureLine(line string) bool { return strings.HasPrefix(line, "— ") }

// noteIn returns the note in the JSON object that a line ends with.
func noteIn(line string) (string, bool) {
	i := strings.IndexByte(line, '{')
	if i < 0 {
		return "", false
	}
	var object struct {
		Note string `json:"note"`
	}
	if json.Unmarshal([]byte(line[i:]), &object) != nil || object.Note == "" {
		return "", false
	}
	return object.Note, true
}
