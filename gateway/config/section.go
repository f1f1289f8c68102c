package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// document reads one file and gathers what is wrong with it.
type document struct {
	file     string
	dir      string // relative paths are relative to it
	environ  map[string]string
	lines    map[string]int // of every key that was read, by path
	problems Problems
}

func (d *document) problem(line int, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Path: path, Message: fmt.Sprintf(format, args...)})
}

// section is a mapping of the file. Its methods read one key each, by its name, and gather problems instead of returning errors: what
// they return for a key that is wrong is good enough to go on and find the next problem.
type section struct {
	d     *document
	path  string
	line  int
	nodes map[string]*yaml.Node
	known map[string]bool

	broken bool // it is there but no mapping, which was reported: nothing is missing from it
}

// value is a key's node, and where it is.
type value struct {
	d    *document
	node *yaml.Node
	path string
}

func (v value) problem(format string, args ...any) { v.d.problem(v.node.Line, v.path, format, args...) }

// mapping makes a section of a node. A nil node is an empty section.
func (d *document) mapping(node *yaml.Node, path string, line int) *section {
	s := &section{d: d, path: path, line: line, nodes: make(map[string]*yaml.Node), known: make(map[string]bool)}
	if node == nil {
		return s
	}
	if node = resolve(node); node.Kind != yaml.MappingNode {
		d.problem(node.Line, path, "must be a mapping of keys to values, not %s", describe(node))
		s.broken = true
		return s
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		switch first, twice := s.nodes[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			d.problem(key.Line, path, "a key must be a word, not %s", describe(key))
		case twice:
			d.problem(key.Line, s.pathOf(key.Value), "is already set in line %d: remove one of them", first.Line)
		default:
			s.nodes[key.Value] = node.Content[i+1]
		}
	}
	return s
}

// resolve follows an alias to its anchor.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!str":
		return strconv.Quote(node.Value)
	}
	return node.Value
}

func (s *section) pathOf(key string) string {
	if s.path == "" {
		return key
	}
	return s.path + "." + key
}

// lookup returns a key's value. ok is false when the key is not there, or has no value.
func (s *section) lookup(key string) (v value, ok bool) {
	s.known[key] = true
	node, ok := s.nodes[key]
	if !ok {
		return value{}, false
	}
	v = value{s.d, resolve(node), s.pathOf(key)}
	s.d.lines[v.path] = node.Line
	if v.node.ShortTag() == "!!null" {
		v.problem("has no value: give it one or remove the key")
		return value{}, false
	}
	return v, true
}

// has says whether a key is there, with or without a value.
func (s *section) has(key string) bool {
	_, there := s.nodes[key]
	return there
}

// missing reports a key that must be there.
func (s *section) missing(key, what string) {
	if _, there := s.nodes[key]; !there && !s.broken {
		s.d.problem(s.line, s.pathOf(key), "is missing: set %s", what)
	}
}

// done reports the keys that nobody asked for.
func (s *section) done() {
	for _, key := range slices.Sorted(maps.Keys(s.nodes)) {
		if !s.known[key] {
			names := slices.Sorted(maps.Keys(s.known))
			s.d.problem(s.nodes[key].Line, s.pathOf(key), "is not a key that exists here: these are %s", strings.Join(names, ", "))
		}
	}
}

// section reads a mapping; it is empty when it is not there.
func (s *section) section(key string) *section {
	v, ok := s.lookup(key)
	if !ok {
		empty := s.d.mapping(nil, s.pathOf(key), s.line)
		_, empty.broken = s.nodes[key]
		empty.broken = empty.broken || s.broken
		return empty
	}
	return s.d.mapping(v.node, v.path, v.node.Line)
}

// sections reads a mapping of names to mappings, in the order of the file.
func (s *section) sections(key string) (names []string, all map[string]*section) {
	outer := s.section(key)
	all = make(map[string]*section)
	for name, node := range outer.nodes {
		outer.known[name] = true
		s.d.lines[outer.pathOf(name)] = node.Line
		all[name] = s.d.mapping(node, outer.pathOf(name), node.Line)
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(all[a].line-all[b].line, cmp.Compare(a, b)) })
	return names, all
}

// items reads a list.
func (s *section) items(key string) []value {
	v, ok := s.lookup(key)
	if !ok {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		v.problem("must be a list, not %s: write [a, b]", describe(v.node))
		return nil
	}
	items := make([]value, len(v.node.Content))
	for i, node := range v.node.Content {
		items[i] = value{v.d, resolve(node), fmt.Sprintf("%s[%d]", v.path, i+1)}
		v.d.lines[items[i].path] = node.Line
	}
	return items
}

// text reads a word or sentence.
func (v value) text() string {
	switch {
	case v.node.Kind != yaml.ScalarNode:
		v.problem("must be text, not %s", describe(v.node))
	case v.node.ShortTag() != "!!str":
		v.problem("must be text: write it in quotes, %q", v.node.Value)
	default:
		return v.node.Value
	}
	return ""
}

func (s *section) text(key, otherwise string) string {
	if v, ok := s.lookup(key); ok {
		return v.text()
	}
	return otherwise
}

// required is text that must be there and not be empty. what finishes the sentence "set …".
func (s *section) required(key, what string) string {
	v, ok := s.lookup(key)
	if !ok {
		s.missing(key, what)
		return ""
	}
	text := v.text()
	if text == "" && v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!str" {
		v.problem("is empty: set %s", what)
	}
	return text
}

func (s *section) texts(key string) []string {
	var texts []string
	for _, item := range s.items(key) {
		texts = append(texts, item.text())
	}
	return texts
}

// oneOf reads a word from a list of them.
func (s *section) oneOf(key, otherwise string, words ...string) string {
	v, ok := s.lookup(key)
	if !ok {
		return otherwise
	}
	if word := v.text(); slices.Contains(words, word) || word == "" && v.node.ShortTag() != "!!str" {
		return word
	}
	v.problem("is %s: must be one of %s", describe(v.node), strings.Join(words, ", "))
	return otherwise
}

func (s *section) boolean(key string) bool {
	v, ok := s.lookup(key)
	if !ok {
		return false
	}
	if v.node.ShortTag() != "!!bool" {
		v.problem("must be true or false, not %s", describe(v.node))
	}
	return v.node.Value == "true"
}

// number reads an integer of low to high.
func (s *section) number(key string, otherwise, low, high int) int {
	v, ok := s.lookup(key)
	if !ok {
		return otherwise
	}
	if v.node.ShortTag() != "!!int" {
		v.problem("must be a whole number without quotes, not %s", describe(v.node))
		return otherwise
	}
	var n int
	if err := v.node.Decode(&n); err != nil || n < low || n > high {
		v.problem("is %s: must be %d to %d", v.node.Value, low, high)
		return otherwise
	}
	return n
}

// duration reads a Go duration (15s, 1h30m) of low to high.
func (s *section) duration(key string, otherwise, low, high time.Duration) time.Duration {
	v, ok := s.lookup(key)
	if !ok {
		return otherwise
	}
	d, err := time.ParseDuration(v.node.Value)
	switch {
	case v.node.Kind != yaml.ScalarNode || err != nil:
		v.problem("must be a duration like 15s, 2m30s or 12h, not %s", describe(v.node))
	case d < low || d > high:
		v.problem("is %s: must be %s to %s", v.node.Value, low, high)
	default:
		return d
	}
	return otherwise
}

// path reads the path of a file or directory. The environment variable, if there is one and it is set, comes first: it exists for
// secrets that an orchestrator puts elsewhere.
func (s *section) file(key, variable string) string {
	path := s.text(key, "")
	if from := s.d.environ[variable]; variable != "" && from != "" {
		path = from
	}
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(s.d.dir, path)
}

// requiredFile is a file that must be named.
func (s *section) requiredFile(key, variable, what string) string {
	path := s.file(key, variable)
	if path != "" {
		return path
	}
	if v, ok := s.lookup(key); !ok {
		s.missing(key, what)
	} else if v.node.ShortTag() == "!!str" {
		v.problem("is empty: set %s", what)
	}
	return ""
}
