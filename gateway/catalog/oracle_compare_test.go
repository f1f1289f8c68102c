package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/authz/statement"
)

// tally counts what the facts say beyond what PostgreSQL does.
type tally struct {
	statements, relations, columns, functions               int // that PostgreSQL knows of
	excessRelations, unsure, excessColumns, excessFunctions int
}

func (c tally) String() string {
	ratio := func(excess, known int) string { return fmt.Sprintf("%d beyond %d", excess, known) }
	return fmt.Sprintf("%d statements; relations %s, columns %s (%d relations unsure), functions %s", c.statements,
		ratio(c.excessRelations, c.relations), ratio(c.excessColumns, c.columns), c.unsure, ratio(c.excessFunctions, c.functions))
}

// check bounds what is said too much, so that facts that name everything are no way out.
func (c tally) check(t *testing.T) {
	t.Helper()
	for _, bound := range []struct {
		what                   string
		excess, known, percent int
	}{
		{"relations", c.excessRelations, c.relations, 5},
		{"columns", c.excessColumns, c.columns, 10},
		{"relations whose columns are not known", c.unsure, c.relations, 15},
		{"functions", c.excessFunctions, c.functions, 25},
	} {
		if bound.excess*100 > bound.known*bound.percent {
			t.Errorf("%d %s are said too much of %d: over %d percent", bound.excess, bound.what, bound.known, bound.percent)
		}
	}
}

// comparison holds one statement's facts to what it means.
type comparison struct {
	*oracle
	facts  *statement.Statement
	misses []string
	errors []string // facts that are not so
}

func (c *comparison) miss(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.misses, text) {
		c.misses = append(c.misses, text)
	}
}

// compare finds what the facts do not say, and counts what they say too much.
func (o *oracle) compare(facts *statement.Statement, says, comesTo *meaning, count *tally) *comparison {
	c := &comparison{oracle: o, facts: facts}
	count.statements++
	for oid, u := range says.relations {
		c.used(o.relations[oid], u, false)
	}
	for oid, u := range comesTo.relations {
		if oid >= firstOwn && says.relations[oid] == nil && !c.rules() {
			c.used(o.relations[oid], u, true)
		}
	}
	for oid, called := range says.functions {
		if called || oid >= firstOwn {
			c.calls(o.functions[oid])
		}
	}
	for oid := range comesTo.functions {
		if oid >= firstOwn && !c.rules() {
			c.calls(o.functions[oid])
		}
	}
	c.objects(says, comesTo)
	c.excess(says, count)
	return c
}

// rules says whether a rule stands in the place of something: what it does is not in the facts, that it is there is.
func (c *comparison) rules() bool {
	return slices.ContainsFunc(c.facts.Relations, func(r statement.Relation) bool { return r.Rules })
}

// used checks a relation: with the text's own use of it, or one that is behind something.
func (c *comparison) used(relation *named, u *usage, behind bool) {
	var fact statement.Relation
	found := false
	for _, r := range c.facts.Relations {
		same := r.Name == relation.name.Name && (r.Schema == relation.name.Schema || relation.name.Name == "passing" && r.Schema == "")
		if same && (behind || len(r.Through) == 0) {
			found = true
			fact.Access, fact.Columns, fact.Written = append(fact.Access, r.Access...), append(fact.Columns, r.Columns...), append(fact.Written, r.Written...)
			fact.AllUnsure = fact.AllUnsure || r.AllUnsure
		}
	}
	if !found {
		c.miss("relation %v", relation.name)
		return
	}
	for bit, verbs := range [][]string{{"insert"}, {"select"}, {"update", "lock"}, {"delete"}} {
		if u.privileges&(1<<bit) != 0 && !slices.ContainsFunc(verbs, func(verb string) bool { return slices.Contains(fact.Access, verb) }) {
			c.miss("%s of %v", verbs[0], relation.name)
		}
	}
	for number := range u.read {
		if !fact.AllUnsure && !slices.Contains(fact.Columns, relation.columns[number]) {
			c.miss("column %s of %v", relation.columns[number], relation.name)
		}
	}
	for number := range u.written {
		if !slices.Contains(fact.Written, "*") && !slices.Contains(fact.Written, relation.columns[number]) {
			c.miss("column %s written of %v", relation.columns[number], relation.name)
		}
	}
}

// calls checks a function. JSON_ARRAY and its kin are syntax that becomes the call of one with another name.
func (c *comparison) calls(name statement.Name) {
	if strings.HasPrefix(name.Name, "json") && slices.ContainsFunc(c.facts.Functions, func(f statement.Function) bool {
		return slices.Contains([]string{"json_array", "json_arrayagg", "json_objectagg"}, f.Name)
	}) {
		return
	}
	if !slices.ContainsFunc(c.facts.Functions, func(f statement.Function) bool { return f.Schema == name.Schema && f.Name == name.Name }) {
		c.miss("function %v", name)
	}
}

func (c *comparison) objects(says, comesTo *meaning) {
	has := func(list []statement.Object, name statement.Name) bool {
		return slices.ContainsFunc(list, func(o statement.Object) bool { return o.Schema == name.Schema && o.Name == name.Name })
	}
	for oid := range says.operators {
		if oid >= firstOwn && !has(c.facts.Operators, c.operators[oid]) {
			c.miss("operator %v", c.operators[oid])
		}
	}
	for oid := range says.types {
		if oid >= firstOwn && !has(c.facts.Types, c.types[oid]) {
			c.miss("type %v", c.types[oid])
		}
	}
	for _, m := range []*meaning{says, comesTo} {
		for oid := range m.domains {
			for _, check := range c.checks[oid] {
				c.calls(check)
			}
		}
	}
}

// excess counts what is said of the text's own relations and functions. A relation that PostgreSQL does not know of at all is an error,
// unless it is one of several that the name could have led to.
func (c *comparison) excess(says *meaning, count *tally) {
	known := map[statement.Name]*usage{}
	columns := map[statement.Name]map[int]string{}
	names := map[string]bool{}
	for oid, u := range says.relations {
		name := c.relations[oid].name
		known[name], columns[name], names[name.Name] = u, c.relations[oid].columns, true
		count.relations++
		count.columns += len(u.read)
	}
	for i := range c.facts.Relations {
		r := &c.facts.Relations[i]
		name := statement.Name{Schema: r.Schema, Name: r.Name}
		u := known[name]
		switch {
		case len(r.Through) > 0 || r.Kind == "" || c.elsewhere(r):
		case u == nil && !names[r.Name]:
			c.errors = append(c.errors, fmt.Sprintf("relation %v", name))
			count.excessRelations++
		case u == nil:
			count.excessRelations++
		case r.AllUnsure:
			count.unsure++
		default:
			count.excessColumns += tooMany(r, u, columns[name])
		}
	}
	count.functions += len(says.functions)
	for _, f := range c.facts.Functions {
		if len(f.Through) == 0 && !c.knows(says, f) {
			count.excessFunctions++
		}
	}
}

// elsewhere says whether a relation is not in the query tree: one that is made, or whose name stands in a literal.
func (c *comparison) elsewhere(r *statement.Relation) bool {
	if slices.Contains(r.Access, "create") || slices.Contains(r.Access, "lookup") || r.Kind == string(KindSequence) {
		return true
	}
	return slices.ContainsFunc(c.facts.Functions, func(f statement.Function) bool { return strings.HasPrefix(f.Name, "table_to_xml") })
}

// tooMany is how many columns are said to be used and are not. What is written is no read.
func tooMany(r *statement.Relation, u *usage, columns map[int]string) int {
	number := 0
	for _, column := range r.Columns {
		used := column == "*"
		for n := range columns {
			used = used || columns[n] == column && (u.read[n] || u.written[n] || u.read[0])
		}
		if !used && !slices.Contains(r.Written, "*") {
			number++
		}
	}
	return number
}

func (c *comparison) knows(m *meaning, f statement.Function) bool {
	for oid := range m.functions {
		if c.functions[oid] == (statement.Name{Schema: f.Schema, Name: f.Name}) {
			return true
		}
	}
	return false
}
