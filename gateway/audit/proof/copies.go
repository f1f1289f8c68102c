package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxNoteLines is more than a checkpoint has, with signatures of others added to it.
const maxNoteLines = 64

// ReadCopies reads the checkpoints that were kept elsewhere and verifies each: notes as they are, one behind the other, lines that
// hold a JSON object with a note, such as those of a log or of syslog, and requests of OTLP in JSON, as the OpenTelemetry Collector keeps
// them in a file, whose records have such lines as bodies. Other lines are none of ours. The error is io.ErrUnexpectedEOF when there is
// no checkpoint.
func ReadCopies(r io.Reader, keys *Verifiers) ([]Checkpoint, error) {
	c := copies{keys: keys}
	lines := NewLines(r)
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := c.line(string(bytes.TrimSuffix(line, []byte{'\r'}))); err != nil {
			return nil, err
		}
	}
	if err := c.flush(); err != nil {
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
	if notes := notesIn(line); len(notes) > 0 {
		for _, inLine := range notes {
			if _, err := c.take(inLine); err != nil {
				return err
			}
		}
		return nil
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

// notesIn returns the note in the JSON object that a line ends with, or the notes in the bodies of the log records there. Bodies only:
// what else is in a record may be what somebody has written in a statement.
func notesIn(line string) (notes []string) {
	i := strings.IndexByte(line, '{')
	if i < 0 {
		return nil
	}
	var object struct {
		Note         string `json:"note"`
		ResourceLogs []struct {
			ScopeLogs []struct {
				LogRecords []struct {
					Body struct {
						StringValue string `json:"stringValue"`
					} `json:"body"`
				} `json:"logRecords"`
			} `json:"scopeLogs"`
		} `json:"resourceLogs"`
	}
	if json.Unmarshal([]byte(line[i:]), &object) != nil {
		return nil
	}
	if object.Note != "" {
		return []string{object.Note}
	}
	for _, resource := range object.ResourceLogs {
		for _, scope := range resource.ScopeLogs {
			for _, record := range scope.LogRecords {
				if m, ok := parseMark([]byte(record.Body.StringValue)); ok {
					notes = append(notes, m.note)
				}
			}
		}
	}
	return notes
}
