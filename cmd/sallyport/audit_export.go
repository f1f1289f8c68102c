package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/gateway/audit/ocsf"
)

// maxPendingStatements bounds the statements whose outcomes are awaited: more than all sessions of a gateway run at once. The oldest is
// printed without one.
const maxPendingStatements = 1 << 16

// exportCommand is one call of "audit export".
type exportCommand struct {
	out     *bufio.Writer
	texts   *texts
	pending map[string]pendingStatement // by id
	order   []string                    // of the ids, also of those that are pending no more
}

type pendingStatement struct {
	line []byte
	text string
}

// auditExport prints the events of a log in a format of others, one a line.
func auditExport(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("audit export", flag.ContinueOnError)
	format := flags.String("format", "ocsf", "the `format`: ocsf (https://schema.ocsf.io, "+ocsf.Version+")")
	files, status, ok := parseAround(flags, args, stderr)
	switch {
	case !ok:
		return status
	case *format != "ocsf":
		return misused(flags, stderr, "--format must be ocsf")
	case len(files) == 0:
		return misused(flags, stderr, "give the files of the log, the oldest first")
	}
	c := &exportCommand{out: bufio.NewWriter(stdout), texts: newTexts(), pending: make(map[string]pendingStatement)}
	if err := c.run(files); err != nil {
		fmt.Fprintf(stderr, "sallyport audit export: %v\n", err)
		return exitUsage
	}
	return exitOK
}

func (c *exportCommand) run(files []string) error {
	var e recorded
	var failed error
	err := eachLineOf(files, c.texts.begin, func(line []byte) {
		if failed != nil || !parseEvent(line, &e) {
			return
		}
		if failed = c.texts.complete(&e); failed == nil {
			failed = c.event(line, &e)
		}
	})
	for _, id := range c.order {
		failed = errors.Join(failed, c.finish(id, nil))
	}
	return errors.Join(err, failed, c.out.Flush())
}

// event prints what a line is, once all of it is known.
func (c *exportCommand) event(line []byte, e *recorded) error {
	switch e.Type {
	case "statement":
		c.pending[e.ID] = pendingStatement{bytes.Clone(line), e.Text}
		c.order = append(c.order, e.ID)
		return c.bound()
	case "outcome":
		return c.finish(e.ID, line)
	}
	return c.print(line, nil, "")
}

// finish prints a statement with its outcome, which may be nil.
func (c *exportCommand) finish(id string, outcome []byte) error {
	s, ok := c.pending[id]
	if !ok {
		return nil
	}
	delete(c.pending, id)
	return c.print(s.line, outcome, s.text)
}

func (c *exportCommand) bound() error {
	var failed error
	for len(c.order) > maxPendingStatements {
		failed = errors.Join(failed, c.finish(c.order[0], nil))
		c.order = c.order[1:]
	}
	return failed
}

func (c *exportCommand) print(line, outcome []byte, text string) error {
	event, ok := ocsf.Merge(line, outcome, text)
	if !ok {
		return nil
	}
	_, err := fmt.Fprintf(c.out, "%s\n", event)
	return err
}
