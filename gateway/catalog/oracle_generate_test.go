package catalog

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// generator writes statements about the relations of a database, most of which PostgreSQL accepts.
type generator struct {
	*rand.Rand
	version   int      // the server's major one
	relations []source // that there are, by schema and name
	visible   [][]source
	ctes      []source
	names     int
	deep      int
	grouped   bool // aggregates may stand here
}

// source is what stands in a FROM clause, or could.
type source struct {
	schema, name string // the schema of a relation without alias
	kind         string // of a relation, by the letters of pg_class; "" for others
	columns      []column
	merged       bool // in a join that may have it twice: only name.column means one
}

type column struct{ name, kind string }

// kinds of values by the types of columns.
func kindOf(typeName string) string {
	switch typeName {
	case "integer", "smallint", "bigint":
		return "int"
	case "text", "app.email", "app.plain", "name":
		return "text"
	case "numeric", "app.positive", "double precision":
		return "numeric"
	case "boolean":
		return "bool"
	case "timestamp with time zone", "date":
		return "time"
	case "app.mood", "app.pair", "app.box", "app.address", "jsonb", "json", "text[]", "app.pair[]", "app.email[]", "app.span":
		return strings.TrimPrefix(typeName, "app.")
	}
	return "other"
}

// common are the kinds that most expressions are of.
var common = []string{"int", "int", "text", "text", "numeric", "bool", "time", "mood", "pair"}

func newGenerator(t *testing.T, o *oracle, seed uint64) *generator {
	t.Helper()
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), version: o.snapshot.Version / 10000}
	at := map[uint32]int{}
	o.each(t, `SELECT c.oid, n.nspname, c.relkind::text || c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname IN ('app', 'public', 'hidden', 'Odd ".schema') AND c.relkind IN ('r', 'v', 'm', 'p', 'f') ORDER BY 2, 3`, func(oid uint32, schema, name string) {
		at[oid] = len(g.relations)
		g.relations = append(g.relations, source{schema: schema, name: name[1:], kind: name[:1]})
	})
	o.each(t, "SELECT attrelid, attname, format_type(atttypid, NULL) FROM pg_catalog.pg_attribute WHERE attnum > 0 ORDER BY attrelid, attnum", func(oid uint32, name, typeName string) {
		if i, ok := at[oid]; ok {
			g.relations[i].columns = append(g.relations[i].columns, column{name, kindOf(typeName)})
		}
	})
	return g
}

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

// maybe is true once in n.
func (g *generator) maybe(n int) bool { return g.IntN(n) == 0 }

// or returns one of the texts.
func (g *generator) or(texts ...string) string { return pick(g, texts) }

// alias makes up a name: a new one, or one that means something else already.
func (g *generator) alias() string {
	if g.maybe(8) {
		return g.or("customers", "orders", "lower", "f", "id", "excluded", "mood", "value")
	}
	g.names++
	return fmt.Sprintf("a%d", g.names)
}

func ident(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_0123456789") == "" && !slices.Contains([]string{"from", "all", "position"}, name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func idents(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = ident(name)
	}
	return strings.Join(quoted, ", ")
}

// several joins n texts.
func several(n int, text func() string) string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = text()
	}
	return strings.Join(texts, ", ")
}

// statement writes one.
func (g *generator) statement() string {
	g.visible, g.ctes, g.names, g.deep, g.grouped = nil, nil, 0, 0, false
	with := ""
	if g.maybe(5) {
		with = g.with(true)
	}
	switch g.IntN(8) {
	case 0:
		return with + g.insert()
	case 1:
		return with + g.update()
	case 2:
		return with + g.delete()
	case 3:
		if g.version >= 17 || with == "" {
			return with + g.merge()
		}
	}
	return with + g.query(nil)
}

// with writes a WITH clause; at the top it may change data.
func (g *generator) with(top bool) string {
	recursive := g.maybe(3)
	var parts []string
	for range 1 + g.IntN(2) {
		name := g.or("w1", "w2", "orders", "customers", "t", "secrets")
		kinds := g.kinds()
		names := g.columnNames(len(kinds))
		cte := source{name: name, columns: columnsOf(names, kinds)}
		body := ""
		switch {
		case top && g.maybe(4):
			body = g.changing(kinds)
		case recursive && g.maybe(2):
			g.ctes = append(g.ctes, cte)
			body = g.query(kinds) + g.or(" UNION ALL ", " UNION ") + "SELECT " + idents(names) + " FROM " + ident(name)
			g.ctes = g.ctes[:len(g.ctes)-1]
		default:
			body = g.query(kinds)
		}
		parts = append(parts, ident(name)+" ("+idents(names)+") AS "+g.or("", "", "MATERIALIZED ", "NOT MATERIALIZED ")+"("+body+")")
		g.ctes = append(g.ctes, cte)
	}
	return "WITH " + map[bool]string{true: "RECURSIVE "}[recursive] + strings.Join(parts, ", ") + " "
}

// changing writes a data change that returns the kinds.
func (g *generator) changing(kinds []string) string {
	target := g.target()
	g.visible = append(g.visible, []source{target})
	defer g.pop()
	returning := " RETURNING " + g.targets(kinds)
	switch g.IntN(3) {
	case 0:
		return "DELETE FROM " + relationName(target) + " WHERE " + g.expression("bool") + returning
	case 1:
		return "UPDATE " + relationName(target) + " SET " + g.assignments(target) + returning
	}
	return "INSERT INTO " + relationName(target) + " DEFAULT VALUES" + returning
}

func (g *generator) pop() { g.visible = g.visible[:len(g.visible)-1] }

func (g *generator) kinds() []string {
	kinds := make([]string, 1+g.IntN(3))
	for i := range kinds {
		kinds[i] = pick(g, common)
	}
	return kinds
}

// columnNames are new ones, or ones that relations have as well.
func (g *generator) columnNames(n int) []string {
	var names []string
	for len(names) < n {
		name := g.or("id", "name", "ssn", "value", "x", "a", "note", "lower", "label", "full_name", "c1", "c2", "c3", "c4")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func columnsOf(names, kinds []string) []column {
	columns := make([]column, len(names))
	for i := range names {
		columns[i] = column{names[i], kinds[i]}
	}
	return columns
}

// query writes a SELECT with columns of the kinds; of any when there are none.
func (g *generator) query(kinds []string) string {
	g.deep++
	defer func() { g.deep-- }()
	if kinds == nil && g.maybe(3) {
		return g.free()
	}
	if kinds == nil {
		kinds = g.kinds()
	}
	switch {
	case g.deep < 3 && g.maybe(8):
		return g.query(kinds) + g.or(" UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT ") + g.query(kinds) + g.or("", " ORDER BY 1")
	case g.maybe(15):
		return "VALUES (" + g.values(kinds) + ")"
	case g.maybe(6):
		return g.groupedQuery(kinds)
	}
	g.push()
	defer g.pop()
	with := ""
	if g.deep < 3 && g.maybe(12) {
		before := len(g.ctes)
		with = g.with(false)
		defer func() { g.ctes = g.ctes[:before] }()
	}
	from := g.from()
	distinct := g.or("", "", "", "DISTINCT ")
	if g.maybe(10) {
		distinct = "DISTINCT ON (" + g.expression("int") + ") "
	}
	text := with + "SELECT " + distinct + g.targets(kinds) + from + g.where() + g.window()
	if distinct == "" {
		text += g.order()
	}
	text += g.limit()
	if distinct == "" && from != "" && g.maybe(10) {
		text += g.or(" FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE SKIP LOCKED")
	}
	return text
}

// free writes a SELECT whose columns are of any kind: stars and rows.
func (g *generator) free() string {
	g.push()
	defer g.pop()
	from := g.from()
	return "SELECT " + several(1+g.IntN(2), g.anything) + from + g.where()
}

func (g *generator) push() { g.visible = append(g.visible, nil) }

// anything writes an entry of a target list.
func (g *generator) anything() string {
	sources := g.visible[len(g.visible)-1]
	if len(sources) == 0 {
		return g.expression(pick(g, common))
	}
	s := pick(g, sources)
	name := ident(s.name)
	switch g.IntN(9) {
	case 0:
		return "*"
	case 1:
		return name + ".*"
	case 2:
		return "(" + name + ").*"
	case 3:
		return name
	case 4:
		return "ROW(" + name + ".*, 1)"
	case 5:
		return g.or("to_jsonb", "row_to_json", "count", "json_agg", "rowed", "f", "label", "hash_record") + "(" + name + ")"
	case 6:
		return name + "." + g.or("row_to_json", "rowed", "full_name", "label", "tableoid", "ctid", "xmin", "to_jsonb")
	case 7:
		if len(s.columns) > 0 {
			return "(" + name + ")." + ident(pick(g, s.columns).name) + g.or("", "", ".x", ".city", ".label", ".*")
		}
	}
	return name + "::text"
}

func (g *generator) targets(kinds []string) string {
	texts := make([]string, len(kinds))
	for i, kind := range kinds {
		texts[i] = g.expression(kind)
		if g.maybe(3) {
			texts[i] += " AS " + ident(g.columnNames(1)[0])
		}
	}
	return strings.Join(texts, ", ")
}

func (g *generator) values(kinds []string) string {
	texts := make([]string, len(kinds))
	for i, kind := range kinds {
		texts[i] = g.expression(kind)
	}
	return strings.Join(texts, ", ")
}

// groupedQuery writes a SELECT with GROUP BY.
func (g *generator) groupedQuery(kinds []string) string {
	g.push()
	defer g.pop()
	from := g.from()
	keys := []string{g.columnOf("int"), g.columnOf("text")}
	group := g.or("%s, %s", "ROLLUP (%s, %s)", "GROUPING SETS ((%s), (%s), ())", "CUBE (%s, %s)", "DISTINCT %s, %s")
	targets := make([]string, len(kinds))
	for i, kind := range kinds {
		switch {
		case kind == "int":
			targets[i] = g.or("sum(", "max(", "count(DISTINCT ", "pg_catalog.min(", "count(") + g.expression("int") + ")::int" + g.or("", " + "+keys[0])
		case kind == "numeric":
			targets[i] = g.or("app.total", "avg") + "(" + g.expression("numeric") + ") FILTER (WHERE " + g.expression("bool") + ")"
		case kind == "text":
			targets[i] = "string_agg(" + g.expression("text") + ", ',' ORDER BY " + g.expression("int") + ")"
		default:
			targets[i] = "(array_agg(" + g.expression(kind) + "))[1]"
		}
	}
	having := ""
	if g.maybe(2) {
		having = " HAVING " + g.or("bool_or(", "every(") + g.expression("bool") + ")"
	}
	return "SELECT " + strings.Join(targets, ", ") + from + g.where() + " GROUP BY " + fmt.Sprintf(group, keys[0], keys[1]) + having
}

func (g *generator) where() string {
	if g.maybe(2) {
		return ""
	}
	return " WHERE " + g.expression("bool")
}

func (g *generator) window() string {
	if !g.maybe(10) {
		return ""
	}
	return " WINDOW w AS (PARTITION BY " + g.expression("int") + " ORDER BY " + g.expression("text") + ")"
}

func (g *generator) order() string {
	if !g.maybe(4) {
		return ""
	}
	return " ORDER BY " + g.or("1", g.expression("int")+" DESC", g.expression("text")+" USING <", g.expression("mood")+" NULLS FIRST", "id", "name")
}

func (g *generator) limit() string {
	if !g.maybe(10) {
		return ""
	}
	outer := g.visible
	g.visible = nil // LIMIT sees no columns
	defer func() { g.visible = outer }()
	return g.or(" LIMIT ", " OFFSET ") + g.expression("int")
}

// TestOracleGenerated holds the facts of generated statements to what PostgreSQL says of them. ORACLE_STATEMENTS and ORACLE_SEED are for
// longer runs.
func TestOracleGenerated(t *testing.T) {
	number, seed := setting(t, "ORACLE_STATEMENTS", 3000), setting(t, "ORACLE_SEED", 1)
	pool := startPool(t)
	onServers(t, func(t *testing.T, s *server) {
		o := newOracle(t, s, pool, oracleScript)
		g := newGenerator(t, o, uint64(seed)) // #nosec G115 -- any number is good
		var count tally
		understood := 0
		for i, path := range searchPaths {
			o.search(t, path)
			for range (number + i) / len(searchPaths) {
				if o.try(t, g.statement(), path, &count) {
					understood++
				}
			}
		}
		t.Logf("%d of %d statements; %v", understood, number, count)
		count.check(t)
		if understood < number/3 {
			t.Error("too few of them are understood")
		}
	})
}

// setting is a number from the environment.
func setting(t *testing.T, name string, value int) int {
	t.Helper()
	if text := os.Getenv(name); text != "" {
		if _, err := fmt.Sscan(text, &value); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return value
}
