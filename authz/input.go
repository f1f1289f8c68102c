package authz

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// encoder turns a Go value into a term of the policy input; nil: it is left out.
type encoder func(*terms, reflect.Value) *ast.Term

// member is a field of a struct, as a member of an object.
type member struct {
	index  int
	key    *ast.Term
	encode encoder
}

// codec turns the input structs into OPA values directly: OPA's own way, through JSON text, takes several times as long as the
// evaluation it is for. It is built once from the types, so a new field of a Sheet reaches policies by its json tag alone.
//
// It differs from encoding/json in one thing: a nil slice is an empty array and slices are never left out, so that a policy can loop
// over any list. Pointers that are nil are left out: `not input.statement…copy` reads as it should.
type codec struct {
	connectInput []member
	session      []member // of a StatementInput, all but the statement
	sheet        []member // of a StatementInput, the statement
}

func newCodec() (codec, error) {
	connect, err := newMembers(reflect.TypeFor[ConnectInput]())
	if err != nil {
		return codec{}, err
	}
	statement, err := newMembers(reflect.TypeFor[StatementInput]())
	if err != nil {
		return codec{}, err
	}
	c := codec{connectInput: connect}
	for _, m := range statement {
		if m.key.Equal(statementRef[1]) {
			c.sheet = append(c.sheet, m)
		} else {
			c.session = append(c.session, m)
		}
	}
	return c, nil
}

func (c codec) connect(in *ConnectInput) ast.Value {
	return ast.NewObject((&terms{}).members(nil, c.connectInput, reflect.ValueOf(in).Elem())...)
}

// who is what an input says beside the statement. It is the same for all statements of a session.
func (c codec) who(in *StatementInput) [][2]*ast.Term {
	return (&terms{}).members(nil, c.session, reflect.ValueOf(in).Elem())
}

// statement adds the statement to what c.who said of the session.
func (c codec) statement(who [][2]*ast.Term, in *StatementInput) ast.Value {
	return ast.NewObject((&terms{}).members(slices.Clip(who), c.sheet, reflect.ValueOf(in).Elem())...)
}

// terms are of one document. They are made many at a time.
type terms struct{ free []ast.Term }

const termsAtATime = 64

func (t *terms) of(v ast.Value) *ast.Term {
	if len(t.free) == 0 {
		t.free = make([]ast.Term, termsAtATime)
	}
	term := &t.free[0]
	t.free = t.free[1:]
	term.Value = v
	return term
}

// members appends the members of a struct.
func (t *terms) members(pairs [][2]*ast.Term, members []member, v reflect.Value) [][2]*ast.Term {
	for _, m := range members {
		if term := m.encode(t, v.Field(m.index)); term != nil {
			pairs = append(pairs, [2]*ast.Term{m.key, term})
		}
	}
	return pairs
}

func newEncoder(t reflect.Type) (encoder, error) {
	switch t.Kind() {
	case reflect.String:
		return func(t *terms, v reflect.Value) *ast.Term {
			if v.Len() == 0 {
				return ast.InternedEmptyString
			}
			return t.of(ast.String(v.String()))
		}, nil
	case reflect.Bool:
		return func(_ *terms, v reflect.Value) *ast.Term { return ast.InternedTerm(v.Bool()) }, nil
	case reflect.Int:
		return func(_ *terms, v reflect.Value) *ast.Term { return ast.InternedTerm(int(v.Int())) }, nil
	case reflect.Pointer:
		return newEncoderOf(t.Elem(), func(element encoder) encoder {
			return func(t *terms, v reflect.Value) *ast.Term {
				if v.IsNil() {
					return nil
				}
				return element(t, v.Elem())
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
	return func(t *terms, v reflect.Value) *ast.Term {
		if v.Len() == 0 {
			return ast.InternedEmptyArray
		}
		elements := make([]*ast.Term, v.Len())
		for i := range elements {
			elements[i] = element(t, v.Index(i))
		}
		return t.of(ast.NewArray(elements...))
	}
}

func structEncoder(t reflect.Type) (encoder, error) {
	members, err := newMembers(t)
	if err != nil {
		return nil, err
	}
	return func(t *terms, v reflect.Value) *ast.Term {
		var space [16][2]*ast.Term // an object does not keep its pairs
		return t.of(ast.NewObject(t.members(space[:0], members, v)...))
	}, nil
}

func newMembers(t reflect.Type) ([]member, error) {
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
	return members, nil
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
