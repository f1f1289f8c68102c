package catalog

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz/statement"
)

// pgCatalog is searched before the schemas of every search path that does not name it.
const pgCatalog = "pg_catalog"

const (
	// maxResolved bounds what the names of one statement may stand for. Beyond it the facts are incomplete: a decision would look at
	// thousands of relations, and the client waits for it.
	maxResolved = 2000
	// maxNames bounds the names in the facts of a text: columns, what relations are reached through, and above all partitions, which come again
	// with each relation that has them. Policy looks at each, which takes the default policy some microseconds: a table of 10,000 partitions and
	// a view of it are within the bound and take a good part of the time that a decision has.
	maxNames = 20_000
	// maxThrough bounds how many views may stand behind each other. PostgreSQL's own limit is its stack.
	maxThrough = 32
)

// Resolve returns the facts of a text as they are when its names are looked up in this snapshot, by a session that searches the schemas of
// path after pg_catalog. The given sheet is not changed. A name that is not found keeps its form, and is in Statement.Unknown: no such thing
// exists, it is a temporary one, or it was defined past the gateway after the snapshot was read. Catalog.Fresh tells the last from the others.
//
// Which of several schemas a name leads to can depend on privileges that the session has and the snapshot does not know (a schema without
// USAGE is passed over). All of them are named then. So is every function that could be meant by a call: which of those of a name it is
// depends on the types of the arguments.
//
// Who asks for the same sheet and path again gets the same sheet, while it is remembered: it is shared between sessions and must not be
// changed.
func (s *Snapshot) Resolve(sheet *statement.Sheet, path []string) *statement.Sheet {
	return s.ResolveNumbered(sheet, path, "")
}

// ResolveNumbered is Resolve for a text to whose parameters types are given by number. They are among the facts like those that it names.
func (s *Snapshot) ResolveNumbered(sheet *statement.Sheet, path []string, parameters Numbered) *statement.Sheet {
	return s.resolved.get(sheet, path, parameters, func() *statement.Sheet { return s.resolve(sheet, path, parameters) })
}

func (s *Snapshot) resolve(sheet *statement.Sheet, path []string, parameters Numbered) *statement.Sheet {
	out := *sheet
	out.Resolved = true
	out.Statements = make([]statement.Statement, len(sheet.Statements))
	names := maxNames
	for i := range sheet.Statements {
		r := &resolver{snapshot: s, path: path, parameters: parameters.oids(), left: &names}
		out.Statements[i] = r.statement(&sheet.Statements[i])
		if r.tooMuch && out.Complete {
			incomplete(&out, "too many relations behind its names")
		}
		if r.unnumbered && out.Complete {
			incomplete(&out, "a parameter is given a type that is not known")
		}
	}
	return &out
}

// resolver collects what one statement means.
type resolver struct {
	snapshot   *Snapshot
	path       []string
	parameters []uint32 // types given by number

	relations []statement.Relation
	known     map[string]int // of relations, by relationKey
	functions []statement.Function
	called    map[string]bool // functions, by functionKey
	operators []statement.Object
	types     []statement.Object
	opaque    []string
	unknown   []statement.Name
	tooMuch   bool

	unnumbered bool // a parameter's type is not known
	left       *int // of maxNames, for all statements of the text

	followed       map[coercing][][]statement.Name // whose coercions are added, and through what the function was reached
	written, built bool                            // which coercions there may be: see Coercion
	coerces        bool                            // there are some
}

// coercing is a function with the coercions that there may be of its values.
type coercing struct {
	function       *Function
	written, built bool
}

func (r *resolver) statement(s *statement.Statement) statement.Statement {
	r.known, r.called, r.followed = map[string]int{}, map[string]bool{}, map[coercing][][]statement.Name{}
	r.opaque = slices.Clone(s.Opaque)
	r.written = s.Hints.Casts || s.Hints.Converts
	r.built = s.Hints.Builds || slices.ContainsFunc(s.Functions, func(f statement.Function) bool { return r.snapshot.Functions[f.Name] != nil })
	for i := range s.Relations {
		r.relation(s.Relations[i])
	}
	for _, f := range s.Functions {
		r.function(f, r.path)
	}
	out := *s
	out.Attributes = r.attributes(s.Attributes)
	for _, name := range s.Hints.Calls {
		r.perhapsCalled(name)
	}
	r.operatorsOf(s)
	for _, t := range s.Types {
		r.typeNamed(t)
	}
	for _, oid := range r.parameters {
		r.typeNumbered(oid)
	}
	r.fields(s)
	if hasExpressions(s) {
		r.coerced(r.snapshot.Coercions, nil)
	}
	out.Relations, out.Functions, out.Operators, out.Types = orEmpty(r.relations), orEmpty(r.functions), orEmpty(r.operators), orEmpty(r.types)
	out.Opaque, out.Unknown = orEmpty(r.opaque), orEmpty(r.unknown)
	out.Hints.Coerces = r.coerces
	out.Unfiltered = make([]statement.Name, len(s.Unfiltered))
	for i, name := range s.Unfiltered {
		out.Unfiltered[i] = name
		if found := r.lookup(name); len(found) > 0 {
			out.Unfiltered[i] = found[0].Name
		}
	}
	return out
}

// hasExpressions says whether there may be values in a statement. In those that move the transaction, settings and names there are none, but
// for what DECLARE and PREPARE hold and what EXECUTE passes.
func hasExpressions(s *statement.Statement) bool {
	return s.Class != statement.ClassTransaction && s.Class != statement.ClassSession || slices.ContainsFunc(s.Commands, func(command string) bool {
		return command == "DECLARE" || command == "PREPARE" || command == "EXECUTE"
	})
}

// lookup finds the relations a name may mean, the likeliest first.
func (r *resolver) lookup(name statement.Name) []*Relation {
	if name.Schema != "" {
		if found := r.snapshot.Relations[name]; found != nil {
			return []*Relation{found}
		}
		return nil
	}
	if found := r.snapshot.Relations[statement.Name{Schema: pgCatalog, Name: name.Name}]; found != nil && !slices.Contains(r.path, pgCatalog) {
		return []*Relation{found} // needs no privilege, so it hides the others
	}
	var found []*Relation
	for _, schema := range r.path {
		if relation := r.snapshot.Relations[statement.Name{Schema: schema, Name: name.Name}]; relation != nil {
			found = append(found, relation)
		}
	}
	return found
}

// relation resolves a relation of the text.
func (r *resolver) relation(fact statement.Relation) {
	found := []*Relation(nil)
	if !fact.Temporary {
		found = r.lookup(statement.Name{Schema: fact.Schema, Name: fact.Name})
	}
	if len(found) == 0 {
		r.add(fact)
		if !fact.Temporary && !slices.Contains(fact.Access, "create") {
			r.unknownName(fact.Schema, fact.Name)
		}
	}
	for _, relation := range found {
		r.use(relation, fact, nil)
	}
}

// use adds a relation that is used as a fact of the text, or of a view's definition, says, and all that is behind it.
func (r *resolver) use(relation *Relation, fact statement.Relation, through []statement.Name) {
	if len(through) >= maxThrough {
		r.tooMuch = true
		return
	}
	fact.Schema, fact.Name, fact.Kind, fact.Through = relation.Name.Schema, relation.Name.Name, string(relation.Kind), through
	fact.Rules = relation.Rules
	fact.Ancestors, fact.Descendants = relation.familyNames()
	if len(through) == 0 { // a view's own are known with it
		r.coercedIn(relation, fact)
	}
	fact.Columns = r.columns(relation, fact.Columns, len(through) == 0)
	r.add(fact)
	if r.tooMuch || relation.System || !touches(fact.Access) || slices.Contains(through, relation.Name) {
		return
	}
	inner := append(slices.Clone(through), relation.Name)
	r.hooks(relation, fact, inner)
	r.behind(relation, fact, inner)
	for _, read := range relation.Consulted {
		r.use(read, statement.Relation{Access: []string{"select"}, AllUnsure: true}, inner)
	}
	r.cascades(relation, fact, inner)
}

// cascades adds what foreign keys change that refer to a relation, or to one that it has its rows from: a key may refer to a partition alone.
// A key that refers to a partitioned table refers to each of its partitions too, and is followed once.
func (r *resolver) cascades(relation *Relation, fact statement.Relation, through []statement.Name) {
	if !writes(fact.Access) {
		return
	}
	var followed []*Cascade
	follow := func(c *Cascade, through []statement.Name) {
		if !slices.ContainsFunc(followed, c.does) {
			followed = append(followed, c)
			r.cascade(c, fact, through)
		}
	}
	for i := range relation.Cascades {
		follow(&relation.Cascades[i], through)
	}
	for _, part := range relation.Descendants {
		for i := range part.Cascades {
			follow(&part.Cascades[i], append(slices.Clone(through), part.Name))
		}
	}
}

// does says whether another key does the same to the same relation.
func (c *Cascade) does(other *Cascade) bool {
	return c.Relation == other.Relation && c.OnDelete == other.OnDelete && c.OnUpdate == other.OnUpdate &&
		slices.Equal(c.To, other.To) && slices.Equal(c.Key, other.Key)
}

// movedBy says whether what the key refers to may be another when these columns are assigned.
func (c *Cascade) movedBy(written []string) bool {
	return c.Computed || slices.Contains(written, wholeRow) || slices.ContainsFunc(c.To, func(column string) bool { return slices.Contains(written, column) })
}

// cascade adds what a foreign key changes when a relation it refers to is changed, and the casts by which its rows are looked for.
func (r *resolver) cascade(c *Cascade, fact statement.Relation, through []statement.Name) {
	change := func(verb string) {
		r.coercedBy(c.Relation, statement.Relation{Columns: c.Key}, append(slices.Clone(through), c.Relation.Name))
		if verb == "" {
			return
		}
		written := c.Key
		if verb == "delete" {
			written = nil
		}
		r.use(c.Relation, statement.Relation{Access: []string{verb}, Columns: c.Key, Written: orEmpty(written)}, through)
	}
	moved := slices.Contains(fact.Access, "update") && c.movedBy(fact.Written)
	if moved {
		change(c.OnUpdate)
	}
	// Before 15 a row that an UPDATE moves to another partition is deleted where it was, and what a DELETE does is done.
	if slices.Contains(fact.Access, "delete") || moved && r.snapshot.Version < 150000 {
		change(c.OnDelete)
	}
}

// columns keeps the columns that the relation has. What else is named of it may be a function that is called with its row.
func (r *resolver) columns(relation *Relation, named []string, text bool) []string {
	columns := make([]string, 0, len(named))
	whole := false
	for _, name := range named {
		switch {
		case name == "*":
			whole = true
		case isSystemColumn(name) || slices.Contains(relation.Columns, name):
			columns = append(columns, name)
		case text && r.perhapsCalled(name):
			whole = true
		}
	}
	if whole {
		columns = append(append(columns, "*"), relation.Columns...)
	}
	slices.Sort(columns)
	return slices.Compact(columns)
}

// isSystemColumn says whether every table has the column (https://www.postgresql.org/docs/current/ddl-system-columns.html).
func isSystemColumn(name string) bool {
	switch name {
	case "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid":
		return true
	}
	return false
}

// hooks adds the functions that run unseen.
func (r *resolver) hooks(relation *Relation, fact statement.Relation, through []statement.Name) {
	for _, f := range slices.Concat(relation.OnRead, relation.Planned) {
		r.addCall(f, nil, through)
	}
	for _, part := range relation.Descendants {
		for _, f := range part.Planned {
			r.addCall(f, nil, append(slices.Clone(through), part.Name))
		}
	}
	if !writes(fact.Access) && !computes(fact.Access) {
		return
	}
	for _, f := range relation.OnWrite {
		r.addCall(f, nil, through)
	}
	for _, part := range relation.Descendants { // where the rows are
		for _, f := range part.OnWrite {
			r.addCall(f, nil, append(slices.Clone(through), part.Name))
		}
	}
}

// touches says whether more is done than to look a name up: rows are read or written, or who knows.
func touches(access []string) bool {
	return len(access) != 1 || access[0] != "lookup" && access[0] != "usage"
}

// writes says whether rows are changed.
func writes(access []string) bool {
	return slices.ContainsFunc(access, func(verb string) bool {
		return verb == "insert" || verb == "update" || verb == "delete" || verb == "truncate"
	})
}

// computes says whether what is stored is computed anew: the query of a materialized view, the expressions of indexes.
func computes(access []string) bool {
	return slices.Contains(access, "refresh") || slices.Contains(access, "maintain")
}

// behind adds what a view reads and, when it is written to, the relation that PostgreSQL writes to in its place: the only one in its FROM
// clause, which its facts name first (https://www.postgresql.org/docs/current/sql-createview.html, updatable views).
func (r *resolver) behind(relation *Relation, fact statement.Relation, through []statement.Name) {
	if relation.Kind != KindView && relation.Kind != KindMaterializedView {
		return
	}
	if relation.Definition == nil {
		r.hidden("VIEW " + relation.Name.Schema + "." + relation.Name.Name)
		return
	}
	for i := range relation.Definition.Statements {
		s := &relation.Definition.Statements[i]
		r.converted(s, through)
		for at, inner := range s.Relations {
			if at == 0 && i == 0 {
				inner = written(inner, fact.Access)
			}
			r.inDefinition(locked(inner, fact.Access), through)
		}
		for _, f := range s.Functions {
			r.functionThrough(f, through)
		}
		for _, operator := range s.Operators {
			r.operatorThrough(operator, through)
		}
		for _, word := range s.Opaque {
			r.hidden(word)
		}
	}
}

// written gives the relation behind a view the access that the view is written with. Which of its columns that are is not followed.
func written(inner statement.Relation, access []string) statement.Relation {
	if !writes(access) {
		return inner
	}
	inner.Access = union(inner.Access, access)
	inner.Written = []string{"*"}
	return inner
}

// locked gives a relation behind a view the lock of SELECT FOR UPDATE and its kin on the view, which locks the rows it comes from
// (markQueryForLocking in rewriteHandler.c).
func locked(inner statement.Relation, access []string) statement.Relation {
	if slices.Contains(access, "lock") {
		inner.Access = union(inner.Access, []string{"lock"})
	}
	return inner
}

// inDefinition adds a relation of a view's definition, where every name has its schema but those of pg_catalog.
func (r *resolver) inDefinition(fact statement.Relation, through []statement.Name) {
	name := statement.Name{Schema: fact.Schema, Name: fact.Name}
	if name.Schema == "" {
		name.Schema = pgCatalog
	}
	if found := r.snapshot.Relations[name]; found != nil {
		r.use(found, fact, through)
		return
	}
	fact.Schema, fact.Through = name.Schema, through
	r.add(fact)
}

func (r *resolver) hidden(what string) {
	if !slices.Contains(r.opaque, what) {
		r.opaque = append(r.opaque, what)
		slices.Sort(r.opaque)
	}
}

// add adds a relation, or adds to it.
func (r *resolver) add(fact statement.Relation) {
	key := relationKey(&fact)
	at, ok := r.known[key]
	if !ok {
		if len(r.relations) >= maxResolved || !r.spend(1+len(fact.Columns)+len(fact.Through)+len(fact.Ancestors)+len(fact.Descendants)) {
			r.tooMuch = true
			return
		}
		r.known[key] = len(r.relations)
		r.relations = append(r.relations, fact)
		return
	}
	old := &r.relations[at]
	old.Access, old.Columns, old.Written = union(old.Access, fact.Access), union(old.Columns, fact.Columns), union(old.Written, fact.Written)
	old.AllUnsure = old.AllUnsure || fact.AllUnsure
	old.Temporary = old.Temporary || fact.Temporary
}

// spend takes names off what is left. It says whether there were so many.
func (r *resolver) spend(names int) bool {
	*r.left -= names
	return *r.left >= 0
}

func relationKey(fact *statement.Relation) string {
	var b strings.Builder
	b.WriteString(fact.Schema + "\x00" + fact.Name)
	for _, name := range fact.Through {
		b.WriteString("\x00" + name.Schema + "\x00" + name.Name)
	}
	return b.String()
}

func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return orEmpty(slices.Compact(all))
}

func namesOf(relations []*Relation) []statement.Name {
	if len(relations) == 0 {
		return nil
	}
	names := make([]statement.Name, len(relations))
	for i, relation := range relations {
		names[i] = relation.Name
	}
	return names
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
