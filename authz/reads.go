package authz

import (
	"encoding/binary"
	"reflect"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
)

// reads are the fields of a StatementInput that a policy can look at, but for the statement: as indices into the struct, the outer
// field's first. A decision is the same for all inputs in which these, and the statement, are the same.
type reads [][]int

var statementRef = ast.MustParseRef("input.statement")

// readsOf finds the fields that the document at query can depend on. Whatever a rule learns of the input it has by a reference that
// begins with `input`, in itself or in a rule it depends on; so it reads no more than these references name up to their first variable.
func readsOf(compiler *ast.Compiler, query ast.Ref) reads {
	var found reads
	visitRules(compiler, query, func(node util.T) bool {
		ast.WalkRefs(node, func(ref ast.Ref) bool {
			if ref.HasPrefix(ast.InputRootRef) && !ref.HasPrefix(statementRef) {
				found = append(found, fieldsAt(reflect.TypeFor[StatementInput](), ref.ConstantPrefix()[1:], nil)...)
			}
			return false
		})
		return true
	})
	slices.SortFunc(found, slices.Compare)
	return slices.CompactFunc(found, slices.Equal)
}

// textNames are what a sheet has of how a text is called.
var textNames = []*ast.Term{ast.StringTerm("fingerprint"), ast.StringTerm("normalized")}

// readsNames says whether the document at query can depend on how a text is called, by the same references.
func readsNames(compiler *ast.Compiler, query ast.Ref) bool {
	return !visitRules(compiler, query, func(node util.T) bool {
		found := false
		ast.WalkRefs(node, func(ref ast.Ref) bool {
			found = found || ref.HasPrefix(ast.InputRootRef) && mayReadNames(ref.ConstantPrefix())
			return found
		})
		return !found
	})
}

// mayReadNames says whether a reference that begins so can lead to a name.
func mayReadNames(prefix ast.Ref) bool {
	if len(prefix) <= len(statementRef) {
		return statementRef.HasPrefix(prefix)
	}
	return prefix.HasPrefix(statementRef) && slices.ContainsFunc(textNames, prefix[len(statementRef)].Equal)
}

// fieldsAt lists the fields of t that a path names, in that struct and those in it: all of them when the path ends, or when it does not
// name a field.
func fieldsAt(t reflect.Type, path ast.Ref, before []int) reads {
	var named, all reads
	for i := range t.NumField() {
		name, ok := jsonName(t.Field(i))
		if !ok || t == reflect.TypeFor[StatementInput]() && name == "statement" {
			continue
		}
		index := append(slices.Clone(before), i)
		inner := reads{index}
		if t.Field(i).Type.Kind() == reflect.Struct {
			inner = fieldsAt(t.Field(i).Type, path[min(1, len(path)):], index)
		}
		all = append(all, inner...)
		if len(path) > 0 && path[0].Equal(ast.StringTerm(name)) {
			named = inner
		}
	}
	if named == nil {
		return all
	}
	return named
}

// key is the values of these fields, written so that other values are written otherwise.
func (r reads) key(input *StatementInput) string {
	var key []byte
	for _, index := range r {
		key = appendValue(key, reflect.ValueOf(input).Elem().FieldByIndex(index))
	}
	return string(key)
}

// appendValue appends a value of the kinds that an input may have (see newEncoder), with the lengths that keep one from reading like two.
func appendValue(dst []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.String:
		return append(binary.AppendUvarint(dst, uint64(v.Len())), v.String()...) // #nosec -- a length
	case reflect.Bool:
		if v.Bool() {
			return append(dst, 1)
		}
		return append(dst, 0)
	case reflect.Int:
		return binary.AppendVarint(dst, v.Int())
	case reflect.Slice:
		dst = binary.AppendUvarint(dst, uint64(v.Len())) // #nosec -- a length
		for i := range v.Len() {
			dst = appendValue(dst, v.Index(i))
		}
	case reflect.Pointer:
		if v.IsNil() {
			return append(dst, 0)
		}
		return appendValue(append(dst, 1), v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			dst = appendValue(dst, v.Field(i))
		}
	}
	return dst
}
