package statement

import (
	"reflect"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// TestLayout: the decoder finds every field where protobuf does, and a worker would notice if it did not.
func TestLayout(t *testing.T) {
	if err := checkLayout(messageTypes()); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(types map[reflect.Type]*messageType){
		"fields exchanged": func(types map[reflect.Type]*messageType) {
			relation := types[reflect.TypeFor[pg.RangeVar]()].fields
			schema, name := fieldNamed(t, relation, "schemaname"), fieldNamed(t, relation, "relname")
			schema.offset, name.offset = name.offset, schema.offset
		},
		"members of the oneof exchanged": func(types map[reflect.Type]*messageType) {
			node := types[reflect.TypeFor[pg.Node]()].fields
			one, other := fieldNamed(t, node, "select_stmt"), fieldNamed(t, node, "delete_stmt")
			one.itab, other.itab = other.itab, one.itab
		},
		"values of an enum exchanged": func(types map[reflect.Type]*messageType) {
			values := fieldNamed(t, types[reflect.TypeFor[pg.BoolExpr]()].fields, "boolop").enum.values
			values["NOT_EXPR"] = values["OR_EXPR"]
		},
		"a number kept as another": func(types map[reflect.Type]*messageType) {
			fieldNamed(t, types[reflect.TypeFor[pg.Integer]()].fields, "ival").plain = reflect.Bool
		},
	} {
		types := map[reflect.Type]*messageType{}
		addType(types, (&pg.ParseResult{}).ProtoReflect())
		spoil(types)
		if checkLayout(types) == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func fieldNamed(t *testing.T, fields []*field, name string) *field {
	t.Helper()
	for _, f := range fields {
		if string(f.name) == name {
			return f
		}
	}
	t.Fatalf("no field %s", name)
	return nil
}
