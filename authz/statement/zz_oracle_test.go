package statement

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)


type vis struct { name string; cols []string }
type g struct { r *rand.Rand; depth int; ctes []vis; scope []vis; n int }

func (g *g) pick(s ...string) string { return s[g.r.Intn(len(s))] }
func (g *g) p(n int) bool { return g.r.Intn(100) < n }

var tabs = []vis{{"customers", []string{"id","name","ssn","salary","city"}}, {"orders", []string{"id","customer_id","total","note","ssn"}}, {"secrets", []string{"id","v","ssn","x"}}, {"x", []string{"id","y","z"}}}
var cols = []string{"id", "name", "ssn", "salary", "city", "customer_id", "total", "note", "v", "x", "y", "z", "a", "customers", "orders", "s"}
var names = []string{"customers", "orders", "secrets", "x", "s", "t", "ssn", "id", "a", "b", "q", "r", "u"}

func (g *g) alias() string { return g.pick(names...) }
func (g *g) col() string { return g.pick(cols...) }
func (g *g) one() vis {
	if len(g.scope) == 0 || g.p(3) { return vis{g.alias(), cols} }
	if g.p(60) { return g.scope[len(g.scope)-1-g.r.Intn(min(2, len(g.scope)))] }
	return g.scope[g.r.Intn(len(g.scope))]
}
func (g *g) ref() string {
	v := g.one()
	c := g.col()
	if len(v.cols) > 0 && !g.p(3) { c = g.pick(v.cols...) }
	switch g.r.Intn(12) {
	case 0,1,2,3: return c
	case 4: return "(" + v.name + ")." + c
	case 5: return v.name
	case 6: return c + "(" + v.name + ")"
	case 7: return v.name + ".pg_typeof"
	default: return v.name + "." + c
	}
}
func (g *g) expr() string {
	g.depth++
	defer func() { g.depth-- }()
	n := g.r.Intn(30)
	if g.depth > 5 { n = g.r.Intn(14) }
	switch {
	case n < 11: return g.ref()
	case n < 13: return g.pick("1", "'a'", "null::text")
	case n < 14: return "f1(length((" + g.ref() + ")::text))"
	case n < 15: return "(" + g.expr() + ")::text"
	case n < 16: return "coalesce((" + g.expr() + ")::text, 'x')"
	case n < 19:
		sc := g.scope; f := g.from(); q := "((SELECT (" + g.expr() + ")::text" + f + " LIMIT 1))"; g.scope = sc; return q
	case n < 21: return "EXISTS (" + g.query() + ")"
	case n < 22:
		sc := g.scope; f := g.from(); q := "ARRAY(SELECT (" + g.expr() + ")::text" + f + ")"; g.scope = sc; return q
	case n < 23: return "CASE WHEN " + g.expr() + " IS NULL THEN (" + g.expr() + ")::text END"
	case n < 24: return "((" + g.expr() + ")::text = (" + g.expr() + ")::text)"
	case n < 25: return "ROW(" + g.one().name + ".*)"
	case n < 26:
		sc := g.scope; f := g.from(); q := "((" + g.expr() + ")::text IN (SELECT (" + g.expr() + ")::text" + f + "))"; g.scope = sc; return q
	case n < 27: return "to_jsonb(" + g.one().name + ")"
	case n < 28: return g.pick("app.customers", "app.orders", "app.x") + "." + g.pick("id", "ssn", "y")
	default: return g.ref()
	}
}
func (g *g) collist(c []string) (string, []string) {
	n := 1 + g.r.Intn(2)
	out := slices.Clone(c)
	var l []string
	for i := range n {
		x := g.col()
		l = append(l, x)
		if i < len(out) { out[i] = x } else { out = append(out, x) }
	}
	return "(" + strings.Join(l, ", ") + ")", out
}
func (g *g) named(name string, c []string, force bool) (string, vis) {
	if !force && g.p(40) { return "", vis{name, c} }
	a := g.alias()
	if g.p(70) { g.n++; a = fmt.Sprintf("%s%d", g.pick("a", "b"), g.n) }
	s := " AS " + a
	if g.p(25) { l, out := g.collist(c); return s + l, vis{a, out} }
	return s, vis{a, c}
}
func (g *g) table() (string, vis) {
	if len(g.ctes) > 0 && g.p(40) { c := g.ctes[g.r.Intn(len(g.ctes))]; return c.name, c }
	t := tabs[g.r.Intn(len(tabs))]
	if g.p(25) { return "app." + t.name, t }
	return t.name, t
}
func (g *g) simple() (string, []vis) {
	t, v := g.table()
	a, nv := g.named(v.name, v.cols, false)
	return t + a, []vis{nv}
}
func (g *g) item() (string, []vis) {
	g.depth++
	defer func() { g.depth-- }()
	n := g.r.Intn(20)
	if g.depth > 4 { n = g.r.Intn(8) }
	switch {
	case n < 8: return g.simple()
	case n < 11:
		lat := g.pick("", "LATERAL ")
		sc := g.scope
		if lat == "" && !g.p(30) { /* scope without siblings: approximated by caller */ }
		q, c := g.queryCols()
		g.scope = sc
		a, v := g.named("", c, true)
		return lat + "(" + q + ")" + a, []vis{v}
	case n < 12:
		a, v := g.named("", []string{"column1", "column2"}, true)
		return "(VALUES (1, 'a'), (2, (" + g.expr() + ")::text))" + a, []vis{v}
	case n < 13:
		f := g.pick("srf2(2)", "generate_series(1, 2)")
		c := []string{"a", "ssn"}; nm := "srf2"
		if f[0] == 'g' { c = []string{"generate_series"}; nm = "generate_series" }
		a, v := g.named(nm, c, false)
		if f[0] == 'g' && a != "" && !strings.Contains(a, "(") { v.cols = []string{v.name} }
		return f + a, []vis{v}
	case n < 17:
		l, lv := g.item()
		r, rv := g.item()
		vs := append(slices.Clone(lv), rv...)
		j := l + " " + g.pick("JOIN", "LEFT JOIN", "FULL JOIN") + " " + r
		switch g.r.Intn(4) {
		case 0: j += " USING (" + g.pick("id", "ssn") + ")" + g.pick("", "", " AS ju"); 
		default:
			sc := g.scope; g.scope = append(slices.Clone(sc), vs...); j += " ON (" + g.expr() + ") IS NULL"; g.scope = sc
			if strings.Contains(j, "FULL JOIN") { j = strings.Replace(j, "FULL JOIN", "JOIN", -1) }
		}
		if g.p(40) {
			var all []string
			for _, v := range vs { all = append(all, v.cols...) }
			a, v := g.named("", all, true)
			return "(" + j + ")" + a, []vis{v}
		}
		return j, vs
	case n < 18:
		l, lv := g.item(); r, rv := g.item()
		return l + " NATURAL JOIN " + r, append(lv, rv...)
	default:
		l, lv := g.item(); r, rv := g.item()
		return l + " CROSS JOIN " + r, append(lv, rv...)
	}
}
func (g *g) from() string {
	n := 1 + g.r.Intn(2)
	var l []string
	var add []vis
	base := g.scope
	for range n {
		if g.p(50) { g.scope = append(slices.Clone(base), add...) } else { g.scope = base }
		s, v := g.item(); l = append(l, s); add = append(add, v...)
	}
	g.scope = append(slices.Clone(base), add...)
	return " FROM " + strings.Join(l, ", ")
}
func (g *g) query() string { q, _ := g.queryCols(); return q }
func (g *g) queryCols() (string, []string) {
	g.depth++
	saved, sc := g.ctes, g.scope
	defer func() { g.depth--; g.ctes, g.scope = saved, sc }()
	var b strings.Builder
	if g.depth < 4 && g.p(20) {
		b.WriteString("WITH ")
		rec := g.p(30)
		if rec { b.WriteString("RECURSIVE ") }
		n := 1 + g.r.Intn(2)
		for i := range n {
			if i > 0 { b.WriteString(", ") }
			name := g.pick("customers", "orders", "c1", "c2", "x")
			q, c := g.queryCols()
			b.WriteString(name)
			if g.p(30) { l, out := g.collist(c); b.WriteString(l); c = out }
			b.WriteString(" AS (" + q + ")")
			g.ctes = append(slices.Clone(g.ctes), vis{name, c})
		}
		b.WriteString(" ")
	}
	from := ""
	if !g.p(5) { from = g.from() }
	b.WriteString("SELECT ")
	if g.p(6) { b.WriteString("DISTINCT ON ((" + g.expr() + ")::text) ") }
	var outs []string
	nt := 1 + g.r.Intn(2)
	for i := range nt {
		if i > 0 { b.WriteString(", ") }
		switch g.r.Intn(10) {
		case 0: b.WriteString("*"); for _, v := range g.scope[len(sc):] { outs = append(outs, v.cols...) }
		case 1: v := g.one(); b.WriteString(v.name + ".*"); outs = append(outs, v.cols...)
		case 2,3,4: e := g.ref(); b.WriteString(e); if j := strings.LastIndex(e, "."); !strings.Contains(e, "(") { outs = append(outs, e[j+1:]) } else { outs = append(outs, g.col()) }
		default: c := g.col(); b.WriteString("(" + g.expr() + ")::text AS " + c); outs = append(outs, c)
		}
	}
	b.WriteString(from)
	if g.p(50) { b.WriteString(" WHERE (" + g.expr() + ") IS NOT NULL") }
	if g.p(15) && nt == 1 && g.depth > 1 { b.WriteString(" ORDER BY " + g.pick(g.col(), outsOr(outs, g), g.ref())) }
	return b.String(), outs
}
func outsOr(o []string, g *g) string { if len(o) == 0 { return g.col() }; return g.pick(o...) }

func TestOracle(t *testing.T) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, "host=/tmp/stx/pg port=5999 user=postgres database=postgres sslmode=disable")
	if err != nil { t.Fatal(err) }
	defer c.Close(ctx)
	seed := int64(1)
	if s := os.Getenv("SEED"); s != "" { fmt.Sscan(s, &seed) }
	n := 20000
	if s := os.Getenv("N"); s != "" { fmt.Sscan(s, &n) }
	c.Exec(ctx, "set search_path=app")
	ok, bad := 0, 0
	for i := range n {
		gg := &g{r: rand.New(rand.NewSource(seed*1_000_000 + int64(i)))}
		q := gg.query()
		if len(q) > 3000 { continue }
		tx, err := c.Begin(ctx)
		if err != nil { t.Fatal(err) }
		// wrap to avoid duplicate column names
		if _, err := tx.Exec(ctx, "CREATE TEMP VIEW gw AS SELECT 1 AS one FROM ("+q+") AS gw_outer"); err != nil {
			tx.Rollback(ctx)
			continue
		}
		ok++
		rows, _ := tx.Query(ctx, `select coalesce(n.nspname||'.'||c.relname, ''), coalesce(a.attname,''), coalesce(p.proname,''), d.refobjsubid
 from pg_rewrite r join pg_depend d on d.classid='pg_rewrite'::regclass and d.objid=r.oid
 left join pg_class c on d.refclassid='pg_class'::regclass and c.oid=d.refobjid left join pg_namespace n on n.oid=c.relnamespace
 left join pg_attribute a on a.attrelid=c.oid and a.attnum=d.refobjsubid and d.refobjsubid<>0
 left join pg_proc p on d.refclassid='pg_proc'::regclass and p.oid=d.refobjid where r.ev_class='gw'::regclass`)
		sheet, perr := parse(q)
		var missing []string
		for rows.Next() {
			var rel, col, fn string
			var sub int
			rows.Scan(&rel, &col, &fn, &sub)
			if perr != nil { continue }
			if strings.HasPrefix(rel, "pg_temp") { continue }
			if rel != "" {
				if !hasRel(sheet, strings.TrimPrefix(rel, "app."), col) { missing = append(missing, fmt.Sprintf("%s.%s(%d)", rel, col, sub)) }
			}
			if fn != "" && !hasFn(sheet, fn) { missing = append(missing, "fn "+fn) }
		}
		rows.Close()
		tx.Rollback(ctx)
		if perr != nil { t.Logf("parse %v: %s", perr, q); continue }
		if len(missing) > 0 {
			bad++
			if bad < 12 { t.Errorf("seed %d: missing %v\n%s\n%s", i, missing, q, describe(sheet)) }
		}
	}
	t.Logf("%d of %d valid, %d bad", ok, n, bad)
}

func hasRel(s *Sheet, name, col string) bool {
	for _, st := range s.Statements { for _, r := range st.Relations {
		if r.Name == name && (r.Schema == "" || r.Schema == "app") && slices.Contains(r.Access, "select") {
			if col == "" || r.AllUnsure || slices.Contains(r.Columns, "*") || slices.Contains(r.Columns, col) { return true }
		}
	} }
	return false
}
func hasFn(s *Sheet, name string) bool {
	for _, st := range s.Statements {
		for _, f := range st.Functions { if f.Name == name { return true } }
		if slices.Contains(st.Attributes, name) { return true }
		for _, r := range st.Relations { if slices.Contains(r.Columns, name) { return true } }
	}
	return false
}
