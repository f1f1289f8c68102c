package catalog

import (
	"fmt"
	"strconv"
	"strings"
)

// tree is a node as PostgreSQL writes it for debug_print_parse (src/backend/nodes/outfuncs.c): {TAG :field value …}. A value is a word, a
// list in parentheses, or a node.
type tree struct {
	tag    string
	fields map[string]any
}

// treeReader reads words, and knows nothing of what they mean.
type treeReader struct {
	text string
	at   int
}

// readTrees reads one node, or a list of them.
func readTrees(text string) (value any, err error) {
	defer func() {
		if broken, ok := recover().(brokenTree); ok {
			err = broken
		}
	}()
	r := &treeReader{text: text}
	return r.value(r.word()), nil
}

type brokenTree struct{ where string }

func (b brokenTree) Error() string { return "not a tree: " + b.where }

// word returns the next one, "" at the end. The server breaks long lines, at spaces where it can.
func (r *treeReader) word() string {
	for r.at < len(r.text) && strings.IndexByte(" \n\t", r.text[r.at]) >= 0 {
		r.at++
	}
	start := r.at
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '\\':
			r.at++
		case strings.IndexByte(" \n\t", c) >= 0:
			return r.text[start:r.at]
		case strings.IndexByte("(){}", c) >= 0:
			if r.at == start {
				r.at++
			}
			return r.text[start:r.at]
		}
		r.at++
	}
	return r.text[min(start, len(r.text)):]
}

func (r *treeReader) value(word string) any {
	switch word {
	case "(":
		list := []any{}
		for word = r.word(); word != ")"; word = r.word() {
			list = append(list, r.value(word))
		}
		return list
	case "{":
		return r.node()
	case "", "}", ")":
		panic(brokenTree{fmt.Sprintf("%q at %d", word, r.at)})
	}
	return word
}

// node reads fields. What follows a field's first value (the bytes of a constant) is left out.
func (r *treeReader) node() *tree {
	n := &tree{tag: r.word(), fields: map[string]any{}}
	name := ""
	for word := r.word(); word != "}"; word = r.word() {
		if strings.HasPrefix(word, ":") && len(word) > 1 {
			name = word[1:]
			continue
		}
		value := r.value(word)
		if _, ok := n.fields[name]; !ok {
			n.fields[name] = value
		}
	}
	return n
}

// visit calls f with every node of a value, the outer ones first.
func visit(value any, f func(*tree)) {
	switch value := value.(type) {
	case []any:
		for _, inner := range value {
			visit(inner, f)
		}
	case *tree:
		f(value)
		for _, inner := range value.fields {
			visit(inner, f)
		}
	}
}

func (n *tree) number(field string) int {
	word, _ := n.fields[field].(string)
	number, _ := strconv.Atoi(word)
	return number
}

func (n *tree) oid(field string) uint32 { return uint32(n.number(field)) } // #nosec G115 -- the server's own

// set reads a Bitmapset, (b 8 9), or a list of OIDs, (o 96 97).
func (n *tree) set(field string) []int {
	var numbers []int
	list, _ := n.fields[field].([]any)
	for _, member := range list {
		if word, ok := member.(string); ok {
			if number, err := strconv.Atoi(word); err == nil {
				numbers = append(numbers, number)
			}
		}
	}
	return numbers
}
