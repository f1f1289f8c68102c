package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// maxProofBytes bounds a file with a proof: the largest event, in base64, and a checkpoint.
const maxProofBytes = 64 << 20

// verifyCommand is one call of "audit verify".
type verifyCommand struct {
	keys           keysFlag
	against        string
	proof          string
	files          []string
	stdout, stderr io.Writer
}

// auditVerify verifies a log, or a proof.
func auditVerify(args []string, stdout, stderr io.Writer) int {
	c := &verifyCommand{stdout: stdout, stderr: stderr}
	flags := flag.NewFlagSet("audit verify", flag.ContinueOnError)
	c.keys.define(flags)
	flags.StringVar(&c.against, "against", "", "a `file` of checkpoints that was kept elsewhere, to compare the log with")
	flags.StringVar(&c.proof, "proof", "", "verify this `file`, which audit prove has printed, instead of a log")
	var status int
	var ok bool
	c.files, status, ok = parseAround(flags, args, stderr)
	switch {
	case !ok:
		return status
	case c.proof != "" && (len(c.files) > 0 || c.against != ""):
		return misused(flags, stderr, "--proof needs no log")
	case c.proof != "" && len(c.keys.keys) == 0:
		return misused(flags, stderr, "--proof proves nothing without --key")
	case c.proof == "" && len(c.files) == 0:
		return misused(flags, stderr, "give the files of the log, the oldest first")
	}
	good, err := c.run()
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "sallyport audit verify: %v\n", err)
		return exitUsage
	case !good:
		return exitFailure
	}
	return exitOK
}

// run says whether all is good. An error is that it could not be found out.
func (c *verifyCommand) run() (good bool, err error) {
	keys, err := c.keys.verifiers()
	if err != nil {
		return false, err
	}
	if c.proof != "" {
		return c.verifyProof(keys)
	}
	v := proof.NewVerifier(keys)
	if err := c.compareWith(v, keys); err != nil {
		return false, err
	}
	t := newLongTexts()
	v.OnEvent(t.event)
	for _, name := range c.files {
		if err := readLog(name, func(r io.Reader) error { return v.File(name, r) }); err != nil {
			return false, err
		}
		if err := t.beside(name); err != nil {
			return false, err
		}
	}
	return c.print(v.End(), t, keys != nil), nil
}

// longTexts compares the texts beside a log with what its events say of them.
type longTexts struct {
	missing map[string]bool // by digest: an event has it, and no file
	changed []longText
}

func newLongTexts() *longTexts { return &longTexts{missing: make(map[string]bool)} }

// asideKeys are in the lines whose text is beside the log, and in no string: there its quotes would be escaped.
var asideKeys = [][]byte{[]byte(`,"text_aside":true`), []byte(`,"normalized_aside":true`)}

func (t *longTexts) event(line []byte) {
	if !slices.ContainsFunc(asideKeys, func(key []byte) bool { return bytes.Contains(line, key) }) {
		return
	}
	var e struct {
		Text            string `json:"text_digest"`
		Aside           bool   `json:"text_aside"`
		Normalized      string `json:"normalized_digest"`
		NormalizedAside bool   `json:"normalized_aside"`
	}
	if json.Unmarshal(line, &e) != nil {
		return
	}
	if e.Aside {
		t.note(e.Text)
	}
	if e.NormalizedAside {
		t.note(e.Normalized)
	}
}

// note notes a digest that an event has. Its text is beside the same file: those beside a file are read behind it.
func (t *longTexts) note(digest string) { t.missing[digest] = true }

func (t *longTexts) beside(name string) error {
	return eachLongText(name, func(text longText) {
		if text.changed() {
			t.changed = append(t.changed, text)
			return
		}
		delete(t.missing, text.Digest)
	})
}

// compareWith gives the verifier the checkpoints of --against.
func (c *verifyCommand) compareWith(v *proof.Verifier, keys *proof.Verifiers) error {
	if c.against == "" {
		return nil
	}
	return readLog(c.against, func(r io.Reader) error {
		copies, err := proof.ReadCopies(r, keys)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("there is no checkpoint in it")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.against, err)
		}
		for _, checkpoint := range copies {
			v.Against(checkpoint)
		}
		return nil
	})
}

func (c *verifyCommand) print(r proof.Report, t *longTexts, signed bool) (good bool) {
	for _, f := range r.Findings {
		fmt.Fprintln(c.stderr, f)
	}
	for _, text := range t.changed {
		fmt.Fprintf(c.stderr, "%s:%d: this text was changed\n", text.File, text.Line)
	}
	if len(t.missing) > 0 {
		fmt.Fprintf(c.stderr, "warning: %d long texts are not beside these files: they were removed, or changed together with their digests\n", len(t.missing))
	}
	if r.Unchecked > 0 {
		fmt.Fprintf(c.stderr, "warning: %d checkpoints of --against are older than these files, and were not compared\n", r.Unchecked)
	}
	if !signed {
		fmt.Fprintln(c.stderr, "warning: without --key no signature was verified: whoever changed the log may have made its checkpoints fit")
	}
	for _, torn := range r.TornBefore {
		fmt.Fprintf(c.stderr, "warning: nothing proves %s, which is not complete: a disk was full, the gateway was killed, or somebody has written it\n", torn)
	}
	if r.Torn.Line > 0 {
		fmt.Fprintf(c.stderr, "warning: %s is not complete: it is being written, or the gateway was killed\n", r.Torn)
	}
	if r.Unsealed > 0 {
		fmt.Fprintf(c.stderr, "warning: nothing proves the last %d events, from %s on: they are behind the last checkpoint\n", r.Unsealed, r.UnsealedAt)
	}
	if len(r.Findings) > 0 || len(t.changed) > 0 {
		fmt.Fprintln(c.stdout, "NOT as it was written")
		return false
	}
	fmt.Fprintf(c.stdout, "ok: events %d to %d, %d checkpoints\n", r.From, r.Size, r.Checkpoints)
	return true
}

// verifyProof verifies a proof, and shows the event that it proves.
func (c *verifyCommand) verifyProof(keys *proof.Verifiers) (good bool, err error) {
	file, err := os.Open(c.proof)
	if err != nil {
		return false, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxProofBytes))
	if err := errors.Join(err, file.Close()); err != nil {
		return false, err
	}
	p, err := proof.ParseInclusion(string(content))
	if err == nil {
		err = p.Check(keys)
	}
	if err != nil {
		fmt.Fprintf(c.stderr, "%s: %v\n", c.proof, err)
		return false, nil
	}
	fmt.Fprintf(c.stdout, "%s\n", p.Event)
	return true, nil
}

// auditProve prints a proof.
func auditProve(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("audit prove", flag.ContinueOnError)
	event := flags.String("event", "", "the `id` of the statement, or the session of another event")
	kind := flags.String("type", "statement", "the event's `type`")
	files, status, ok := parseAround(flags, args, stderr)
	switch {
	case !ok:
		return status
	case *event == "":
		return misused(flags, stderr, "--event is missing: what is to be proved")
	case len(files) == 0:
		return misused(flags, stderr, "give the files of the log, the oldest first")
	}
	p, err := proof.Prove(*kind+" "+*event, func(f func([]byte)) error { return eachLine(files, f) })
	if err != nil {
		fmt.Fprintf(stderr, "sallyport audit prove: %v\n", err)
		return exitFailure
	}
	fmt.Fprint(stdout, p)
	return exitOK
}
