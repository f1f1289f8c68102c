package catalog

import "strings"

// target picks a relation to change.
func (g *generator) target() source {
	for {
		if s := pick(g, g.relations); len(s.columns) > 0 && s.kind != "m" && (s.kind != "v" || g.maybe(3)) {
			return s
		}
	}
}

// insert writes an INSERT.
func (g *generator) insert() string {
	s := g.target()
	text := "INSERT INTO " + relationName(s)
	if g.maybe(4) {
		s.schema, s.name = "", g.alias()
		text += " AS " + ident(s.name)
	}
	columns := g.some(s)
	if g.maybe(8) {
		text += " DEFAULT VALUES"
	} else {
		names := make([]string, len(columns))
		for i := range columns {
			names[i] = columns[i].name
		}
		if list := " (" + idents(names) + ") "; len(columns) < len(s.columns) || g.maybe(2) {
			text += list
		}
		if g.maybe(2) {
			text += " VALUES (" + g.values(kindsOf(columns)) + ")"
		} else {
			text += " " + g.query(kindsOf(columns))
		}
	}
	g.visible = append(g.visible, []source{s})
	defer g.pop()
	return text + g.onConflict(s) + g.returning(s)
}

// some picks columns of a relation.
func (g *generator) some(s source) []column {
	n := 1 + g.IntN(min(3, len(s.columns)))
	var picked []column
	for i, at := range g.Perm(len(s.columns)) {
		if i < n {
			picked = append(picked, s.columns[at])
		}
	}
	return picked
}

func (g *generator) onConflict(s source) string {
	if !g.maybe(3) {
		return ""
	}
	if g.maybe(3) {
		return " ON CONFLICT" + g.or("", " (id)", " (id) WHERE id > 0") + " DO NOTHING"
	}
	excluded := s
	excluded.schema, excluded.name = "", "excluded"
	g.visible = append(g.visible, []source{s, excluded})
	defer g.pop()
	for i := range g.visible[len(g.visible)-1] {
		g.visible[len(g.visible)-1][i].merged = true
	}
	return " ON CONFLICT (id) DO UPDATE SET " + g.assignments(s) + g.where()
}

// assignments writes the SET list of an UPDATE.
func (g *generator) assignments(s source) string {
	columns := g.some(s)
	if len(columns) > 1 && g.maybe(4) {
		names := make([]string, len(columns))
		for i := range columns {
			names[i] = columns[i].name
		}
		return "(" + idents(names) + ") = " + g.or("ROW ("+g.values(kindsOf(columns))+")", "("+g.query(kindsOf(columns))+")")
	}
	texts := make([]string, len(columns))
	for i, c := range columns {
		switch {
		case c.kind == "text[]" && g.maybe(2):
			texts[i] = ident(c.name) + "[" + g.expression("int") + "] = " + g.expression("text")
		case c.kind == "address" && g.maybe(2):
			texts[i] = ident(c.name) + ".contact = " + g.expression("text")
		case g.maybe(8):
			texts[i] = ident(c.name) + " = DEFAULT"
		default:
			texts[i] = ident(c.name) + " = " + g.expression(c.kind)
		}
	}
	return strings.Join(texts, ", ")
}

// returning writes what a data change returns. What the rows were and are, PostgreSQL 18 knows.
func (g *generator) returning(s source) string {
	if g.maybe(2) {
		return ""
	}
	if g.version >= 18 && g.maybe(2) {
		for _, name := range []string{"old", "new"} {
			row := s
			row.schema, row.name, row.merged = "", name, true
			g.enter([]source{row})
		}
	}
	return " RETURNING " + g.or(g.anything(), g.expression("int"), g.expression("text"), g.targets([]string{"int", "text"}))
}

func (g *generator) update() string {
	s := g.target()
	text := "UPDATE " + g.or("", "ONLY ") + relationName(s)
	if g.maybe(3) {
		s.schema, s.name = "", g.alias()
		text += " AS " + ident(s.name)
	}
	g.push()
	defer g.pop()
	from := ""
	if g.maybe(3) {
		from = g.from()
		for i := range g.visible[len(g.visible)-1] {
			g.visible[len(g.visible)-1][i].merged = true
		}
		s.merged = true
	}
	g.enter([]source{s})
	return text + " SET " + g.assignments(s) + from + g.where() + g.returning(s)
}

func (g *generator) delete() string {
	s := g.target()
	text := "DELETE FROM " + relationName(s)
	g.push()
	defer g.pop()
	if g.maybe(3) {
		text += strings.Replace(g.from(), " FROM ", " USING ", 1)
		s.merged = true
	}
	g.enter([]source{s})
	return text + g.where() + g.returning(s)
}

// merge writes a MERGE. Each of its parts sees the target, the source, or both.
func (g *generator) merge() string {
	s := g.target()
	s.merged = true
	text := "MERGE INTO " + relationName(s)
	g.push()
	defer g.pop()
	entry, sources := g.entry()
	for i := range sources {
		sources[i].merged = true
	}
	g.enter(append(sources, s))
	text += " USING " + entry + " ON " + g.expression("bool")
	for range 1 + g.IntN(2) {
		text += g.when(s, sources)
	}
	if g.version < 17 {
		return text
	}
	return text + g.returning(s) + g.or("", "", "")
}

func (g *generator) when(s source, sources []source) string {
	and := ""
	switch g.IntN(4) {
	case 0:
		g.visible = append(g.visible, sources)
		columns := g.some(s)
		names := make([]string, len(columns))
		for i := range columns {
			names[i] = columns[i].name
		}
		if g.maybe(2) {
			and = " AND " + g.expression("bool")
		}
		values := g.values(kindsOf(columns))
		g.pop()
		return " WHEN NOT MATCHED" + and + " THEN INSERT (" + idents(names) + ") VALUES (" + values + ")"
	case 1:
		return " WHEN MATCHED AND " + g.expression("bool") + " THEN " + g.or("DELETE", "DO NOTHING")
	case 2:
		if g.version >= 17 {
			g.visible = append(g.visible, []source{s})
			defer g.pop()
			return " WHEN NOT MATCHED BY SOURCE AND " + g.expression("bool") + " THEN " + g.or("DELETE", "UPDATE SET "+g.assignments(s))
		}
	}
	return " WHEN MATCHED THEN UPDATE SET " + g.assignments(s)
}
