package catalog

import (
	"flag"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/authz/statement"
)

var update = flag.Bool("update", false, "rewrite testdata/resolve.txtar; review the difference")

const mark = "----\n"

// describeFacts writes the facts that resolving changes, one a line.
func describeFacts(sheet *statement.Sheet) string {
	var b strings.Builder
	for _, reason := range sheet.Incomplete {
		fmt.Fprintf(&b, "incomplete %s\n", reason)
	}
	for _, s := range sheet.Statements {
		fmt.Fprintln(&b, s.Command)
		for i := range s.Relations {
			fmt.Fprintf(&b, "  relation %s\n", describeUse(&s.Relations[i]))
		}
		for i := range s.Functions {
			fmt.Fprintf(&b, "  function %s\n", describeCall(&s.Functions[i]))
		}
		for _, o := range s.Operators {
			fmt.Fprintf(&b, "  operator %s %s\n", qualified(o.Schema, o.Name), o.Extension)
		}
		for _, o := range s.Types {
			fmt.Fprintf(&b, "  type %s %s\n", qualified(o.Schema, o.Name), o.Extension)
		}
		for _, name := range s.Attributes {
			fmt.Fprintf(&b, "  attribute %s\n", name)
		}
		for _, name := range s.Unfiltered {
			fmt.Fprintf(&b, "  unfiltered %s\n", qualified(name.Schema, name.Name))
		}
		for _, word := range s.Opaque {
			fmt.Fprintf(&b, "  opaque %s\n", word)
		}
		for _, name := range s.Unknown {
			fmt.Fprintf(&b, "  unknown %s\n", qualified(name.Schema, name.Name))
		}
	}
	return b.String()
}

func describeUse(r *statement.Relation) string {
	text := qualified(r.Schema, r.Name) + " " + strings.Join(r.Access, ",")
	for _, part := range []struct {
		word string
		list []string
	}{{"", r.Columns}, {"written ", r.Written}, {"through ", list(r.Through)}, {"part of ", list(r.Ancestors)}, {"parts ", list(r.Descendants)}} {
		if len(part.list) > 0 {
			text += " " + part.word + "(" + strings.Join(part.list, ", ") + ")"
		}
	}
	if r.Kind != "" && r.Kind != "table" {
		text += " " + r.Kind
	}
	for word, is := range map[string]bool{" not found": r.Kind == "", " unsure": r.AllUnsure} {
		if is {
			text += word
		}
	}
	if r.Rules {
		text += " rules"
	}
	return text
}

func describeCall(f *statement.Function) string {
	text := qualified(f.Schema, f.Name)
	if f.Language != "" {
		text += " " + f.Language + " " + f.Volatility
	}
	if f.SecurityDefiner {
		text += " definer"
	}
	if f.Extension != "" {
		text += " of " + f.Extension
	}
	if len(f.Through) > 0 {
		text += " through (" + strings.Join(list(f.Through), ", ") + ")"
	}
	return text
}

func list(names []statement.Name) []string {
	var all []string
	for _, n := range names {
		all = append(all, qualified(n.Schema, n.Name))
	}
	return all
}

func qualified(schema, name string) string {
	if schema == "" {
		return name
	}
	return schema + "." + name
}
