package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/replay"
)

// maxShownText is how many characters of a text are shown with a difference; the log has the rest.
const maxShownText = 120

// replayCommand is one call of "policy replay".
type replayCommand struct {
	source policySource
	logs   []string
	asJSON bool
	stdin  io.Reader

	catalog  bool // names are looked up in the catalogs of the configuration's databases
	catalogs *databaseCatalogs
}

// policyReplay decides what an audit log holds again, and says what would have been otherwise.
func policyReplay(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &replayCommand{stdin: stdin}
	flags := flag.NewFlagSet("policy replay", flag.ContinueOnError)
	flags.StringVar(&c.source.directory, "policy", "", "the `directory` of the policy to decide by")
	flags.StringVar(&c.source.file, "config", "", "the configuration `file`: its policy, if there is no --policy; its databases' catalogs; its search_paths, for logs that do not say them")
	flags.Func("audit", "an audit log `file`, - for standard input; may be repeated, the oldest first, and further files may follow", func(name string) error {
		c.logs = append(c.logs, name)
		return nil
	})
	flags.BoolVar(&c.catalog, "catalog", true, "look names up, as they are meant now, in the catalogs of the configuration's databases that have one; needs Vault and the databases")
	flags.BoolVar(&c.asJSON, "json", false, "print a line of JSON for each difference, and a last one with the counts")
	more, status, ok := parseAround(flags, args, stderr)
	if !ok {
		return status
	}
	c.logs = append(c.logs, more...)
	switch {
	case len(c.logs) == 0:
		return misused(flags, stderr, "--audit is missing: the log to replay")
	case c.source.directory == "" && c.source.file == "":
		return misused(flags, stderr, "give the policy to decide by: --policy or --config")
	}
	if err := errors.Join(c.run(ctx, stdout), c.catalogs.close()); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	return exitOK
}

func (c *replayCommand) run(ctx context.Context, stdout io.Writer) error {
	cfg, err := c.source.load()
	if err != nil {
		return err
	}
	engine, err := authz.New(cfg)
	if err != nil {
		return err
	}
	pool, stop, err := startPool(ctx, c.source)
	if err != nil {
		return err
	}
	defer stop()
	printer, err := newPrinter(c.asJSON, stdout)
	if err != nil {
		return err
	}
	defer printer.close()
	settings := replay.Config{
		Policy: engine, Analyzer: pool, Judged: gateway.AsJudged, Relations: gateway.Relations, SearchPath: c.searchPath(), Report: printer.difference,
	}
	if c.catalog && c.source.config != nil {
		c.catalogs = newDatabaseCatalogs(c.source.config, pool.Analyze)
		settings.Resolve = c.catalogs.resolve
	}
	r := replay.New(settings)
	for _, name := range c.logs {
		if err := c.read(ctx, r, name); err != nil {
			return err
		}
	}
	return printer.end(engine.Policy().Revision(), r.Counts())
}

// searchPath is what the configuration says; nil without one.
func (c *replayCommand) searchPath() func(string) []string {
	if c.source.config == nil {
		return nil
	}
	databases := c.source.config.Databases
	return func(name string) []string {
		database, ok := databases[name]
		if !ok {
			return nil
		}
		return append(slices.Clone(database.SearchPath), "pg_temp")
	}
}

func (c *replayCommand) read(ctx context.Context, r *replay.Replay, name string) error {
	if name == "-" {
		return r.Read(ctx, c.stdin)
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(r.Read(ctx, file), file.Close())
}

// printer prints what a replay finds. For people the counts come first, so the differences, of which there may be as many as lines,
// wait in a file.
type printer struct {
	out     io.Writer
	encoder *json.Encoder // nil: for people
	spool   *os.File      // nil: JSON
}

func newPrinter(asJSON bool, out io.Writer) (*printer, error) {
	p := &printer{out: out}
	if asJSON {
		p.encoder = json.NewEncoder(out)
		p.encoder.SetEscapeHTML(false)
		return p, nil
	}
	spool, err := os.CreateTemp("", "sallyport-replay-") // mode 0600
	if err != nil {
		return nil, err
	}
	p.spool = spool
	return p, os.Remove(spool.Name())
}

func (p *printer) close() {
	if p.spool != nil {
		_ = p.spool.Close() // nothing of it is kept
	}
}

func (p *printer) difference(d *replay.Difference) error {
	if p.encoder != nil {
		return p.encoder.Encode(d)
	}
	text := ""
	if d.Text != "" {
		text = "\n  " + shown(d.Text)
	}
	_, err := fmt.Fprintf(p.spool, "\n%s %s: %s %s, %s, database %s%s\n  was: %s\n  now: %s\n%s", d.Time.UTC().Format(time.RFC3339),
		strings.ReplaceAll(string(d.Change), "_", " "), d.Kind, shown(d.ID), shown(d.User), shown(d.Database), text, described(d.Old), described(d.New), meaning(d))
	return err
}

// meaning says what the names of a statement were taken for, then and now.
func meaning(d *replay.Difference) string {
	switch {
	case d.OtherMeaning:
		return "  names: as they are meant now, which is not what they meant then\n"
	case d.New.Resolved && d.Old.Resolved:
		return "  names: as they are meant now, and as far as the log shows as they were then\n"
	case d.New.Resolved:
		return "  names: as they are meant now; then they were taken as written\n"
	case d.Old.Resolved:
		return "  names: as written; then they were looked up\n"
	}
	return ""
}

// shown is one short line of what the log holds: clients chose it, and a terminal obeys control characters.
func shown(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && !unicode.IsSpace(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > maxShownText {
		return string(runes[:maxShownText-1]) + "…"
	}
	return string(runes)
}

func described(d replay.Decision) string {
	text := d.Decision
	if d.Role != "" {
		text += ", role " + shown(d.Role)
	}
	text += flagged(d.Route != "", ", route "+shown(d.Route)) + flagged(d.Observe, ", observe")
	for i, reason := range d.Reasons {
		text += map[bool]string{true: ": ", false: "; "}[i == 0] + shown(reason)
	}
	return text
}

func (p *printer) end(revision string, c replay.Counts) error {
	if p.encoder != nil {
		return p.encoder.Encode(struct {
			Revision string `json:"policy_revision"`
			replay.Counts
		}{revision, c})
	}
	var w strings.Builder
	fmt.Fprintf(&w, "%d lines by policy revision %s\n", c.Lines, revision)
	fmt.Fprintf(&w, "connections: %d same, %d newly allowed, %d newly denied, %d on other terms\n", c.Connections[replay.Same],
		c.Connections[replay.NewlyAllowed], c.Connections[replay.NewlyDenied], c.Connections[replay.OtherTerms])
	fmt.Fprintf(&w, "statements: %d same, %d newly allowed, %d newly denied\n", c.Statements[replay.Same],
		c.Statements[replay.NewlyAllowed], c.Statements[replay.NewlyDenied])
	if c.NotAdmitted > 0 {
		fmt.Fprintf(&w, "%d statements of connections that are not allowed\n", c.NotAdmitted)
	}
	if c.ByText > 0 {
		fmt.Fprintf(&w, "%d statements were judged by what their names mean, and are now by the names alone\n", c.ByText)
	}
	if c.ByCatalog > 0 {
		fmt.Fprintf(&w, "%d statements are judged by what their names mean now; %d of them meant something else then\n", c.ByCatalog, c.OtherMeaning)
	}
	for _, why := range slices.Sorted(maps.Keys(c.NotReplayed)) {
		fmt.Fprintf(&w, "%d cannot be replayed: %s\n", c.NotReplayed[why], why)
	}
	if c.Unreadable > 0 {
		fmt.Fprintf(&w, "%d lines are no events\n", c.Unreadable)
	}
	if _, err := io.WriteString(p.out, w.String()); err != nil {
		return err
	}
	if _, err := p.spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(p.out, p.spool)
	return err
}
