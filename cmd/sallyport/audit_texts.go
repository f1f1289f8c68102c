package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// texts finds the texts of the statements of a log: a file has each once, and those that are too long for a line beside it.
type texts struct {
	known *audit.Texts
	file  string
	long  map[string]string // by digest; nil: not read yet
}

func newTexts() *texts { return &texts{known: new(audit.Texts)} }

// begin notes that what comes is in another file.
func (t *texts) begin(file string) { t.file, t.long = file, nil }

// complete gives an event its text, as much of it as there is.
func (t *texts) complete(e *recorded) error {
	if e.TextDigest == "" {
		return nil
	}
	if e.Text != "" {
		t.known.Note(e.TextDigest, e.Text)
	} else {
		e.Text, _ = t.known.Find(e.TextDigest)
	}
	if e.Aside {
		return t.lengthen(e)
	}
	return nil
}

// lengthen gives an event its whole text, if there is one beside the file.
func (t *texts) lengthen(e *recorded) error {
	if _, ok := t.long[e.TextDigest]; !ok { // the file may have grown since
		t.long = make(map[string]string)
		if err := eachLongText(t.file, func(text longText) { t.long[text.Digest] = text.Text }); err != nil {
			return err
		}
	}
	if whole, ok := t.long[e.TextDigest]; ok {
		e.Text = whole
	}
	return nil
}

// longText is a line of the file beside a log.
type longText struct {
	File   string `json:"-"`
	Line   int    `json:"-"`
	Digest string `json:"text_digest"`
	Text   string `json:"text"`
}

// changed says whether it is another text than the one that was written.
func (t *longText) changed() bool {
	sum := sha256.Sum256([]byte(t.Text))
	return hex.EncodeToString(sum[:]) != t.Digest
}

// eachLongText calls f with the texts beside a file of a log, if there are any. Lines that a crash has torn are passed over: a text that
// is missed is missed by its digest.
func eachLongText(name string, f func(longText)) error {
	for _, beside := range audit.TextsBeside(name) {
		err := readLog(beside, func(r io.Reader) error {
			lines := proof.NewLines(r)
			for n := 1; ; n++ {
				line, err := lines.Next()
				switch {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return &os.PathError{Op: "read", Path: beside, Err: err}
				}
				text := longText{File: beside, Line: n}
				if json.Unmarshal(line, &text) == nil && text.Digest != "" {
					f(text)
				}
			}
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
