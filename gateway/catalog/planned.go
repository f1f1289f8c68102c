package catalog

import (
	"context"
	_ "embed" // the query
	"slices"
	"strconv"
	"strings"
)

//go:embed sql/planned.sql
var plannedSQL string

//go:embed sql/keys.sql
var keysSQL string

// readPlanned finds the functions that run when a statement with a relation is planned. It comes after readRelations and readFunctions.
func (r *reading) readPlanned(ctx context.Context) error {
	found := false
	err := r.rows(ctx, query{checkedSQL + plannedSQL, maxUnseen, "expressions that the planner evaluates"}, func(row *row) {
		relation, f := r.relations[row.oid(0)], r.functions[row.oid(1)]
		if relation == nil || f == nil || f.Volatility != "immutable" || slices.Contains(relation.Planned, f) {
			return
		}
		if callsWithConstants(row.text(2), f.OID) {
			relation.Planned = append(relation.Planned, f)
			found = true
		}
	})
	if err != nil || !found {
		return err
	}
	return r.readPlannedByKeys(ctx)
}

// readPlannedByKeys adds what runs when a foreign key is checked: a query of the other relation is planned then, whichever is written.
func (r *reading) readPlannedByKeys(ctx context.Context) error {
	return r.rows(ctx, query{keysSQL, maxInherits, "foreign keys"}, func(row *row) {
		has, referred := r.relations[row.oid(0)], r.relations[row.oid(1)]
		if has == nil || referred == nil {
			return
		}
		has.OnWrite = withAll(has.OnWrite, referred.Planned)
		referred.OnWrite = withAll(referred.OnWrite, has.Planned)
	})
}

// callsWithConstants says whether a function is called in an expression, itself or by an operator, with nothing that depends on a row. The
// expression is in the form of pg_node_tree (outfuncs.c): {NAME :field value …}, one in the other, with a backslash before what is not meant so.
func callsWithConstants(tree string, function uint32) bool {
	type node struct{ calls, varies bool }
	number := " " + strconv.FormatUint(uint64(function), 10) + " "
	nodes := []node{{}}
	for i := 0; i < len(tree); i++ {
		switch tree[i] {
		case '\\':
			i++
		case '{':
			head := tree[i+1:]
			if end := strings.IndexAny(head, "{}"); end >= 0 {
				head = head[:end] // its own fields, up to what it is made of
			}
			calls := strings.Contains(head, ":funcid"+number) || strings.Contains(head, ":opfuncid"+number)
			nodes = append(nodes, node{calls: calls, varies: strings.HasPrefix(head, "VAR ")})
		case '}':
			last := len(nodes) - 1
			if last == 0 || nodes[last].calls && !nodes[last].varies {
				return true // or it is none that is understood
			}
			nodes[last-1].varies = nodes[last-1].varies || nodes[last].varies
			nodes = nodes[:last]
		}
	}
	return false
}

// withAll adds to a list what it does not have.
func withAll(list, more []*Function) []*Function {
	for _, f := range more {
		if !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}
