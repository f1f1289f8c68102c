package authz

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sallyport/sallyport/authz/statement"
)

// TestInputIsItsJSON: policies see what encoding/json would show, but for empty lists, which are always there.
func TestInputIsItsJSON(t *testing.T) {
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	for name, input := range sampleStatements() {
		t.Run(name, func(t *testing.T) {
			compareJSON(t, input, c.statement(c.who(input), input))
		})
	}
	for name, input := range sampleConnects() {
		t.Run("connect "+name, func(t *testing.T) {
			compareJSON(t, input, c.connect(input))
		})
	}
}

func compareJSON(t *testing.T, input any, value ast.Value) {
	t.Helper()
	text, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	withoutHints(want)
	got, err := ast.JSON(value)
	if err != nil {
		t.Fatal(err)
	}
	text, err = json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(withoutEmpty(want), withoutEmpty(plain)); diff != "" {
		t.Error(diff)
	}
}

func withoutEmpty(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, member := range v {
			if list, ok := member.([]any); member == nil || (ok && len(list) == 0) {
				delete(v, key)
			} else {
				v[key] = withoutEmpty(member)
			}
		}
	case []any:
		for i := range v {
			v[i] = withoutEmpty(v[i])
		}
	}
	return value
}

// withoutHints removes what policies do not see.
func withoutHints(document any) {
	input, _ := document.(map[string]any)
	sheet, _ := input["statement"].(map[string]any)
	statements, _ := sheet["statements"].([]any)
	for _, s := range statements {
		delete(s.(map[string]any), "hints")
	}
}

func TestListsAreThere(t *testing.T) {
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	input := &StatementInput{Statement: &statement.Sheet{Statements: []statement.Statement{{}}}}
	value := c.statement(c.who(input), input)
	for _, path := range []string{"identity.groups", "session.search_path", "statement.incomplete"} {
		found, err := value.Find(ast.MustParseRef("input." + path)[1:])
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if array, ok := found.(*ast.Array); !ok || array.Len() != 0 {
			t.Errorf("%s: got %v, want []", path, found)
		}
	}
	if found, err := value.Find(ast.MustParseRef("input.statement.statements[0].copy")[1:]); err == nil {
		t.Errorf("copy of a statement without one: %v", found)
	}
}

// TestInputKinds: a field of a kind the codec does not know stops the engine; it is not left out.
func TestInputKinds(t *testing.T) {
	for name, kind := range map[string]reflect.Type{
		"map": reflect.TypeFor[struct {
			M map[string]string `json:"m"`
		}](),
		"float": reflect.TypeFor[struct {
			F float64 `json:"f"`
		}](),
		"interface": reflect.TypeFor[struct {
			A []any `json:"a"`
		}](),
		"bytes": reflect.TypeFor[struct {
			B []byte `json:"b"`
		}](),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newEncoder(kind); err == nil {
				t.Error("no error")
			}
		})
	}
}
