package catalog

import (
	"fmt"
	"strings"
)

// from writes a FROM clause and enters what stands in it into the current scope.
func (g *generator) from() string {
	if g.maybe(12) {
		return ""
	}
	var entries []string
	for range 1 + g.IntN(2) {
		text, sources := g.entry()
		g.enter(sources)
		entries = append(entries, text)
	}
	return " FROM " + strings.Join(entries, ", ")
}

func (g *generator) enter(sources []source) {
	last := len(g.visible) - 1
	g.visible[last] = append(g.visible[last], sources...)
}

// entry writes one entry of a FROM clause.
func (g *generator) entry() (string, []source) {
	g.deep++
	defer func() { g.deep-- }()
	switch n := g.IntN(20); {
	case n < 2 && len(g.ctes) > 0:
		cte := pick(g, g.ctes)
		return g.aliased(ident(cte.name), cte)
	case n < 4 && g.deep < 4:
		return g.subquery()
	case n < 6:
		return g.function()
	case n < 11 && g.deep < 4:
		return g.join()
	}
	return g.relation()
}

func (g *generator) relation() (string, []source) {
	s := pick(g, g.relations)
	text := relationName(s)
	if s.schema != "hidden" && !strings.HasPrefix(s.schema, "Odd") && g.maybe(2) {
		text = ident(s.name) // by the search path, which may lead to another
		s.schema = ""
	}
	if (s.kind == "r" || s.kind == "p") && g.maybe(10) {
		text = "ONLY " + text
	}
	text, sources := g.aliased(text, s)
	if (s.kind == "r" || s.kind == "m") && g.maybe(12) {
		text += " TABLESAMPLE " + g.or("system", "bernoulli") + " (" + g.or("10", "app.f(10)", "(SELECT max(id) FROM app.secrets)") + ")"
	}
	return text, sources
}

func relationName(s source) string {
	if s.schema == "" {
		return ident(s.name)
	}
	return ident(s.schema) + "." + ident(s.name)
}

// aliased gives an entry an alias, with or without a list of columns, or leaves it its name.
func (g *generator) aliased(text string, s source) (string, []source) {
	if g.maybe(4) {
		return text, []source{s}
	}
	named := source{name: g.alias(), kind: s.kind, columns: s.columns}
	text += g.or(" AS ", " ") + ident(named.name)
	if n := len(s.columns); n > 0 && n < 8 && g.maybe(5) {
		names := g.columnNames(1 + g.IntN(n))
		named.columns = append([]column{}, s.columns...)
		for i, name := range names {
			named.columns[i].name = name
		}
		text += " (" + idents(names) + ")"
	}
	return text, []source{named}
}

func (g *generator) subquery() (string, []source) {
	kinds := g.kinds()
	names := g.columnNames(len(kinds))
	s := source{name: g.alias(), columns: columnsOf(names, kinds)}
	lateral := "LATERAL "
	if g.maybe(2) {
		lateral = ""
		outer := g.visible
		defer func() { g.visible = outer }()
		g.visible = append([][]source{}, outer[:len(outer)-1]...) // it does not see what stands beside it
	}
	body := g.query(kinds)
	if g.maybe(12) {
		body = "TABLE app.secrets"
		s.columns = nil
		return lateral + "(" + body + ") AS " + ident(s.name), []source{s}
	}
	return lateral + "(" + body + ") AS " + ident(s.name) + " (" + idents(names) + ")", []source{s}
}

// function writes a function in a FROM clause.
func (g *generator) function() (string, []source) {
	name := g.alias()
	as := " AS " + ident(name)
	switch g.IntN(11) {
	case 0:
		s := g.named("app", "customers")
		return g.or("list", "app.list") + "(" + g.expression("int") + ")" + as, []source{{name: name, columns: s.columns}}
	case 1:
		return g.or("pairs(1)", "app.pairs()") + as, []source{{name: name, columns: []column{{"x", "int"}, {"y", "int"}}}}
	case 2:
		return "generate_series(1, " + g.expression("int") + ")" + as, []source{{name: name, columns: []column{{name, "int"}}}}
	case 3:
		return "unnest(ARRAY[" + g.expression("text") + "]) WITH ORDINALITY" + as + " (name, id)", []source{{name: name, columns: []column{{"name", "text"}, {"id", "int"}}}}
	case 4:
		return "anything(" + g.expression("int") + ")" + as + " (a int, b app.mood)", []source{{name: name, columns: []column{{"a", "int"}, {"b", "mood"}}}}
	case 5:
		return "ROWS FROM (f(" + g.expression("int") + "), app.anything(1) AS (a int, b text))" + as, []source{{name: name, columns: []column{{"f", "int"}, {"a", "int"}, {"b", "text"}}}}
	case 6:
		return "json_to_recordset(to_json(" + g.expression("text") + "))" + as + " (x app.positive, y text)", []source{{name: name, columns: []column{{"x", "numeric"}, {"y", "text"}}}}
	case 7:
		return "f(" + g.expression("int") + ")" + g.or("", as), nil
	case 8:
		return "json_populate_recordset(null::app.customers, '[]')" + as, []source{{name: name, columns: g.named("app", "customers").columns}}
	case 9:
		if g.version >= 17 {
			return "JSON_TABLE(to_jsonb(" + g.expression("text") + "), '$' COLUMNS (x int PATH '$.a' DEFAULT " + g.or("1", "app.f(2)") + " ON EMPTY, n FOR ORDINALITY))" + as, []source{{name: name, columns: []column{{"x", "int"}, {"n", "int"}}}}
		}
	}
	return "XMLTABLE('/a' PASSING xmlelement(name a, " + g.expression("text") + ") COLUMNS x int PATH 'b' DEFAULT " + g.expression("int") + ", n FOR ORDINALITY)" + as, []source{{name: name, columns: []column{{"x", "int"}, {"n", "int"}}}}
}

func (g *generator) named(schema, name string) source {
	for _, s := range g.relations {
		if s.schema == schema && s.name == name {
			return s
		}
	}
	panic(fmt.Sprintf("no relation %s.%s", schema, name))
}

// join writes a join, with or without a name of its own.
func (g *generator) join() (string, []source) {
	left, l := g.entry()
	right, r := g.entry()
	both := append(append([]source{}, l...), r...)
	kind := g.or("JOIN ", "LEFT JOIN ", "FULL JOIN ", "RIGHT JOIN ")
	text := ""
	common := shared(l, r)
	if len(both) == 0 {
		return left + " CROSS JOIN " + right, nil
	}
	switch {
	case g.maybe(4):
		text = left + " CROSS JOIN " + right
	case g.maybe(4):
		text = left + " NATURAL " + kind + right
	case len(common) > 0 && g.maybe(2):
		text = left + " " + kind + right + " USING (" + idents(common[:1]) + ")"
		if g.maybe(4) {
			name := g.alias()
			text += " AS " + ident(name)
			both = append(both, source{name: name, columns: []column{{common[0], kindIn(l, common[0])}}})
		}
	default:
		g.visible = append(g.visible, both)
		text = left + " " + kind + right + " ON " + g.expression("bool")
		g.pop()
	}
	for i := range both {
		both[i].merged = true
	}
	if g.maybe(6) {
		name := g.alias()
		s := source{name: name, columns: both[0].columns}
		list := ""
		if n := len(s.columns); n > 0 && n < 8 && g.maybe(2) {
			names := g.columnNames(n)
			s.columns = columnsOf(names, kindsOf(s.columns))
			list = " (" + idents(names) + ")"
		}
		return "(" + text + ") AS " + ident(name) + list, []source{s}
	}
	if g.maybe(4) {
		text = "(" + text + ")"
	}
	return text, both
}

func kindsOf(columns []column) []string {
	kinds := make([]string, len(columns))
	for i := range columns {
		kinds[i] = columns[i].kind
	}
	return kinds
}

func shared(l, r []source) []string {
	var names []string
	for _, a := range l {
		for _, c := range a.columns {
			if kindIn(r, c.name) == c.kind && c.kind != "other" {
				names = append(names, c.name)
			}
		}
	}
	return names
}

func kindIn(sources []source, name string) string {
	for _, s := range sources {
		for _, c := range s.columns {
			if c.name == name {
				return c.kind
			}
		}
	}
	return ""
}
