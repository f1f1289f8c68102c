package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// searchCommand is one call of "audit search". What is not set matches everything.
type searchCommand struct {
	since, until string // as events have them
	user         string
	group        string
	relation     string
	decision     string
	text         string // in lower case
	asJSON       bool
	files        []string
	out          *bufio.Writer
	found        map[string]bool // statements whose outcomes are to come
	texts        *texts
}

// auditSearch prints the events that match all of what is asked for, and the outcomes of statements that do.
func auditSearch(args []string, stdout, stderr io.Writer) int {
	c := &searchCommand{out: bufio.NewWriter(stdout), found: make(map[string]bool), texts: newTexts()}
	flags := flag.NewFlagSet("audit search", flag.ContinueOnError)
	now := time.Now()
	moment := func(to *string) func(string) error {
		return func(value string) (err error) {
			*to, err = parseMoment(value, now)
			return err
		}
	}
	flags.Func("since", "not before this `time`: 2026-03-02, 2026-03-02T09:14:07Z, or 90m for as long ago", moment(&c.since))
	flags.Func("until", "before this `time`", moment(&c.until))
	flags.StringVar(&c.user, "user", "", "of this `account`, proved or claimed")
	flags.StringVar(&c.group, "group", "", "of accounts in this `group`, by the first groups of a token, which are in every line")
	flags.StringVar(&c.relation, "relation", "", "statements on this `relation`, with its schema or without")
	flags.StringVar(&c.decision, "decision", "", "`word` of the decision: allow, deny, observe")
	flags.StringVar(&c.text, "text", "", "statements with this `text` in theirs; upper and lower case are the same")
	flags.BoolVar(&c.asJSON, "json", false, "print the lines of the log as they are")
	var status int
	var ok bool
	c.files, status, ok = parseAround(flags, args, stderr)
	switch {
	case !ok:
		return status
	case len(c.files) == 0:
		return misused(flags, stderr, "give the files of the log, the oldest first")
	case c.decision != "" && !slices.Contains([]string{"allow", "deny", "observe"}, c.decision):
		return misused(flags, stderr, "--decision must be allow, deny or observe")
	}
	c.text = strings.ToLower(c.text)
	n, err := c.run()
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "sallyport audit search: %v\n", err)
		return exitUsage
	case n == 0:
		return exitFailure
	}
	return exitOK
}

// parseMoment reads a time, and gives it as events have theirs.
func parseMoment(value string, now time.Time) (string, error) {
	const layout = "2006-01-02T15:04:05.000000Z"
	if ago, err := time.ParseDuration(value); err == nil {
		return now.Add(-ago).UTC().Format(layout), nil
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(form, value); err == nil {
			return t.UTC().Format(layout), nil
		}
	}
	return "", errors.New("it is no time like 2026-03-02T09:14:07Z (UTC unless it says otherwise), nor a duration like 90m")
}

// run prints what matches, and says how much that was.
func (c *searchCommand) run() (n int, err error) {
	var e recorded
	var failed error
	err = eachLineOf(c.files, c.texts.begin, func(line []byte) {
		within := c.isWithin(string(proof.Stamp(line)))
		if failed != nil || !within && !bytes.Contains(line, textKey) || !parseEvent(line, &e) {
			return
		}
		if failed = c.texts.complete(&e); failed == nil && within && c.matches(&e) {
			n++
			failed = c.print(line, &e)
		}
	})
	return n, errors.Join(err, failed, c.out.Flush())
}

// textKey is in lines that have a text, and in no string: there its quotes would be escaped.
var textKey = []byte(`,"text":"`)

// isWithin says whether a line has a time that is searched.
func (c *searchCommand) isWithin(stamp string) bool {
	return stamp != "" && stamp >= c.since && (c.until == "" || stamp < c.until)
}

func (c *searchCommand) matches(e *recorded) bool {
	if e.Type == "outcome" && c.found[e.ID] {
		delete(c.found, e.ID)
		return true
	}
	switch {
	case c.user != "" && e.who() != c.user,
		c.group != "" && !slices.Contains(e.Groups, c.group),
		c.decision != "" && e.decided() != c.decision,
		c.text != "" && !strings.Contains(strings.ToLower(e.Text), c.text),
		c.relation != "" && !slices.ContainsFunc(e.Relations, c.isRelation):
		return false
	}
	if e.Type == "statement" {
		c.found[e.ID] = true
	}
	return true
}

// isRelation says whether an entry ("app.customers select (id)") is of the relation that is searched for.
func (c *searchCommand) isRelation(entry string) bool {
	name, _, _ := strings.Cut(entry, " ")
	return name == c.relation || strings.HasSuffix(name, "."+c.relation)
}

func (c *searchCommand) print(line []byte, e *recorded) (err error) {
	if c.asJSON {
		_, err = fmt.Fprintf(c.out, "%s\n", line)
	} else {
		_, err = fmt.Fprintln(c.out, e)
	}
	return err
}
