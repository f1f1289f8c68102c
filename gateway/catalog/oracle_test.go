package catalog

import (
	"context"
	_ "embed" // what statements are tried on
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sallyport/sallyport/authz/statement"
)

//go:embed testdata/oracle.sql
var oracleScript string

// oracle is a PostgreSQL that says what it understands by a text: the relations, columns, functions, operators and types of the query tree
// (debug_print_parse), and of the trees that views, rules, defaults and policies make of it (debug_print_rewritten). It runs nothing.
//
// The columns are those of the permission checks, which are exact: a whole row is one of its own, which pg_depend does not tell.
type oracle struct {
	server   *server
	database string
	snapshot *Snapshot
	pool     *statement.Pool
	conn     *pgx.Conn
	notices  []*pgconn.Notice

	relations map[uint32]*named
	functions map[uint32]statement.Name
	operators map[uint32]statement.Name
	types     map[uint32]statement.Name
	checks    map[uint32][]statement.Name // of domains
	rowTypes  map[uint32]uint32           // of relations
}

// named is a relation of the database.
type named struct {
	name    statement.Name
	kind    string
	columns map[int]string
}

// firstOwn is the first OID that initdb does not give.

// asker is who asks: somebody who may do everything and whom row security concerns.
const asker = "asker"

// newOracle makes a database of the script and opens it.
func newOracle(t testing.TB, s *server, pool *statement.Pool, script string) *oracle {
	t.Helper()
	database := s.database(t, script+grants(t, s))
	o := &oracle{server: s, database: database, pool: pool, snapshot: s.snapshot(t, database, pool.Analyze)}
	o.connect(t)
	o.learn(t)
	return o
}

// grants give the asker all of a database. The role is the server's, so another test may have made it.
func grants(t testing.TB, s *server) string {
	t.Helper()
	s.exec(t, "postgres", `DO $$ BEGIN CREATE ROLE `+asker+`; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	return `; DO $$ DECLARE s text; BEGIN FOR s IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema' LOOP
		EXECUTE format('GRANT ALL ON SCHEMA %I TO asker', s); EXECUTE format('GRANT ALL ON ALL TABLES IN SCHEMA %I TO asker', s);
		END LOOP; END $$`
}

// connect opens the session that is asked. It keeps the trees out of the server's log.
func (o *oracle) connect(t testing.TB) {
	t.Helper()
	config, err := pgx.ParseConfig(o.server.dsn("postgres", o.database))
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { o.notices = append(o.notices, n) }
	if o.conn, err = pgx.ConnectConfig(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.conn.Close(context.Background()) })
	o.exec(t, `SET log_min_messages = panic; SET log_min_error_statement = panic; SET debug_pretty_print = off; SET client_min_messages = log;
		CREATE TEMPORARY TABLE passing (id int, name text); GRANT ALL ON passing TO `+asker)
	o.exec(t, "SET ROLE "+asker)
}

func (o *oracle) exec(t testing.TB, sql string) {
	t.Helper()
	if _, err := o.conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// learn reads what OIDs stand for.
func (o *oracle) learn(t testing.TB) {
	t.Helper()
	o.relations, o.checks, o.rowTypes = map[uint32]*named{}, map[uint32][]statement.Name{}, map[uint32]uint32{}
	o.functions, o.operators, o.types = map[uint32]statement.Name{}, map[uint32]statement.Name{}, map[uint32]statement.Name{}
	names := map[string]map[uint32]statement.Name{
		"SELECT oid, pronamespace::regnamespace::text, proname FROM pg_catalog.pg_proc":                                                                                   o.functions,
		"SELECT oid, oprnamespace::regnamespace::text, oprname FROM pg_catalog.pg_operator":                                                                               o.operators,
		"SELECT t.oid, t.typnamespace::regnamespace::text, coalesce(e.typname, t.typname) FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid": o.types,
	}
	for sql, into := range names {
		o.each(t, sql, func(oid uint32, schema, name string) {
			into[oid] = statement.Name{Schema: unquoted(schema), Name: name}
		})
	}
	o.each(t, "SELECT oid, relnamespace::regnamespace::text, relkind::text || relname FROM pg_catalog.pg_class", func(oid uint32, schema, name string) {
		o.relations[oid] = &named{name: statement.Name{Schema: unquoted(schema), Name: name[1:]}, kind: name[:1], columns: map[int]string{0: "*"}}
	})
	o.each(t, "SELECT attrelid, attnum::text, attname FROM pg_catalog.pg_attribute", func(oid uint32, number, name string) {
		if n, err := strconv.Atoi(number); err == nil && o.relations[oid] != nil {
			o.relations[oid].columns[n] = name
		}
	})
	o.each(t, "SELECT oid, reltype::text, '' FROM pg_catalog.pg_class", func(oid uint32, rowType, _ string) {
		if n, err := strconv.ParseUint(rowType, 10, 32); err == nil {
			o.rowTypes[oid] = uint32(n)
		}
	})
	o.each(t, domainChecks, func(oid uint32, schema, name string) {
		o.checks[oid] = append(o.checks[oid], statement.Name{Schema: unquoted(schema), Name: name})
	})
}

// domainChecks are the functions of domains' checks, those of the domains they are made of included.
const domainChecks = `WITH RECURSIVE based (domain, base) AS (SELECT oid, oid FROM pg_catalog.pg_type WHERE typtype = 'd'
		UNION SELECT b.domain, t.typbasetype FROM based b JOIN pg_catalog.pg_type t ON t.oid = b.base WHERE t.typtype = 'd')
	SELECT b.domain, p.pronamespace::regnamespace::text, p.proname
	FROM based b JOIN pg_catalog.pg_constraint k ON k.contypid = b.base
	JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid AND d.refclassid = 'pg_catalog.pg_proc'::regclass
	JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid`

// unquoted undoes what regnamespace does to a name.
func unquoted(name string) string {
	if inner, ok := strings.CutPrefix(name, `"`); ok {
		return strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `""`, `"`)
	}
	return name
}

func (o *oracle) each(t testing.TB, sql string, take func(oid uint32, a, b string)) {
	t.Helper()
	rows, err := o.conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var oid uint32
		var a, b string
		if err := rows.Scan(&oid, &a, &b); err != nil {
			t.Fatal(err)
		}
		take(oid, a, b)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// search makes the schemas those that names are looked up in.
func (o *oracle) search(t testing.TB, path []string) {
	t.Helper()
	o.exec(t, "SET debug_print_parse = off; SET debug_print_rewritten = off")
	o.exec(t, "SET search_path = "+strings.Join(path, ", "))
	o.exec(t, "SET debug_print_parse = on; SET debug_print_rewritten = on")
}

// meaning is what a text means to PostgreSQL.
type meaning struct {
	relations map[uint32]*usage
	functions map[uint32]bool // false: not written as a call
	operators map[uint32]bool
	types     map[uint32]bool // cast to with words
	domains   map[uint32]bool // cast to, with or without
	values    map[uint32]bool // the types that values are of
}

// usage is what is done with a relation.
type usage struct {
	privileges    int // ACL_INSERT and so on
	read, written map[int]bool
}

// errUnknown says that the oracle does not know: the text is none that it understands, or a command that it does not show.
var errUnknown = errors.New("PostgreSQL does not say")

// ask returns what a text says, and what it comes to.
func (o *oracle) ask(ctx context.Context, text string) (says, comesTo *meaning, err error) {
	o.notices = o.notices[:0]
	_, err = o.conn.PgConn().Prepare(ctx, "", text, nil)
	if err != nil {
		return nil, nil, err
	}
	says, comesTo = newMeaning(), newMeaning()
	shown := false
	for _, notice := range o.notices {
		into := map[string]*meaning{"parse tree:": says, "rewritten parse tree:": comesTo}[notice.Message]
		if into == nil || notice.Detail == "" {
			continue
		}
		value, err := readTrees(notice.Detail)
		if err != nil {
			return nil, nil, err
		}
		visit(value, into.note)
		visit(value, func(n *tree) { shown = shown || n.tag == "QUERY" && n.number("commandType") != 6 })
	}
	if !shown {
		return nil, nil, errUnknown
	}
	return says, comesTo, nil
}

func newMeaning() *meaning {
	return &meaning{
		relations: map[uint32]*usage{}, functions: map[uint32]bool{}, operators: map[uint32]bool{}, types: map[uint32]bool{},
		domains: map[uint32]bool{}, values: map[uint32]bool{},
	}
}

// note takes one node in.
func (m *meaning) note(n *tree) {
	switch n.tag {
	case "RANGETBLENTRY", "RTE", "RTEPERMISSIONINFO": // with permissions of its own before 16
		m.relation(n)
	case "FUNCEXPR":
		m.function(n.oid("funcid"), n.number("funcformat") == 0 || n.number("funcformat") == 3)
	case "AGGREF":
		m.function(n.oid("aggfnoid"), true)
	case "WINDOWFUNC":
		m.function(n.oid("winfnoid"), true)
	case "TABLESAMPLECLAUSE":
		m.function(n.oid("tsmhandler"), true)
	case "OPEXPR", "DISTINCTEXPR", "NULLIFEXPR", "SCALARARRAYOPEXPR":
		m.operators[n.oid("opno")] = true
	case "ROWCOMPAREEXPR":
		for _, oid := range n.set("opnos") {
			m.operators[uint32(oid)] = true // #nosec G115 -- the server's own
		}
	case "COERCETODOMAIN":
		m.domains[n.oid("resulttype")] = true
	}
	for _, field := range []string{"vartype", "consttype", "funcresulttype", "resulttype", "row_typeid"} {
		m.values[n.oid(field)] = true
	}
	for _, field := range []string{"relabelformat", "coerceformat", "convertformat", "coercionformat", "row_format", "funcformat"} {
		if format, ok := n.fields[field]; ok && format == "1" {
			m.types[max(n.oid("resulttype"), n.oid("row_typeid"), n.oid("funcresulttype"))] = true
		}
	}
}

func (m *meaning) function(oid uint32, called bool) { m.functions[oid] = m.functions[oid] || called }

// firstLow is what attribute numbers are counted from in sets of them (FirstLowInvalidHeapAttributeNumber, access/sysattr.h).
const firstLow = -7

func (m *meaning) relation(n *tree) {
	oid, privileges := n.oid("relid"), n.number("requiredPerms")
	if oid == 0 || privileges == 0 {
		return
	}
	u := m.relations[oid]
	if u == nil {
		u = &usage{read: map[int]bool{}, written: map[int]bool{}}
		m.relations[oid] = u
	}
	u.privileges |= privileges
	for _, member := range n.set("selectedCols") {
		u.read[member+firstLow] = true
	}
	for _, member := range slices.Concat(n.set("insertedCols"), n.set("updatedCols")) {
		u.written[member+firstLow] = true
	}
}
