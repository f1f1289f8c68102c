package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
)

// answer is what "policy explain" found out.
type answer struct {
	Revision   string           `json:"policy_revision"`
	Connect    connectAnswer    `json:"connect"`
	Facts      *statement.Sheet `json:"facts,omitempty"`
	Catalog    *catalogAnswer   `json:"catalog,omitempty"`    // by which the facts' names were looked up; none: they are as written
	Unreadable *unreadable      `json:"unreadable,omitempty"` // instead of facts: denied whatever the policy is
	Statement  *statementAnswer `json:"statement,omitempty"`  // none without facts, or without a connection
}

type catalogAnswer struct {
	Database      string    `json:"database"`
	ReadAt        time.Time `json:"read_at"`
	ServerVersion int       `json:"server_version_num"`
}

// line says by what the names of the facts were looked up.
func (c *catalogAnswer) line() string {
	if c == nil {
		return "names: as written, no catalog was asked\n"
	}
	return fmt.Sprintf("names: looked up in the catalog of database %s (PostgreSQL %d), read at %s\n", c.Database, c.ServerVersion/10000, c.ReadAt.Format(time.RFC3339))
}

type connectAnswer struct {
	decided
	Role     string `json:"role,omitempty"`
	Route    string `json:"route,omitempty"`
	Observe  bool   `json:"observe,omitempty"`
	ReadOnly bool   `json:"read_only,omitempty"`
}

type statementAnswer struct {
	decided
	// Observed: the policy denies it, and it runs because the session observes.
	Observed bool `json:"observed,omitempty"`
}

type unreadable struct {
	SQLSTATE string `json:"sqlstate"`
	Message  string `json:"message"`
	Position int    `json:"position,omitempty"`
}

// decided is a decision and its rules.
type decided struct {
	Allow bool `json:"allow"`
	*authz.Explanation
}

func verdictOf(allow bool, why *authz.Explanation) decided { return decided{allow, why} }

func (a *answer) allowed() bool {
	return a.Connect.Allow && a.Statement != nil && (a.Statement.Allow || a.Statement.Observed)
}

// print writes the answer for people.
func (a *answer) print(out io.Writer) error {
	var w strings.Builder
	terms := ""
	if a.Connect.Allow {
		terms = ", role " + a.Connect.Role + flagged(a.Connect.Route != "", ", route "+a.Connect.Route)
	}
	terms += flagged(a.Connect.Observe, ", observe") + flagged(a.Connect.ReadOnly, ", read_only")
	a.Connect.print(&w, "connect", terms)
	if a.Facts != nil {
		w.WriteString(a.Catalog.line())
		printFacts(&w, a.Facts)
	}
	switch {
	case a.Unreadable != nil:
		fmt.Fprintf(&w, "statement: deny, by the gateway and not by policy\n  %s: %s\n", a.Unreadable.SQLSTATE, a.Unreadable.Message)
	case a.Statement == nil:
		w.WriteString("statement: not asked, for there would be no session\n")
	default:
		a.Statement.print(&w, "statement", flagged(a.Statement.Observed, ", and it runs, for the session observes"))
		for _, name := range usedNames(a.Facts) {
			fmt.Fprintf(&w, "  and a gateway judges what %q holds, which is not known here\n", name)
		}
	}
	fmt.Fprintf(&w, "policy revision %s\n", a.Revision)
	_, err := io.WriteString(out, w.String())
	return err
}

func (d *decided) print(w *strings.Builder, what, more string) {
	fmt.Fprintf(w, "%s: %s%s\n", what, map[bool]string{true: "allow", false: "deny"}[d.Allow], more)
	for _, reason := range d.Reasons {
		fmt.Fprintf(w, "  %s\n    %s", reason.Text, strings.Join(reason.Rules, ", "))
		if len(reason.Through) > 0 {
			fmt.Fprintf(w, " through %s", strings.Join(reason.Through, ", "))
		}
		w.WriteString("\n")
	}
	fmt.Fprintf(w, "  decided by %s\n", d.Decided)
	if d.Allow && len(d.Asked) > 0 {
		w.WriteString("  asked, and not against it:\n")
		for _, line := range byFile(d.Asked) {
			fmt.Fprintf(w, "    %s\n", line)
		}
	}
}

// byFile puts the lines of each file into one.
func byFile(places []string) []string {
	var lines []string
	last := ""
	for _, place := range places {
		i := strings.LastIndexByte(place, ':')
		if file := place[:i]; file != last || len(lines) == 0 {
			lines, last = append(lines, place), file
			continue
		}
		lines[len(lines)-1] += ", " + place[i+1:]
	}
	return lines
}

// usedNames are the prepared statements and cursors that a text runs, and that it has not made itself.
func usedNames(sheet *statement.Sheet) []string {
	made := make(map[string]bool)
	var names []string
	for _, s := range sheet.Statements {
		p := s.Prepared
		if p == nil {
			continue
		}
		uses := p.Uses
		switch p.Action {
		case "execute", "fetch", "move", "current_of":
			uses = append([]statement.Use{{Name: p.Name}}, uses...)
		case "prepare", "declare":
			made[p.Name] = true
		}
		for _, use := range uses {
			if !made[use.Name] {
				names = append(names, use.Name)
			}
		}
	}
	return names
}

func flagged(is bool, text string) string {
	if is {
		return text
	}
	return ""
}
