package catalog

import (
	"fmt"
	"strings"
)

// expression writes one of a kind.
func (g *generator) expression(kind string) string {
	g.deep++
	defer func() { g.deep-- }()
	if g.deep > 5 || g.maybe(2) {
		if g.maybe(4) {
			return g.literal(kind)
		}
		return g.columnOf(kind)
	}
	if g.maybe(12) {
		return "(" + g.query([]string{kind}) + g.or("", " LIMIT 1") + ")"
	}
	if g.maybe(3) {
		return g.wrapped(kind)
	}
	switch kind {
	case "int":
		return g.integer()
	case "text":
		return g.text()
	case "bool":
		return g.boolean()
	case "numeric":
		return g.form("%s::numeric", "abs(%s)", "app.total(%s) OVER (ORDER BY 1)", "%s * 2", "f(%s::numeric)", "CAST(%s AS app.positive)", "round(%s)").fill(g.columnOf("numeric"))
	case "mood":
		return g.form("%s::mood", "%s::app.mood", "app.number_mood(%s)", "CAST(%s AS mood)").fill(g.expression("int"))
	case "pair":
		return "(" + g.expression("pair") + " " + g.or("+", "OPERATOR(public.+)") + " " + g.expression("pair") + ")"
	case "time":
		return g.form("now()", "date_trunc('day', %s)", "%s + interval '1 day'", "%s AT TIME ZONE 'UTC' AT TIME ZONE 'UTC'").fill(g.columnOf("time"))
	}
	return g.columnOf(kind)
}

// wrapped writes what is of a kind because its parts are.
func (g *generator) wrapped(kind string) string {
	a, b := g.expression(kind), g.expression(kind)
	switch g.IntN(8) {
	case 0:
		return "COALESCE(" + a + ", " + b + ")"
	case 1:
		return "CASE WHEN " + g.expression("bool") + " THEN " + a + " ELSE " + b + " END"
	case 2:
		return "CASE " + g.expression("int") + " WHEN " + g.expression("int") + " THEN " + a + " ELSE " + b + " END"
	case 3:
		return "(ARRAY[" + a + ", " + b + "])[" + g.expression("int") + "]"
	case 4:
		return "first_value(" + a + ") OVER (" + g.or("", "PARTITION BY "+b, "ORDER BY "+g.expression("int")+" ROWS 1 PRECEDING") + ")"
	case 5:
		return "(ARRAY(SELECT " + a + "))[1]"
	case 6:
		if kind == "int" || kind == "text" || kind == "numeric" {
			return g.or("GREATEST", "LEAST", "NULLIF") + "(" + a + ", " + b + ")"
		}
	}
	return "(" + a + ")"
}

func (g *generator) integer() string {
	switch g.IntN(16) {
	case 0:
		return g.or("f", "app.f", "hidden.f", "pg_catalog.abs", "lower", "app.count", "orders") + "(" + g.expression("int") + ")"
	case 1:
		return "length(" + g.expression("text") + ")"
	case 2:
		return g.or("g()", "app.g(2)", "g($1)", "f(a => 1)", "(1).f", "(2).abs")
	case 3:
		return "(" + g.columnOf("pair") + ")." + g.or("x", "y", "area")
	case 4:
		return g.or("area", "app.area") + "(" + g.columnOf("pair") + ")"
	case 5:
		return g.columnOf("mood") + "::int"
	case 6:
		return "@@ " + g.columnOf("mood")
	case 7:
		return "(" + g.columnOf("box") + " + 1)"
	case 8:
		return "f(" + g.columnOf("box") + ")"
	case 9:
		return "(SELECT count(*) FROM " + relationName(pick(g, g.relations)) + ")::int"
	case 10:
		return "row_number() OVER (" + g.or("", "ORDER BY "+g.expression("text"), "PARTITION BY "+g.expression("mood")) + ")::int"
	case 11:
		return "extract(year FROM " + g.expression("time") + ")::int"
	case 12:
		return "(" + g.columnOf("mood") + ").mood_number"
	case 13:
		return g.rowField("int")
	}
	return "(" + g.expression("int") + g.or(" + ", " - ", " % ", " # ") + g.expression("int") + ")"
}

func (g *generator) text() string {
	switch g.IntN(14) {
	case 0:
		return g.or("f", "app.f", "lower", "pg_catalog.upper", "many") + "(" + g.expression("text") + ")"
	case 1:
		return "(" + g.expression("text") + " || " + g.expression("text") + ")"
	case 2:
		return "(" + g.columnOf("address") + ")." + g.or("street", "city", "contact")
	case 3:
		return g.or("label", "app.label") + "(" + g.columnOf(pick(g, common)) + ")"
	case 4:
		return "(" + g.columnOf("mood") + ").label"
	case 5:
		return g.rowText()
	case 6:
		return "substring(" + g.expression("text") + " FROM 1 FOR " + g.expression("int") + ")"
	case 7:
		return "(" + g.columnOf("text[]") + ")[" + g.expression("int") + "]"
	case 8:
		return g.expression(pick(g, common)) + "::text"
	case 9:
		return "CAST(" + g.expression("text") + " AS " + g.or("app.email", "work_email", "app.plain", "varchar") + ")"
	case 10:
		return "send(" + g.expression("text") + ")"
	case 11:
		return "concat_ws(',', " + g.expression("int") + ", VARIADIC ARRAY[" + g.expression("text") + "])"
	case 12:
		return g.rowField("text")
	}
	return "trim(both ' ' from " + g.expression("text") + `) COLLATE "C"`
}

// item is something with a name that is in sight.
func (g *generator) item() (source, bool) {
	if len(g.visible) == 0 {
		return source{}, false
	}
	level := len(g.visible) - 1
	if level > 0 && g.maybe(4) {
		level = g.IntN(level + 1)
	}
	if len(g.visible[level]) == 0 {
		return source{}, false
	}
	return pick(g, g.visible[level]), true
}

// rowText writes a row as a text, or what a function makes of it.
func (g *generator) rowText() string {
	s, ok := g.item()
	if !ok {
		return g.literal("text")
	}
	name := ident(s.name)
	return g.form("%s::text", "row_to_json(%s)::text", "%s.row_to_json::text", "rowed(%s)", "public.rowed(%s)", "%s.rowed", "(%s).rowed", "full_name(%s)",
		"%s.full_name", "to_jsonb(%s)->>'id'", "format('%%s', %s)", "ROW(%s, 1)::text", "label(%s)", "%s.label").fill(name)
}

// rowField writes a column as if it were a function, or the other way round.
func (g *generator) rowField(kind string) string {
	s, ok := g.item()
	if !ok {
		return g.literal(kind)
	}
	for _, c := range s.columns {
		if c.kind == kind && g.maybe(2) {
			return g.or(ident(c.name)+"("+ident(s.name)+")", "("+ident(s.name)+")."+ident(c.name))
		}
	}
	return g.columnOf(kind)
}

func (g *generator) boolean() string {
	switch g.IntN(22) {
	case 0:
		return g.expression("text") + g.or(" LIKE ", " ILIKE ", " ~ ", " SIMILAR TO ") + g.expression("text")
	case 1:
		return g.expression("mood") + g.or(" = ", " === ", " OPERATOR(app.===) ", " < ") + g.expression("mood")
	case 2:
		return g.expression("mood") + g.or(" = ", " OPERATOR(app.=) ") + "5"
	case 3:
		return g.expression("pair") + g.or(" < ", " >= ", " = ", " IS DISTINCT FROM ") + g.expression("pair")
	case 4:
		return g.expression("pair") + g.or(" BETWEEN ", " BETWEEN SYMMETRIC ", " NOT BETWEEN ") + g.expression("pair") + " AND " + g.expression("pair")
	case 5:
		kind := pick(g, common)
		return g.expression(kind) + g.or(" IN ", " NOT IN ") + "(" + g.expression(kind) + ", " + g.expression(kind) + ")"
	case 6:
		kind := pick(g, common)
		return g.expression(kind) + g.or(" IN ", " = ANY ", " <> ALL ") + "(" + g.query([]string{kind}) + ")"
	case 7:
		return "EXISTS (" + g.query(nil) + ")"
	case 8:
		return "(" + g.expression("int") + ", " + g.expression("text") + ")" + g.or(" = ", " < ") + "(" + g.expression("int") + ", " + g.expression("text") + ")"
	case 9:
		return "(" + g.expression("int") + ", " + g.expression("text") + ") IN (" + g.query([]string{"int", "text"}) + ")"
	case 10:
		return g.rowTest()
	case 11:
		return g.expression("int") + " = ANY (" + g.or("ARRAY["+g.expression("int")+"]", "$1", "'{1}'") + ")"
	case 12:
		return g.or("holds(", "app.holds(") + g.or(g.columnOf("box"), "1::app.box") + ")"
	case 13:
		return "(" + g.expression("bool") + g.or(" AND ", " OR ") + g.expression("bool") + ")"
	case 14:
		return "NOT " + g.expression("bool")
	case 15:
		return g.expression("int") + " === " + g.expression("int")
	case 16:
		return g.expression(pick(g, common)) + g.or(" IS NULL", " IS NOT NULL")
	case 17:
		return g.expression("numeric") + " > " + g.expression("int")
	case 18:
		return g.columnOf("email[]") + g.or(" = ", " @> ") + "'{x@y}'"
	}
	return g.expression("int") + g.or(" = ", " < ", " >= ", " <> ") + g.expression("int")
}

func (g *generator) rowTest() string {
	s, ok := g.item()
	if !ok {
		return "true"
	}
	return g.form("%s IS NULL", "%s = %s", "%s IS NOT DISTINCT FROM %s", "%s IN (SELECT %s)", "%s = ANY (ARRAY[%s])", "(%s) IS NOT NULL").fill(ident(s.name))
}

// columnOf writes a column of a kind that is in sight, in one of the ways it can be written; a literal when there is none.
func (g *generator) columnOf(kind string) string {
	for range 6 {
		s, ok := g.item()
		if !ok {
			break
		}
		var names []string
		for _, c := range s.columns {
			if c.kind == kind {
				names = append(names, c.name)
			}
		}
		if len(names) == 0 {
			continue
		}
		column := ident(pick(g, names))
		switch g.IntN(8) {
		case 0, 1, 2:
			if !s.merged {
				return column
			}
		case 3:
			if s.schema != "" {
				return relationName(s) + "." + column
			}
		case 4:
			return "(" + ident(s.name) + ")." + column
		}
		return ident(s.name) + "." + column
	}
	return g.literal(kind)
}

func (g *generator) literal(kind string) string {
	if texts := literals[kind]; texts != nil {
		return pick(g, texts)
	}
	return "NULL"
}

var literals = map[string][]string{
	"int":     {"1", "$1", "'7'", "NULL::int", "2"},
	"text":    {"'x'", "'a@b'", "$2", "NULL::text", "'a@b'::app.email", "current_user", "text 'x'"},
	"numeric": {"1.5", "2::app.positive", "1e3"},
	"bool":    {"true", "false", "NULL::bool"},
	"time":    {"now()", "current_timestamp", "'2024-01-01'::timestamptz"},
	"mood":    {"'fine'::app.mood", "mood 'sad'", "NULL::mood", "1::mood"},
	"pair":    {"ROW(1, 2)::app.pair", "'(1,2)'::pair", "NULL::app.pair"},
	"box":     {"NULL::app.box", "app.open_box()", "'(1)'::box", "5::app.box"},
	"address": {"ROW('a', 'b', 'c@d')::app.address", "'(a,b,c@d)'::app.address"},
	"text[]":  {"ARRAY['x']", "'{a,b}'::text[]"},
	"email[]": {"'{a@b}'::app.email[]", "ARRAY['a@b'::app.email]"},
}

// form is a text with places (%s) for another.
type form string

func (g *generator) form(texts ...string) form { return form(pick(g, texts)) }

func (f form) fill(text string) string {
	n := strings.Count(string(f), "%s") - strings.Count(string(f), "%%s")
	if n == 0 {
		return string(f)
	}
	args := make([]any, n)
	for i := range args {
		args[i] = text
	}
	return fmt.Sprintf(string(f), args...)
}
