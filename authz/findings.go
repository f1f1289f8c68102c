package authz

import (
	"slices"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/util"
)

// rules are the rules of a policy that define a document, by its path. Most of what they say no statement can change: neither they nor what
// they depend on looks at input.statement, or calls what is not a function. What a role is granted is such a document. OPA evaluates each
// rule anew for each query; these are taken from one query to the next, by all sessions if they look at nothing of the input, else within
// a session.
type rules struct {
	root   *branch
	looks  []looks                   // by index of a document
	common atomic.Pointer[[]*extent] // of those that look at nothing, by index; what is in it is not changed
}

// branch is a part of the path of a document.
type branch struct {
	below map[ast.String]*branch
	index int // of the document here; -1: there is none
}

// extent is what a document was found to be; its term is nil when it is undefined.
type extent struct{ term *ast.Term }

// looks is what a document depends on beside the data.
type looks int

const (
	looksAtNothing looks = iota
	looksAtSession
	looksAtStatement // or at what changes by itself
)

func newRules(compiler *ast.Compiler, query ast.Ref) *rules {
	at := map[string][]*ast.Rule{} // by path
	visitRules(compiler, query, func(node util.T) bool {
		if rule, ok := node.(*ast.Rule); ok && len(rule.Head.Args) == 0 && isNamed(rule.Ref()) {
			path := rule.Ref().String()
			at[path] = append(at[path], rule)
		}
		return true
	})
	r := &rules{root: &branch{index: -1}}
	volatile, known, open := volatileNames(), map[util.T]looks{}, openPaths(compiler)
	for _, all := range at {
		if !aloneAt(compiler, open, all[0].Ref()) {
			continue
		}
		look := looksAtNothing
		for _, rule := range all {
			look = max(look, dependsOn(compiler, rule, volatile, known))
		}
		r.root.at(all[0].Ref()).index, r.looks = len(r.looks), append(r.looks, look)
	}
	none := make([]*extent, len(r.looks))
	r.common.Store(&none)
	return r
}

// isNamed says whether a path consists of names, as all do but those of rules like `late[key]` and `late[1]`.
func isNamed(path ast.Ref) bool {
	return !slices.ContainsFunc(path[1:], func(part *ast.Term) bool {
		_, name := part.Value.(ast.String)
		return !name
	})
}

// openPaths are the paths of rules that only their evaluation tells, as of `late[key]`.
func openPaths(compiler *ast.Compiler) (open []ast.Ref) {
	for _, module := range compiler.Modules {
		for _, rule := range module.Rules {
			if path := rule.Ref(); !path.IsGround() {
				open = append(open, path)
			}
		}
	}
	return open
}

// aloneAt says whether the rules of a path are the whole document there: none is for a part of it, nor for what may be it or be around it.
func aloneAt(compiler *ast.Compiler, open []ast.Ref, path ast.Ref) bool {
	return !slices.ContainsFunc(compiler.GetRulesWithPrefix(path), func(rule *ast.Rule) bool { return !rule.Ref().Equal(path) }) &&
		!slices.ContainsFunc(open, func(other ast.Ref) bool { return mayMeet(other, path) })
}

// mayMeet says whether one of two paths may turn out to begin with the other.
func mayMeet(open, path ast.Ref) bool {
	for i := range min(len(open), len(path)) {
		if open[i].IsGround() && !open[i].Equal(path[i]) {
			return false
		}
	}
	return true
}

// dependsOn says what a rule depends on, transitively. Rules do not depend on themselves.
func dependsOn(compiler *ast.Compiler, node util.T, volatile map[string]bool, known map[util.T]looks) looks {
	if found, ok := known[node]; ok {
		return found
	}
	found := looksOf(node, volatile)
	if rule, ok := node.(*ast.Rule); ok && rule.Else != nil {
		found = max(found, dependsOn(compiler, rule.Else, volatile, known))
	}
	for dependency := range compiler.Graph.Dependencies(node) {
		found = max(found, dependsOn(compiler, dependency, volatile, known))
	}
	known[node] = found
	return found
}

// looksOf says what a rule itself looks at: whatever it learns of the input it has by a reference that begins with `input` (see readsOf).
func looksOf(node util.T, volatile map[string]bool) looks {
	found := looksAtNothing
	ast.WalkRefs(node, func(ref ast.Ref) bool {
		switch {
		case volatile[ref.String()]:
			found = looksAtStatement
		case !ref.HasPrefix(ast.InputRootRef):
		case len(ref.ConstantPrefix()) < len(statementRef), ref.HasPrefix(statementRef):
			found = looksAtStatement
		default:
			found = max(found, looksAtSession)
		}
		return false
	})
	return found
}

// at is the branch at a path of strings below data; it makes it if there is none.
func (b *branch) at(path ast.Ref) *branch {
	for _, part := range path[1:] {
		name := part.Value.(ast.String)
		next := b.below[name]
		if next == nil {
			next = &branch{index: -1}
			if b.below == nil {
				b.below = map[ast.String]*branch{}
			}
			b.below[name] = next
		}
		b = next
	}
	return b
}

// find is the index of the document at a path; -1: there is none. The path of a call begins with the function, and its arguments follow.
func (r *rules) find(path ast.Ref) int {
	if len(path) == 0 || path[0].Value != ast.DefaultRootDocument.Value {
		return -1
	}
	b := r.root
	for i := 1; i < len(path); i++ {
		name, ok := path[i].Value.(ast.String)
		if !ok {
			return -1
		}
		if b = b.below[name]; b == nil {
			return -1
		}
	}
	return b.index
}

// findings are OPA's cache for one query. What it finds out that holds for others too is kept once the query has come to its end.
type findings struct {
	topdown.VirtualCache // of calls, and of what has a `with`
	rules                *rules
	common               []*extent
	own                  map[int]*extent // of the session, by index; nil: there are none yet
	found                map[int]*extent
	depth                int // how many `with` surround what is evaluated: there, everything may be otherwise
}

func (r *rules) findings(own map[int]*extent) *findings {
	return &findings{VirtualCache: topdown.NewVirtualCache(), rules: r, common: *r.common.Load(), own: own, found: map[int]*extent{}}
}

// Push implements topdown.VirtualCache.
func (f *findings) Push() {
	f.depth++
	f.VirtualCache.Push()
}

// Pop implements topdown.VirtualCache.
func (f *findings) Pop() {
	f.depth--
	f.VirtualCache.Pop()
}

// Get implements topdown.VirtualCache.
func (f *findings) Get(path ast.Ref) (term *ast.Term, undefined bool) {
	if f.depth > 0 {
		return f.VirtualCache.Get(path)
	}
	index := f.rules.find(path)
	if index < 0 {
		return f.VirtualCache.Get(path)
	}
	if known := f.known(index); known != nil {
		return known.term, known.term == nil
	}
	return nil, false
}

func (f *findings) known(index int) *extent {
	switch look := f.rules.looks[index]; {
	case look == looksAtNothing && f.common[index] != nil:
		return f.common[index]
	case look == looksAtSession && f.own[index] != nil:
		return f.own[index]
	}
	return f.found[index]
}

// Put implements topdown.VirtualCache.
func (f *findings) Put(path ast.Ref, term *ast.Term) {
	if f.depth > 0 {
		f.VirtualCache.Put(path, term)
		return
	}
	if index := f.rules.find(path); index >= 0 {
		f.found[index] = &extent{term: term}
		return
	}
	f.VirtualCache.Put(path, term)
}

// keep keeps what was found, when the query has come to its end: before, it may be an error yet. It returns the session's documents.
func (f *findings) keep() map[int]*extent {
	own, common := f.own, []*extent(nil)
	for index, found := range f.found {
		switch f.rules.looks[index] {
		case looksAtNothing:
			if common == nil {
				common = slices.Clone(*f.rules.common.Load())
			}
			common[index] = found
		case looksAtSession:
			if own == nil {
				own = map[int]*extent{}
			}
			own[index] = found
		}
	}
	if common != nil {
		f.rules.common.Store(&common) // of two at once, what one has found is found again
	}
	return own
}
