package catalog

import (
	"encoding/json"
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// TestQueriesNameSchemas: whatever a session's search_path is, the queries mean what they say. Each relation, function, operator and type
// in them is pg_catalog's by name, and so are operators that SQL writes without a name: IN and BETWEEN look theirs up.
func TestQueriesNameSchemas(t *testing.T) {
	for name, query := range map[string]string{
		"digest": digestSQL, "relations": relationsSQL, "columns": columnsSQL, "inheritance": inheritanceSQL, "functions": functionsSQL,
		"builtins": builtinsSQL, "operators": operatorsSQL, "types": typesSQL, "unseen": checkedSQL + unseenSQL,
		"planned":   checkedSQL + plannedSQL,
		"coercions": checkedSQL + coercionsSQL, "converting": convertingSQL, "consulted": consultedSQL, "cascades": cascadesSQL, "views": viewsSQL,
	} {
		t.Run(name, func(t *testing.T) {
			text, err := pg_query.ParseToJSON(query)
			if err != nil {
				t.Fatal(err)
			}
			var tree any
			if err := json.Unmarshal([]byte(text), &tree); err != nil {
				t.Fatal(err)
			}
			own := map[string]bool{} // names of WITH
			walk(tree, func(node string, fields map[string]any) {
				if node == "CommonTableExpr" {
					own[fields["ctename"].(string)] = true
				}
			})
			walk(tree, func(node string, fields map[string]any) { checkNode(t, own, node, fields) })
		})
	}
}

func checkNode(t *testing.T, own map[string]bool, node string, fields map[string]any) {
	t.Helper()
	var name []string
	switch node {
	case "RangeVar":
		if schema, _ := fields["schemaname"].(string); schema != "pg_catalog" && !own[fields["relname"].(string)] {
			t.Errorf("relation %v", fields["relname"])
		}
		return
	case "FuncCall":
		name = words(fields["funcname"])
	case "A_Expr":
		name = words(fields["name"])
	case "typeName", "TypeName":
		name = words(fields["names"])
	case "SubLink":
		if fields["subLinkType"] == "EXISTS_SUBLINK" || fields["subLinkType"] == "EXPR_SUBLINK" {
			return
		}
		name = words(fields["operName"]) // none for IN
	default:
		return
	}
	if len(name) != 2 || name[0] != "pg_catalog" {
		t.Errorf("%s %q", node, strings.Join(name, "."))
	}
}

// words are the strings of a list of names.
func words(list any) []string {
	var all []string
	walk(list, func(node string, fields map[string]any) {
		if node == "String" {
			all = append(all, fields["sval"].(string))
		}
	})
	return all
}

// walk visits every node of a parse tree in JSON.
func walk(tree any, visit func(node string, fields map[string]any)) {
	switch tree := tree.(type) {
	case map[string]any:
		for name, inner := range tree {
			if fields, ok := inner.(map[string]any); ok {
				visit(name, fields)
			}
			walk(inner, visit)
		}
	case []any:
		for _, inner := range tree {
			walk(inner, visit)
		}
	}
}
