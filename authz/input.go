package authz

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// encoder turns a Go value into a term of the policy input.
type encoder func(reflect.Value) *ast.Term

// codec turns the input structs into OPA values directly: OPA's own way, through JSON text, takes several times as long as the
// evaluation it is for. It is built once from the types, so a new field of a Sheet reaches policies by its json tag alone.
//
// It differs from encoding/json in one thing: a nil slice is an empty array and slices are never left out, so that a policy can loop
// over any list. Pointers that are nil are left out: `not input.statement…copy` reads as it should.
type codec struct {
	connectInput   encoder
	statementInput encoder
}

func newCodec() (codec, error) {
	connect, err := newEncoder(reflect.TypeFor[ConnectInput]())
	if err != nil {
		return codec{}, err
	}
	statement, err := newEncoder(reflect.TypeFor[StatementInput]())
	if err != nil {
		return codec{}, err
	}
	return codec{connectInput: connect, statementInput: statement}, nil
}

func (c codec) connect(in *ConnectInput) ast.Value {
	return c.connectInput(reflect.ValueOf(in).Elem()).Value
}

func (c codec) statement(in *StatementInput) ast.Value {
	return c.statementInput(reflect.ValueOf(in).Elem()).Value
}

func newEncoder(t reflect.Type) (encoder, error) {
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value) *ast.Term { return ast.InternedTerm(v.String()) }, nil
	case reflect.Bool:
		return func(v reflect.Value) *ast.Term { return ast.InternedTerm(v.Bool()) }, nil
	case reflect.Int:
		return func(v reflect.Value) *ast.Term { return ast.InternedTerm(int(v.Int())) }, nil
	case reflect.Pointer:
		return newEncoderOf(t.Elem(), func(element encoder) encoder {
			return func(v reflect.Value) *ast.Term {
				if v.IsNil() {
					return nil
				}
				return element(v.Elem())
			}
		})
	case reflect.Slice:
		return newEncoderOf(t.Elem(), sliceEncoder)
	case reflect.Struct:
		return structEncoder(t)
	}
	return nil, fmt.Errorf("type %s has no place in a policy input", t)
}

func newEncoderOf(t reflect.Type, wrap func(encoder) encoder) (encoder, error) {
	element, err := newEncoder(t)
	if err != nil {
		return nil, err
	}
	return wrap(element), nil
}

func sliceEncoder(element encoder) encoder {
	return func(v reflect.Value) *ast.Term {
		if v.Len() == 0 {
			return ast.InternedEmptyArray
		}
		terms := make([]*ast.Term, v.Len())
		for i := range terms {
			terms[i] = element(v.Index(i))
		}
		return ast.ArrayTerm(terms...)
	}
}

func structEncoder(t reflect.Type) (encoder, error) {
	type member struct {
		index  int
		key    *ast.Term
		encode encoder
	}
	members := make([]member, 0, t.NumField())
	for i := range t.NumField() {
		name, ok := jsonName(t.Field(i))
		if !ok {
			continue
		}
		encode, err := newEncoder(t.Field(i).Type)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, t.Field(i).Name, err)
		}
		members = append(members, member{index: i, key: ast.StringTerm(name), encode: encode})
	}
	return func(v reflect.Value) *ast.Term {
		pairs := make([][2]*ast.Term, 0, len(members))
		for _, m := range members {
			if term := m.encode(v.Field(m.index)); term != nil {
				pairs = append(pairs, [2]*ast.Term{m.key, term})
			}
		}
		return ast.ObjectTerm(pairs...)
	}, nil
}

// jsonName is the name a field goes by in documents; false when it does not appear: without a json tag, or with the tag policy:"-".
func jsonName(f reflect.StructField) (string, bool) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, f.IsExported() && name != "" && name != "-" && f.Tag.Get("policy") != "-"
}

// inputSchema describes both input documents as one JSON Schema for OPA's type checker: to it, `input.statment` in a policy is an
// error. What only one of the two has is optional by nature of the schema.
func inputSchema() any {
	schema := schemaOf(reflect.TypeFor[StatementInput]()).(map[string]any)
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	return schema
}

func schemaOf(t reflect.Type) any {
	switch t.Kind() {
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Struct:
		properties := map[string]any{}
		for i := range t.NumField() {
			if name, ok := jsonName(t.Field(i)); ok {
				properties[name] = schemaOf(t.Field(i).Type)
			}
		}
		return map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	}
	return map[string]any{"type": "string"}
}
