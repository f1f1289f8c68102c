package catalog

import (
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authz/statement"
)

// function resolves a call: to PostgreSQL's own function of the name and to all others of the schemas in path. When there is none, the
// name may be a type's: t(x) is x::t then (func_get_detail in parse_func.c).
func (r *resolver) function(fact statement.Function, path []string) {
	if fact.Schema != "" {
		r.functionIn(fact)
		return
	}
	found := false
	if r.snapshot.Builtin[fact.Name] {
		own := fact
		own.Schema = pgCatalog
		r.addFunction(own)
		found = true
	}
	for _, f := range r.snapshot.Functions[fact.Name] {
		if f.Name.Schema == pgCatalog || slices.Contains(path, f.Name.Schema) {
			r.addCall(f, fact.Constants, nil)
			found = true
		}
	}
	if len(r.typesNamed(statement.Object{Name: fact.Name})) > 0 {
		r.typeNamed(statement.Object{Name: fact.Name})
		return
	}
	if !found {
		r.addFunction(fact)
		r.unknownName("", fact.Name)
	}
}

// functionIn resolves a call that names the schema. Relations of PostgreSQL's own have the names of functions of its own.
func (r *resolver) functionIn(fact statement.Function) {
	found := false
	if fact.Schema == pgCatalog && r.snapshot.Builtin[fact.Name] {
		r.addFunction(fact)
		found = true
	}
	for _, f := range r.snapshot.Functions[fact.Name] {
		if f.Name.Schema == fact.Schema {
			r.addCall(f, fact.Constants, nil)
			found = true
		}
	}
	if row := (statement.Object{Schema: fact.Schema, Name: fact.Name}); !found && len(r.typesNamed(row)) > 0 {
		r.typeNamed(row)
		return
	}
	if !found {
		r.addFunction(fact)
		r.unknownName(fact.Schema, fact.Name)
	}
}

// functionThrough adds a function that a view's definition calls.
func (r *resolver) functionThrough(fact statement.Function, through []statement.Name) {
	if fact.Schema == "" {
		fact.Schema = pgCatalog
	}
	found := false
	for _, f := range r.snapshot.Functions[fact.Name] {
		if f.Name.Schema == fact.Schema {
			r.addCall(f, fact.Constants, through)
			found = true
		}
	}
	if !found {
		fact.Through = through
		r.addFunction(fact)
	}
}

// operatorThrough adds the function behind an operator of a view's definition.
func (r *resolver) operatorThrough(fact statement.Object, through []statement.Name) {
	for _, operator := range r.snapshot.Operators[fact.Name] {
		if operator.Name.Schema == fact.Schema && operator.Function != nil {
			r.addCall(operator.Function, nil, through)
		}
	}
}

// attributes are the names in (x).name that are no call: of those, no function has the name that could be called so.
func (r *resolver) attributes(names []string) []string {
	fields := []string{}
	for _, name := range names {
		r.perhapsCalled(name)
		if r.isType(name) {
			fields = append(fields, name) // a cast that is written like a field: policy shall know
			r.coercedTo(statement.Object{Name: name})
		}
	}
	return fields
}

func (r *resolver) isType(name string) bool {
	return len(r.typesNamed(statement.Object{Name: name})) > 0
}

// perhapsCalled adds the functions that x.name would call with x as the argument, if x has no column of the name. It says whether there
// are any. Those of PostgreSQL's own that a text shows are among its facts already, but for what is newer than the lists it is read by.
func (r *resolver) perhapsCalled(name string) bool {
	found := r.snapshot.Builtin[name] && !statement.Listed(name)
	if found {
		r.addFunction(statement.Function{Schema: pgCatalog, Name: name})
	}
	for _, f := range r.snapshot.Functions[name] {
		one := f.Minimum <= 1 && (f.Maximum >= 1 || f.Maximum < 0) && !f.Procedure
		if one && (f.Name.Schema == pgCatalog || slices.Contains(r.path, f.Name.Schema)) {
			r.addCall(f, nil, nil)
			found = true
		}
	}
	return found
}

// operatorsOf adds the operators a statement uses that are not PostgreSQL's own: those it names with their schema, and those that a name
// without one may mean.
func (r *resolver) operatorsOf(s *statement.Statement) {
	for _, named := range s.Operators {
		known := false
		for _, operator := range r.snapshot.Operators[named.Name] {
			if operator.Name.Schema == named.Schema {
				known, named.Extension = true, operator.Extension
				r.coerced(operator.Coercions, []statement.Name{operator.Name})
			}
		}
		r.addOperator(named)
		if !known {
			r.unknownName(named.Schema, named.Name)
		}
	}
	for _, name := range s.Hints.Operators {
		if !r.snapshot.BuiltinOperators[name] && len(r.snapshot.Operators[name]) == 0 {
			r.unknownName("", name)
		}
		for _, operator := range r.snapshot.Operators[name] {
			if operator.Name.Schema == pgCatalog || slices.Contains(r.path, operator.Name.Schema) {
				r.addOperator(statement.Object{Schema: operator.Name.Schema, Name: name, Extension: operator.Extension})
				r.coerced(operator.Coercions, []statement.Name{operator.Name})
			}
		}
	}
}

func (r *resolver) addOperator(o statement.Object) {
	if !slices.Contains(r.operators, o) {
		r.operators = append(r.operators, o)
	}
}

// typeNamed adds a type.
func (r *resolver) typeNamed(fact statement.Object) {
	found := r.typesNamed(fact)
	if len(found) == 0 {
		found = []statement.Object{fact}
		r.unknownName(fact.Schema, fact.Name)
	}
	for _, t := range found {
		if !slices.Contains(r.types, t) {
			r.types = append(r.types, t)
		}
	}
	r.coercedTo(fact)
}

// typesNamed finds the types a name may mean: types of their own, and the row types of relations. PostgreSQL's own name of an array type is
// that of its elements with underscores before it.
func (r *resolver) typesNamed(fact statement.Object) []statement.Object {
	schemas := []string{fact.Schema}
	if fact.Schema == "" {
		schemas = r.path
	}
	var found []statement.Object
	for _, schema := range schemas {
		for _, name := range []string{fact.Name, strings.TrimLeft(fact.Name, "_")} {
			for _, t := range r.snapshot.Types[name] {
				if t.Name.Schema == schema {
					found = append(found, statement.Object{Schema: schema, Name: name, Extension: t.Extension})
				}
			}
			if r.snapshot.Relations[statement.Name{Schema: schema, Name: name}] != nil {
				found = append(found, statement.Object{Schema: schema, Name: name})
			}
		}
	}
	return slices.Compact(found)
}

// addCall adds a function that was found, with what it is defined by and the coercions of its arguments.
func (r *resolver) addCall(f *Function, constants []string, through []statement.Name) {
	if r.call(f, constants, through) {
		r.inside(f, through)
	}
}

// call adds a function that was found. It says whether what is inside it has to be added as well.
func (r *resolver) call(f *Function, constants []string, through []statement.Name) bool {
	r.addFunction(described(f, constants, through))
	if f.Extension != "" && len(through) == 0 && statement.RunsText(f.Name.Name) {
		r.hidden("FUNCTION " + f.Name.Name) // what stands in a view is the view's
	}
	if r.tooMuch || r.reached(f, through) {
		return false
	}
	as := r.coercing(f)
	r.followed[as] = append(r.followed[as], through)
	return true
}

func (r *resolver) coercing(f *Function) coercing { return coercing{f, r.written, r.built} }

// reached says whether a function is known to run through no other names than these.
func (r *resolver) reached(f *Function, through []statement.Name) bool {
	return slices.ContainsFunc(r.followed[r.coercing(f)], func(known []statement.Name) bool {
		return !slices.ContainsFunc(known, func(n statement.Name) bool { return !slices.Contains(through, n) })
	})
}

// inside adds what a function is defined by and the coercions of its arguments. Each of these may run any other of the same type, by ways
// that nobody could count: one that leads through more names than another to the same function shows nothing new.
func (r *resolver) inside(f *Function, through []statement.Name) {
	through = append(slices.Clone(through), f.Name)
	r.coerced(slices.DeleteFunc(slices.Clone(f.Coercions), func(c Coercion) bool { return r.reached(c.Function, through) }), through)
}

func (r *resolver) addFunction(fact statement.Function) {
	key := functionKey(&fact)
	switch {
	case r.called[key]:
	case len(r.functions) >= maxResolved || !r.spend(1+len(fact.Through)):
		r.tooMuch = true
	default:
		r.called[key] = true
		r.functions = append(r.functions, fact)
	}
}

func functionKey(fact *statement.Function) string {
	var b strings.Builder
	b.WriteString(fact.Schema + "\x00" + fact.Name + "\x00" + fact.Language + fact.Volatility + fact.Extension)
	if fact.SecurityDefiner {
		b.WriteString("\x00definer")
	}
	for _, constant := range fact.Constants {
		b.WriteString("\x00" + constant)
	}
	for _, name := range fact.Through {
		b.WriteString("\x01" + name.Schema + "\x00" + name.Name)
	}
	return b.String()
}

// described is the fact of a function that was found.
func described(f *Function, constants []string, through []statement.Name) statement.Function {
	return statement.Function{
		Schema: f.Name.Schema, Name: f.Name.Name, Constants: constants, Language: f.Language, Volatility: f.Volatility,
		SecurityDefiner: f.SecurityDefiner, Extension: f.Extension, Through: through,
	}
}
