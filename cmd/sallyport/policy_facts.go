package main

import (
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/authz/statement"
)

// printFacts writes a sheet for people; --json has all of it.
func printFacts(w *strings.Builder, sheet *statement.Sheet) {
	w.WriteString("facts:")
	if !sheet.Complete {
		fmt.Fprintf(w, " incomplete: %s", strings.Join(sheet.Incomplete, "; "))
	}
	w.WriteString("\n")
	if len(sheet.Statements) == 0 {
		w.WriteString("  no statement\n")
	}
	for i := range sheet.Statements {
		s := &sheet.Statements[i]
		fmt.Fprintf(w, "  %d. %s (%s)\n", i+1, s.Command, s.Class)
		for _, f := range factsOf(s) {
			if f.text != "" {
				fmt.Fprintf(w, "     %s: %s\n", f.name, f.text)
			}
		}
	}
}

type fact struct{ name, text string }

func factsOf(s *statement.Statement) []fact {
	facts := []fact{{"commands", ""}}
	if len(s.Commands) > 1 {
		facts[0].text = strings.Join(s.Commands, ", ")
	}
	for _, r := range s.Relations {
		facts = append(facts, fact{"relation", describeRelation(r)})
	}
	facts = append(facts,
		fact{"functions", list(s.Functions, describeFunction)},
		fact{"attributes", strings.Join(s.Attributes, ", ")},
		fact{"operators", list(s.Operators, func(o statement.Object) string { return qualified(o.Schema, o.Name) })},
		fact{"types", list(s.Types, func(o statement.Object) string { return qualified(o.Schema, o.Name) })},
		fact{"settings", list(s.Settings, describeSetting)},
		fact{"channels", list(s.Channels, func(c statement.Channel) string { return c.Action + " " + c.Name })},
		fact{"roles", strings.Join(s.Roles, ", ")},
		fact{"without a WHERE", list(s.Unfiltered, nameOf)},
		fact{"opaque", strings.Join(s.Opaque, ", ")},
		fact{"unknown to the catalog", list(s.Unknown, nameOf)},
	)
	if s.Copy != nil {
		facts = append(facts, fact{"copy", s.Copy.Direction + " " + s.Copy.Endpoint})
	}
	if s.Explain != nil {
		facts = append(facts, fact{"explain", flagged(s.Explain.Analyze, "analyze")})
	}
	if s.Prepared != nil {
		facts = append(facts, fact{"names", strings.TrimSpace(s.Prepared.Action + " " + s.Prepared.Name)})
	}
	return facts
}

func describeRelation(r statement.Relation) string {
	text := qualified(r.Schema, r.Name) + " " + strings.Join(r.Access, ",")
	if len(r.Columns) > 0 {
		text += " (" + strings.Join(r.Columns, ", ") + ")"
	}
	if len(r.Written) > 0 {
		text += ", writes (" + strings.Join(r.Written, ", ") + ")"
	}
	if r.Kind != "" && r.Kind != "table" {
		text += ", " + r.Kind
	}
	if len(r.Through) > 0 {
		text += ", by way of " + list(r.Through, nameOf)
	}
	return text + flagged(r.AllUnsure, ", perhaps any column") + flagged(r.Temporary, ", temporary")
}

func describeFunction(f statement.Function) string {
	text := qualified(f.Schema, f.Name)
	if len(f.Through) > 0 {
		text += " by way of " + list(f.Through, nameOf)
	}
	return text
}

func describeSetting(s statement.Setting) string {
	if !s.Known {
		return s.Action + " " + s.Name + " to what the text does not show"
	}
	if s.Value == "" {
		return s.Action + " " + s.Name
	}
	return s.Action + " " + s.Name + " = " + s.Value
}

func nameOf(n statement.Name) string { return qualified(n.Schema, n.Name) }

func qualified(schema, name string) string {
	if schema == "" {
		return name
	}
	return schema + "." + name
}

func list[T any](items []T, describe func(T) string) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = describe(item)
	}
	return strings.Join(texts, ", ")
}
