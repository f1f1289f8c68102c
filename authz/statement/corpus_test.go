package statement

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the facts in testdata/*.txtar; review the difference")

const factsMark = "----\n"

// TestCorpus holds the facts of every statement in testdata/*.txtar to what was reviewed. A file is a statement, a line of dashes and its
// facts in the form that describe gives them; what is not listed is empty.
func TestCorpus(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	cases := 0
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, file := range archive.Files {
			cases++
			text, want, ok := strings.Cut(string(file.Data), factsMark)
			text = strings.TrimSuffix(text, "\n")
			got := facts1(text)
			archive.Files[i].Data = []byte(text + "\n" + factsMark + got)
			if *update {
				continue
			}
			t.Run(filepath.Base(path)+"/"+file.Name, func(t *testing.T) {
				if diff := cmp.Diff(want, got); !ok || diff != "" {
					t.Errorf("%s\n(-want +got)\n%s", text, diff)
				}
			})
		}
		if *update {
			if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cases < 150 {
		t.Errorf("the corpus has %d statements", cases)
	}
}

// facts1 analyses a text in this process and describes the outcome.
func facts1(text string) string {
	if err := (Limits{}).Check(text); err != nil {
		var limit *LimitError
		errors.As(err, &limit)
		return fmt.Sprintf("limit %s %s\n", limit.SQLSTATE, limit.Message)
	}
	sheet, _, err := parse(text)
	var syntax *SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("error %d %s\n", syntax.Position, syntax.Message)
	case err != nil:
		return fmt.Sprintf("error %v\n", err)
	}
	return describe(sheet)
}

// describe writes a sheet a fact a line.
func describe(sheet *Sheet) string {
	var b strings.Builder
	for _, reason := range sheet.Incomplete {
		fmt.Fprintf(&b, "incomplete %s\n", reason)
	}
	for _, s := range sheet.Statements {
		fmt.Fprintf(&b, "%s [%s]\n", strings.Join(append([]string{s.Command}, without(s.Commands, s.Command)...), ", "), s.Class)
		for _, r := range s.Relations {
			fmt.Fprintf(&b, "  relation %s\n", describeRelation(r))
		}
		for _, f := range s.Functions {
			fmt.Fprintf(&b, "  function %s%s\n", written(Name{Schema: f.Schema, Name: f.Name}), describeConstants(f.Constants))
		}
		for _, setting := range s.Settings {
			fmt.Fprintf(&b, "  setting %s %s %q known=%t\n", setting.Action, setting.Name, setting.Value, setting.Known)
		}
		for _, c := range s.Channels {
			fmt.Fprintf(&b, "  channel %s %s\n", c.Action, c.Name)
		}
		describeObjects(&b, "operator", s.Operators)
		describeObjects(&b, "type", s.Types)
		describeList(&b, "unfiltered", s.Unfiltered)
		describeWords(&b, "attribute", s.Attributes)
		describeWords(&b, "role", s.Roles)
		describeWords(&b, "opaque", s.Opaque)
		describeRest(&b, s)
	}
	return b.String()
}

func describeRest(b *strings.Builder, s Statement) {
	if s.Copy != nil {
		fmt.Fprintf(b, "  copy %s %s\n", s.Copy.Direction, s.Copy.Endpoint)
	}
	if p := s.Prepared; p != nil {
		fmt.Fprintf(b, "  prepared %s %q hold=%t", p.Action, p.Name, p.Hold)
		for _, use := range p.Uses {
			fmt.Fprintf(b, " uses %s %q", use.Kind, use.Name)
		}
		b.WriteString("\n")
	}
	if s.Explain != nil {
		fmt.Fprintf(b, "  explain analyze=%t\n", s.Explain.Analyze)
	}
}

func describeRelation(r Relation) string {
	text := written(Name{Schema: r.Schema, Name: r.Name}) + " " + strings.Join(r.Access, ",")
	if len(r.Columns) > 0 {
		text += " (" + strings.Join(r.Columns, ", ") + ")"
	}
	if len(r.Written) > 0 {
		text += " written (" + strings.Join(r.Written, ", ") + ")"
	}
	if r.AllUnsure {
		text += " unsure"
	}
	if r.Temporary {
		text += " temporary"
	}
	return text
}

func describeConstants(constants []string) string {
	if constants == nil {
		return ""
	}
	return fmt.Sprintf("(%q)", constants)
}

func describeList(b *strings.Builder, what string, names []Name) {
	for _, name := range names {
		fmt.Fprintf(b, "  %s %s\n", what, written(name))
	}
}

func describeObjects(b *strings.Builder, what string, objects []Object) {
	for _, o := range objects {
		fmt.Fprintf(b, "  %s %s\n", what, written(Name{Schema: o.Schema, Name: o.Name}))
	}
}

func describeWords(b *strings.Builder, what string, words []string) {
	for _, word := range words {
		fmt.Fprintf(b, "  %s %s\n", what, word)
	}
}

func written(n Name) string {
	if n.Schema == "" {
		return n.Name
	}
	return n.Schema + "." + n.Name
}

func without(list []string, word string) []string {
	var rest []string
	for _, w := range list {
		if w != word {
			rest = append(rest, w)
		}
	}
	return rest
}
