package statement

import (
	_ "embed" // the lists of PostgreSQL's own names
	"strings"
	"sync"
)

//go:embed catalog/functions.txt
var functionList string

//go:embed catalog/types.txt
var typeList string

// builtin is what is known of one of PostgreSQL's own functions.
type builtin uint8

const (
	builtinPlain builtin = iota
	builtinOne           // callable with one argument: (x).name
	builtinRow           // callable with a row of any table: t.name
)

// builtins are PostgreSQL's own functions by name.
var builtins = sync.OnceValue(func() map[string]builtin {
	functions := make(map[string]builtin, 3000)
	for name, note := range namesIn(functionList) {
		switch note {
		case "one":
			functions[name] = builtinOne
		case "row":
			functions[name] = builtinRow
		default:
			functions[name] = builtinPlain
		}
	}
	return functions
})

// builtinTypes are PostgreSQL's own types by name, without the row types of its catalogs: null::pg_authid is named in the facts.
var builtinTypes = sync.OnceValue(func() map[string]string { return namesIn(typeList) })

// namesIn reads lines of a name and a note; # begins a comment line.
func namesIn(list string) map[string]string {
	names := make(map[string]string)
	for line := range strings.Lines(list) {
		name, note, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" && name != "#" && !strings.HasPrefix(name, "#") {
			names[name] = note
		}
	}
	return names
}

// callableWithOne says whether (x).name may be a call of one of PostgreSQL's own functions. Names that only its own functions begin with
// count too: a newer release has functions this list does not.
func callableWithOne(name string) bool {
	if strings.HasPrefix(name, "pg_") || strings.HasPrefix(name, "lo_") || strings.HasPrefix(name, "has_") {
		return true
	}
	return builtins()[name] >= builtinOne
}

// Listed says whether the release that the lists are of has a function of its own with the name.
func Listed(function string) bool {
	_, ok := builtins()[function]
	return ok
}

// callableWithRow says whether t.name may be a call of one of PostgreSQL's own functions with a row of t.
func callableWithRow(name string) bool { return builtins()[name] == builtinRow }
