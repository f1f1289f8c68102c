package proof

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Unsigned is the origin of checkpoints that nobody has signed: there is no key.
const Unsigned = "unsigned"

// Checkpoint is the state of a log: how many leaves it has, and the root over them.
type Checkpoint struct {
	Origin string
	Size   int64
	Root   Hash
}

// text is the checkpoint as https://c2sp.org/tlog-checkpoint has it.
func (c Checkpoint) text() string {
	return c.Origin + "\n" + strconv.FormatInt(c.Size, 10) + "\n" + c.Root.String() + "\n"
}

// Sign makes the note of a tree's checkpoint. Without a key it is one that nobody has signed.
func (k *Key) Sign(t *Tree) (string, error) {
	if k == nil {
		return Checkpoint{Unsigned, t.size, t.Root()}.text(), nil
	}
	signed, err := note.Sign(&note.Note{Text: Checkpoint{k.Name(), t.size, t.Root()}.text()}, k.signer)
	if err != nil {
		return "", fmt.Errorf("sign checkpoint: %w", err)
	}
	return string(signed), nil
}

var errNotCheckpoint = errors.New("it is not a checkpoint")

// parseText reads the text of a checkpoint, with nothing behind its three lines.
func parseText(text string) (c Checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 {
		return c, errNotCheckpoint
	}
	c.Origin = lines[0]
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.Size < 0 {
		return c, errNotCheckpoint
	}
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil || c.text() != text {
		return c, errNotCheckpoint
	}
	return c, nil
}

// Open reads a checkpoint from its note and verifies that one of the keys has signed it. Nil Verifiers verify nothing.
func (v *Verifiers) Open(signed string) (Checkpoint, error) {
	c, _, err := v.open(signed)
	return c, err
}

// open is Open. key is which of the keys has signed, from 1; 0: that was not looked at.
func (v *Verifiers) open(signed string) (c Checkpoint, key int, err error) {
	text, _, found := strings.Cut(signed, "\n\n")
	if found {
		text += "\n"
	}
	c, err = parseText(text)
	if err != nil || v == nil {
		return c, 0, err
	}
	if !found {
		return c, 0, errors.New("it is not signed")
	}
	opened, err := note.Open([]byte(signed), v.list)
	var other *note.UnverifiedNoteError
	switch {
	case errors.As(err, &other):
		return c, 0, errors.New("it is signed by another key")
	case err != nil:
		return c, 0, fmt.Errorf("its signature is wrong: %w", err)
	case opened.Text != text:
		return c, 0, errNotCheckpoint
	case opened.Sigs[0].Name != c.Origin:
		return c, 0, fmt.Errorf("it is of the log %q, signed by the key of %q", c.Origin, opened.Sigs[0].Name)
	}
	return c, 1 + slices.Index(v.hashes, opened.Sigs[0].Hash), nil
}
