package statement

import (
	"maps"
	"slices"
	"strings"
)

// everyColumn stands for all columns of a relation.
const everyColumn = "*"

// facts collects what one statement says; statement() turns it into its final, ordered form.
type facts struct {
	command   string
	commands  []string
	order     []Name // of relations, as first named
	relations map[Name]*relation
	functions map[string]Function
	called    []string // keys of functions, as first called
	names     map[string]map[Name]struct{}
	words     map[string]map[string]struct{}
	settings  []Setting
	channels  []Channel
	copy      *Copy
	prepared  *Prepared
	explain   *Explain
	casts     bool // Hints.Casts, Hints.Builds and Hints.Converts
	builds    bool
	converts  bool
}

// relation is a Relation being collected.
type relation struct {
	temporary bool
	unsure    bool
	access    []string // few, without duplicates
	columns   map[string]struct{}
	written   map[string]struct{} // nil: nothing is
}

// What facts.names and facts.words hold.
const (
	factOperators  = "operators"
	factTypes      = "types"
	factUnfiltered = "unfiltered"
	factRoles      = "roles"
	factOpaque     = "opaque"
	factAttributes = "attributes"

	hintOperators = "operator names"
	hintCalls     = "calls"
	hintFields    = "fields"
)

func newFacts() *facts {
	return &facts{
		relations: map[Name]*relation{},
		functions: map[string]Function{},
		names:     map[string]map[Name]struct{}{},
		words:     map[string]map[string]struct{}{},
	}
}

// relation returns the entry of a relation, with access added.
func (f *facts) relation(schema, name string, access ...string) *relation {
	key := Name{Schema: schema, Name: name}
	r := f.relations[key]
	if r == nil {
		r = &relation{
			temporary: isTemporarySchema(schema),
			columns:   map[string]struct{}{},
		}
		f.relations[key] = r
		f.order = append(f.order, key)
	}
	for _, a := range access {
		r.accessed(a)
	}
	return r
}

func (r *relation) accessed(access string) {
	if !slices.Contains(r.access, access) {
		r.access = append(r.access, access)
	}
}

// isTemporarySchema says whether a schema is the session's own: pg_temp is an alias, pg_temp_3 the schema behind it.
func isTemporarySchema(schema string) bool {
	return schema == "pg_temp" || strings.HasPrefix(schema, "pg_temp_")
}

func (r *relation) read(column string) {
	r.accessed("select")
	r.columns[column] = struct{}{}
}

func (r *relation) readUnsure() {
	r.accessed("select")
	r.unsure = true
}

func (r *relation) write(column string) {
	r.columns[column] = struct{}{}
	if r.written == nil {
		r.written = map[string]struct{}{}
	}
	r.written[column] = struct{}{}
}

func (f *facts) runs(command string) {
	if command != "" && !slices.Contains(f.commands, command) {
		f.commands = append(f.commands, command)
	}
}

func (f *facts) calls(fn Function) {
	f.builds = f.builds || buildsValues(fn.Name)
	f.converts = f.converts || convertsValues(fn.Name)
	key := fn.Schema + "\x00" + fn.Name + "\x00" + strings.Join(fn.Constants, "\x00")
	if _, ok := f.functions[key]; !ok {
		f.functions[key] = fn
		f.called = append(f.called, key)
	}
}

// buildsValues says whether a function of PostgreSQL's own makes a value of the type of an argument: it gives an array or a row, or takes
// another argument for one of the same type, as lag(x, 1, 'y') does.
func buildsValues(function string) bool {
	switch function {
	case "lag", "lead", "width_bucket", "percentile_disc":
		return true
	}
	return strings.HasPrefix(function, "array_") || strings.Contains(function, "populate_record")
}

// convertsValues says whether a function of PostgreSQL's own, or what is syntax by now, makes JSON of values of any type: of one that has a
// cast to json by that cast (json_categorize_type in jsonfuncs.c). Or text: those that are written in SQL have the value's type to look for a
// cast when they are run, $1::text (pg_proc.dat).
func convertsValues(function string) bool {
	switch function {
	case "quote_literal", "quote_nullable", "textanycat", "anytextcat":
		return true
	case "to_json", "to_jsonb", "row_to_json", "array_to_json", "json",
		"json_array", "json_exists", "json_object", "json_query", "json_scalar", "json_serialize", "json_table", "json_value":
		return true
	}
	kind := strings.TrimPrefix(strings.TrimPrefix(function, "json_"), "jsonb_")
	return kind != function && (strings.Contains(kind, "agg") || strings.HasPrefix(kind, "build_"))
}

func (f *facts) named(fact string, name Name) {
	if f.names[fact] == nil {
		f.names[fact] = map[Name]struct{}{}
	}
	f.names[fact][name] = struct{}{}
}

func (f *facts) word(fact, word string) {
	if f.words[fact] == nil {
		f.words[fact] = map[string]struct{}{}
	}
	f.words[fact][word] = struct{}{}
}

func (f *facts) setting(s Setting) {
	if !slices.Contains(f.settings, s) {
		f.settings = append(f.settings, s)
	}
}

func (f *facts) channel(c Channel) {
	if !slices.Contains(f.channels, c) {
		f.channels = append(f.channels, c)
	}
}

// prepares records what the statement does to the session's names. The first (the outermost) action is the statement's own, what
// follows it merely uses names.
func (f *facts) prepares(p Prepared) {
	if f.prepared == nil {
		f.prepared = &p
		return
	}
	use := Use{Kind: "portal", Name: p.Name}
	if p.Action == "execute" {
		use.Kind = "statement"
	}
	if !slices.Contains(f.prepared.Uses, use) {
		f.prepared.Uses = append(f.prepared.Uses, use)
	}
}

// statement gives the collected facts their final form: every list is there, without duplicates.
func (f *facts) statement() Statement {
	s := Statement{
		Command:    f.command,
		Commands:   orEmpty(f.commands),
		Relations:  make([]Relation, 0, len(f.order)),
		Functions:  make([]Function, 0, len(f.called)),
		Attributes: sorted(f.words[factAttributes]),
		Operators:  objects(sortedNames(f.names[factOperators])),
		Types:      objects(sortedNames(f.names[factTypes])),
		Settings:   orEmpty(f.settings),
		Channels:   orEmpty(f.channels),
		Roles:      sorted(f.words[factRoles]),
		Unfiltered: sortedNames(f.names[factUnfiltered]),
		Opaque:     sorted(f.words[factOpaque]),
		Unknown:    []Name{},
		Copy:       f.copy,
		Prepared:   f.prepared,
		Explain:    f.explain,
		Hints: Hints{
			Operators: slices.Sorted(maps.Keys(f.words[hintOperators])), Calls: slices.Sorted(maps.Keys(f.words[hintCalls])),
			Fields: slices.Sorted(maps.Keys(f.words[hintFields])), Casts: f.casts, Builds: f.builds,
			Converts: f.converts,
		},
	}
	for _, name := range f.order {
		r := f.relations[name]
		slices.Sort(r.access)
		s.Relations = append(s.Relations, Relation{
			Schema: name.Schema, Name: name.Name, Temporary: r.temporary, AllUnsure: r.unsure,
			Access: orEmpty(r.access), Columns: sorted(r.columns), Written: sorted(r.written),
		})
	}
	for _, key := range f.called {
		s.Functions = append(s.Functions, f.functions[key])
	}
	return s
}

func objects(names []Name) []Object {
	list := make([]Object, 0, len(names))
	for _, n := range names {
		list = append(list, Object{Schema: n.Schema, Name: n.Name})
	}
	return list
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func sorted(set map[string]struct{}) []string {
	words := slices.AppendSeq(make([]string, 0, len(set)), maps.Keys(set))
	slices.Sort(words)
	return words
}

func sortedNames(set map[Name]struct{}) []Name {
	return orEmpty(slices.SortedFunc(maps.Keys(set), func(a, b Name) int {
		if c := strings.Compare(a.Schema, b.Schema); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	}))
}
