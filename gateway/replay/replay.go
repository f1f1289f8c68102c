package replay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// Analyzer turns a text into facts: *statement.Pool.
type Analyzer interface {
	Analyze(ctx context.Context, text string) (*statement.Sheet, error)
}

// Config says by what to decide.
type Config struct {
	Policy   *authz.Engine
	Analyzer Analyzer
	// Judged makes of a text's facts what a gateway asks policy about; moved says that its names may have moved before it.
	Judged func(sheet *statement.Sheet, moved bool) *statement.Sheet
	// Resolve makes of a text's facts those of what its names mean now, for a session of a database, or of a route of it, that searches the schemas of path. nil: names are taken as
	// they are written. Its error ends the replay.
	Resolve func(ctx context.Context, database, route string, sheet *statement.Sheet, path []string) (*statement.Sheet, error)
	// Relations are those of a sheet as the audit log lists them. It is asked only about sheets that Resolve gave names their meaning in.
	Relations func(sheet *statement.Sheet) []string
	// SearchPath is what sessions of a database have, for logs that do not say it. nil: nobody knows.
	SearchPath func(database string) []string
	// Report is told each difference as it is found; its error ends the replay.
	Report func(*Difference) error
}

// Difference is one decision that is another one now.
type Difference struct {
	Time     time.Time `json:"time"`
	Kind     string    `json:"kind"`   // connect, statement
	Change   Change    `json:"change"` // what became of it
	ID       string    `json:"id"`     // of the session, or of the statement
	User     string    `json:"user"`
	Database string    `json:"database"`
	Text     string    `json:"text,omitempty"`
	Old      Decision  `json:"old"`
	New      Decision  `json:"new"`
	// OtherMeaning says that both decisions of a statement rest on what names mean, and that these lead to other relations, or to other uses of
	// them, than they did.
	OtherMeaning bool `json:"other_meaning,omitempty"`
}

// Decision is what a policy said.
type Decision struct {
	Decision string   `json:"decision"` // allow, deny; observe: the policy denied it, and it was let through
	Reasons  []string `json:"reasons"`
	Role     string   `json:"role,omitempty"`    // of a connection
	Route    string   `json:"route,omitempty"`   // of a connection
	Observe  bool     `json:"observe,omitempty"` // of a connection
	// Resolved says that a decision about a statement rests on what names meant when it was made, and not on the text alone.
	Resolved bool `json:"resolved,omitempty"`
}

// Change says how two decisions differ.
type Change string

// The changes.
const (
	Same         Change = "same"
	NewlyAllowed Change = "newly_allowed"
	NewlyDenied  Change = "newly_denied"
	OtherTerms   Change = "other_terms" // a connection with another role, route or observe
)

// Counts is how many of each there were.
type Counts struct {
	Lines       int            `json:"lines"`
	Connections map[Change]int `json:"connections"`
	Statements  map[Change]int `json:"statements"`
	// NotAdmitted are statements of sessions that are not let in any more. None of them is a difference of its own.
	NotAdmitted int `json:"statements_not_admitted"`
	// ByText are statements whose names were looked up in a catalog then, and are taken as written now.
	ByText int `json:"statements_by_text_alone"`
	// ByCatalog are statements whose names were looked up in the catalog of now, and OtherMeaning those of them whose names meant something else
	// then.
	ByCatalog    int `json:"statements_by_catalog_of_now"`
	OtherMeaning int `json:"statements_of_other_meaning"`
	// NotReplayed are decisions that cannot be made again, by the reason why.
	NotReplayed map[string]int `json:"not_replayed"`
	Unreadable  int            `json:"unreadable_lines"`
}

// Why a decision cannot be made again.
const (
	noStart      = "the beginning of its session is not in the log"
	noSearchPath = "the log does not say the session's search_path, and no configuration does"
	cutGroups    = "the log does not hold all groups"
	noText       = "it has no text"
	textBefore   = "its text is in a part of the log that was not read"
	cutText      = "its text was cut"
	redactedText = "a password was taken out of its text"
	byGateway    = "the gateway denied it by itself"
	byName       = "it runs a prepared statement or cursor by its name"
	unreadable   = "its text cannot be read"
)

// Replay goes through logs. It is not safe for concurrent use.
type Replay struct {
	cfg      Config
	sessions map[string]*session // that have not ended
	texts    *audit.Texts
	counts   Counts
}

// New begins a replay.
func New(cfg Config) *Replay {
	return &Replay{cfg: cfg, sessions: make(map[string]*session), texts: new(audit.Texts), counts: Counts{
		Connections: make(map[Change]int), Statements: make(map[Change]int), NotReplayed: make(map[string]int),
	}}
}

// Counts is what there was until now.
func (r *Replay) Counts() Counts { return r.counts }

// Read goes through one log. Sessions go on into the next: read the oldest first.
func (r *Replay) Read(ctx context.Context, log io.Reader) error {
	in := lines{reader: bufio.NewReaderSize(log, 64<<10)}
	var e event
	for {
		line, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errLong):
			r.counts.Lines++
			r.counts.Unreadable++
			continue
		case err != nil:
			return fmt.Errorf("read audit log: %w", err)
		}
		if err := proof.Readable(line); err != nil {
			return fmt.Errorf("read audit log: %w", err)
		}
		r.counts.Lines++
		if !parse(line, &e) {
			r.counts.Unreadable++
			continue
		}
		if err := r.event(ctx, &e); err != nil {
			return err
		}
	}
}

func (r *Replay) event(ctx context.Context, e *event) error {
	switch e.Type {
	case "session_start":
		r.sessions[e.Session] = newSession(e)
	case "connect":
		return r.connect(ctx, e)
	case "grant_change":
		if s := r.sessions[e.Session]; s != nil && s.trial != nil && e.Groups != nil {
			s.regrouped(ctx, r.cfg, e)
		}
	case "statement":
		return r.statement(ctx, e)
	case "session_end":
		delete(r.sessions, e.Session)
	}
	return nil
}

func (r *Replay) skip(why string) error {
	r.counts.NotReplayed[why]++
	return nil
}

// connect decides about a connection again.
func (r *Replay) connect(ctx context.Context, e *event) error {
	s := r.sessions[e.Session]
	if s == nil {
		return r.skip(noStart)
	}
	if isCut(e.Groups) {
		s.lacks = cutGroups
		return r.skip(cutGroups)
	}
	s.connected(r.cfg, e)
	d := &Difference{
		Time: e.Time, Kind: "connect", ID: e.Session, User: e.User, Database: s.input.Session.Database,
		Old: Decision{Decision: word(e.Allow), Reasons: e.Reasons, Role: e.Role, Route: e.Route, Observe: e.Observe},
	}
	now, err := s.trial.Connect(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		d.New = failed(err)
	} else {
		d.New = Decision{Decision: word(now.Allow), Reasons: now.Reasons, Role: now.Role, Route: now.Route, Observe: now.Observe}
		s.admitted, s.route, s.observe = now.Allow, now.Route, now.Observe
	}
	d.Change = changeOf(&d.Old, &d.New)
	if d.Change == Same && e.Allow && (d.Old.Role != d.New.Role || d.Old.Route != d.New.Route || d.Old.Observe != d.New.Observe) {
		d.Change = OtherTerms
	}
	r.counts.Connections[d.Change]++
	return r.report(d)
}

// statement decides about a statement again.
func (r *Replay) statement(ctx context.Context, e *event) error {
	s := r.sessions[e.Session]
	text, there := r.text(e)
	switch {
	case s == nil || s.trial == nil && s.lacks == "":
		return r.skip(noStart)
	case s.lacks != "":
		return r.skip(s.lacks)
	case e.Digest == "":
		return r.skip(noText)
	case !there:
		return r.skip(textBefore)
	case e.Truncated:
		return r.skip(cutText)
	case e.Redacted:
		return r.skip(redactedText)
	case e.Decision == "deny" && e.SQLSTATE != policyDenial:
		return r.skip(byGateway)
	case !s.admitted:
		r.counts.NotAdmitted++
		return nil
	}
	sheet, err := r.cfg.Analyzer.Analyze(ctx, text)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return r.skip(unreadable)
	}
	if runsByName(sheet) {
		return r.skip(byName)
	}
	moved := e.Incomplete && sheet.Complete && !e.Resolved
	if sheet, err = r.resolved(ctx, e, s, sheet, moved); err != nil {
		return err
	}
	otherMeaning := sheet.Resolved && e.otherMeaning(r.cfg.Relations(sheet))
	if !s.observe {
		sheet = r.cfg.Judged(sheet, moved)
	}
	d := &Difference{
		Time: e.Time, Kind: "statement", ID: e.ID, User: e.User, Database: e.Database, Text: text, OtherMeaning: otherMeaning,
		Old: Decision{Decision: e.Decision, Reasons: e.Reasons, Resolved: e.Resolved}, New: s.decide(ctx, r.cfg.Policy, e.Time, sheet),
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.New.Resolved = sheet.Resolved
	d.Change = changeOf(&d.Old, &d.New)
	r.countStatement(d)
	return r.report(d)
}

// resolved gives names their meaning of now, as a gateway would: not where they may have moved.
func (r *Replay) resolved(ctx context.Context, e *event, s *session, sheet *statement.Sheet, moved bool) (*statement.Sheet, error) {
	if r.cfg.Resolve == nil || moved {
		return sheet, nil
	}
	return r.cfg.Resolve(ctx, e.Database, s.route, sheet, s.searchPath)
}

func (r *Replay) countStatement(d *Difference) {
	r.counts.Statements[d.Change]++
	switch {
	case d.New.Resolved:
		r.counts.ByCatalog++
	case d.Old.Resolved:
		r.counts.ByText++
	}
	if d.OtherMeaning {
		r.counts.OtherMeaning++
	}
}

// text is that of a statement: in its line, or in one before.
func (r *Replay) text(e *event) (text string, there bool) {
	if e.Text == nil {
		return r.texts.Find(e.Digest)
	}
	r.texts.Note(e.Digest, *e.Text)
	return *e.Text, true
}

// policyDenial is the SQLSTATE of what policy denies.
const policyDenial = "42501"

func (r *Replay) report(d *Difference) error {
	if d.Change == Same {
		return nil
	}
	return r.cfg.Report(d)
}

// changeOf compares what two policies said. What was observed was denied by the first.
func changeOf(before, now *Decision) Change {
	switch was, is := before.Decision == "allow", now.Decision == "allow"; {
	case was == is:
		return Same
	case is:
		return NewlyAllowed
	}
	return NewlyDenied
}

func word(allow bool) string {
	if allow {
		return "allow"
	}
	return "deny"
}

// failed is the decision of a policy that has none: a gateway denies then.
func failed(err error) Decision {
	return Decision{Decision: "deny", Reasons: []string{"the policy has no answer: " + err.Error()}}
}

// runsByName says whether a text runs what only its session knows: a prepared statement or cursor that it has not made itself.
func runsByName(sheet *statement.Sheet) bool {
	var made []string
	for i := range sheet.Statements {
		p := sheet.Statements[i].Prepared
		if p == nil {
			continue
		}
		uses := p.Uses
		switch p.Action {
		case "execute", "fetch", "move", "current_of":
			uses = append(slices.Clone(uses), statement.Use{Name: p.Name})
		case "prepare", "declare":
			made = append(made, p.Name)
		}
		if slices.ContainsFunc(uses, func(u statement.Use) bool { return !slices.Contains(made, u.Name) }) {
			return true
		}
	}
	return false
}
