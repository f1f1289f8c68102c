package authz

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// deterministic says whether the document at query follows from the input and the data alone: no rule that it depends on mentions a
// built-in function that is not a function, in a call or in a replacement by `with`.
func deterministic(compiler *ast.Compiler, query ast.Ref) bool {
	volatile := volatileNames()
	return visitRules(compiler, query, func(node util.T) bool { return !mentions(node, volatile) })
}

// clocked look at the clock, as a chain of certificates holds for some time only, although OPA does not call them nondeterministic.
var clocked = []*ast.Builtin{ast.CryptoX509ParseAndVerifyCertificates, ast.CryptoX509ParseAndVerifyCertificatesWithOptions}

// volatileNames are the names of the built-in functions that are not functions.
func volatileNames() map[string]bool {
	volatile := map[string]bool{}
	for _, builtin := range clocked {
		volatile[builtin.Name] = true
	}
	for _, builtin := range ast.Builtins {
		if builtin.IsNondeterministic() {
			volatile[builtin.Name] = true
		}
	}
	return volatile
}

// visitRules visits every rule that the document at query depends on, transitively, until visit says false. It says whether visit never
// did.
func visitRules(compiler *ast.Compiler, query ast.Ref, visit func(node util.T) bool) bool {
	seen := map[util.T]bool{}
	var follow func(node util.T) bool
	follow = func(node util.T) bool {
		if seen[node] {
			return true
		}
		seen[node] = true
		if !visit(node) {
			return false
		}
		if rule, ok := node.(*ast.Rule); ok && rule.Else != nil && !follow(rule.Else) {
			return false
		}
		for dependency := range compiler.Graph.Dependencies(node) {
			if !follow(dependency) {
				return false
			}
		}
		return true
	}
	for _, rule := range compiler.GetRules(query) {
		if !follow(rule) {
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
