package authz

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"go.yaml.in/yaml/v3"
)

// Problem is one thing that is wrong with a policy.
type Problem struct {
	File    string // the path of a file, or of the directory
	Line    int    // 0: the file as a whole
	Message string // one line
}

// Error is "file:line: message".
func (p Problem) Error() string { return p.Place() + ": " + p.Message }

// Place is "file:line".
func (p Problem) Place() string {
	if p.Line > 0 {
		return p.File + ":" + strconv.Itoa(p.Line)
	}
	return p.File
}

// Problems is everything that is wrong with a policy, in the order of the files.
type Problems []Problem

// Error has one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted orders the problems, and says none of them twice.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(ps)
}

// problemsOf finds the places in an error of a policy in directory.
func problemsOf(directory string, err error) Problems {
	var problems Problems
	if errors.As(err, &problems) {
		return problems
	}
	var compiled ast.Errors
	if errors.As(err, &compiled) {
		for _, one := range compiled {
			message := one.Code + ": " + one.Message
			if one.Details != nil {
				message += ": " + strings.Join(one.Details.Lines(), " ")
			}
			problems = append(problems, problemAt(directory, one.Location, message))
		}
		return problems
	}
	var evaluated *topdown.Error
	if errors.As(err, &evaluated) {
		return Problems{problemAt(directory, evaluated.Location, evaluated.Message)}
	}
	return Problems{problemAt(directory, nil, err.Error())}
}

// problemAt is a problem at a location, which may be nil. Modules go by their base names.
func problemAt(directory string, location *ast.Location, message string) Problem {
	p := Problem{File: directory, Message: strings.Join(strings.Fields(message), " ")}
	if location.HasFile() {
		p.File, p.Line = filepath.Join(directory, location.File), location.Row
	}
	return p
}

// dataError is an error at a path of a data file.
type dataError struct {
	path []string
	err  error
}

func (e *dataError) Error() string { return strings.Join(e.path, ".") + ": " + e.err.Error() }
func (e *dataError) Unwrap() error { return e.err }

// yamlLine finds the line in yaml's own errors.
var yamlLine = regexp.MustCompile(`line (\d+): `)

// dataProblem says where in a data file an error is.
func dataProblem(path string, content []byte, err error) Problem {
	p := Problem{File: path, Message: strings.Join(strings.Fields(err.Error()), " ")}
	var at *dataError
	var root yaml.Node
	if errors.As(err, &at) && yaml.Unmarshal(content, &root) == nil {
		p.Line = lineOf(&root, at.path)
	} else if match := yamlLine.FindStringSubmatch(err.Error()); match != nil {
		p.Line, _ = strconv.Atoi(match[1])
	}
	return p
}

// lineOf is the line of the key or item at a path, or of the last of its parents that is there.
func lineOf(node *yaml.Node, path []string) int {
	line := node.Line
	for len(path) > 0 {
		value := child(node, path[0])
		if value.key == nil {
			break
		}
		node, line, path = value.value, value.key.Line, path[1:]
	}
	return line
}

// entry is a key and its value; for an item of a list both are the item.
type entry struct{ key, value *yaml.Node }

func child(node *yaml.Node, name string) entry {
	for i, e := range entries(node) {
		if e.key.Value == name && e.key != e.value || e.key == e.value && strconv.Itoa(i) == name {
			return e
		}
	}
	return entry{}
}

// entries lists what a mapping or list holds.
func entries(node *yaml.Node) []entry {
	switch node.Kind {
	case yaml.DocumentNode:
		return entries(node.Content[0])
	case yaml.AliasNode:
		return entries(node.Alias)
	case yaml.SequenceNode:
		items := make([]entry, len(node.Content))
		for i, item := range node.Content {
			items[i] = entry{item, item}
		}
		return items
	case yaml.MappingNode:
		pairs := make([]entry, 0, len(node.Content)/2)
		for i := 0; i+1 < len(node.Content); i += 2 {
			pairs = append(pairs, entry{node.Content[i], node.Content[i+1]})
		}
		return pairs
	}
	return nil
}

// noRule is the error of a policy that lacks a decision.
func noRule(query string) error { return fmt.Errorf("no rule defines %s", query) }
