package authz

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// deterministic says whether the document at query follows from the input and the data alone. It visits every rule the document
// depends on, transitively, and looks for any mention of a built-in function that is not a function: a call, or a replacement by `with`.
func deterministic(compiler *ast.Compiler, query ast.Ref) bool {
	volatile := map[string]bool{}
	for _, builtin := range ast.Builtins {
		if builtin.IsNondeterministic() {
			volatile[builtin.Name] = true
		}
	}
	seen := map[util.T]bool{}
	var visit func(node util.T) bool
	visit = func(node util.T) bool {
		if seen[node] {
			return true
		}
		seen[node] = true
		if mentions(node, volatile) {
			return false
		}
		if rule, ok := node.(*ast.Rule); ok && rule.Else != nil && !visit(rule.Else) {
			return false
		}
		for dependency := range compiler.Graph.Dependencies(node) {
			if !visit(dependency) {
				return false
			}
		}
		return true
	}
	for _, rule := range compiler.GetRules(query) {
		if !visit(rule) {
			return false
		}
	}
	return true
}

func mentions(node util.T, names map[string]bool) bool {
	found := false
	ast.WalkRefs(node, func(ref ast.Ref) bool {
		found = found || names[ref.String()]
		return found
	})
	return found
}
