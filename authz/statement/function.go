package statement

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// What of a call's constants goes into the facts.
const (
	maxConstants      = 8   // arguments; those that name something come first
	maxConstantLength = 256 // bytes; four qualified, quoted names. A longer one is shown as not constant.
)

// call records a function call, with what it does to settings, channels and relations. The walk goes on through its fields.
func (w *walker) call(n *pg.FuncCall) {
	name := nameOf(n.GetFuncname())
	if name.Name == "" {
		w.incomplete("call without a name")
		return
	}
	args := arguments(n.GetArgs())
	fn := Function{Schema: name.Schema, Name: name.Name}
	own := name.Schema == "" || name.Schema == "pg_catalog"
	if !own || takesNames(name.Name) {
		fn.Constants = w.constants(args)
	}
	w.facts.calls(fn)
	if name == (Name{Schema: "pg_catalog", Name: "json_object"}) { // the grammar's way to write json_object(x), which before 16 is any function's name
		w.calls(Name{Name: name.Name})
	}
	if own {
		w.ownFunction(name.Name, args)
	}
	if len(args) == 1 && name.Schema == "" {
		w.systemColumn(args[0].value, name.Name)
	}
}

// takesNames says whether one of PostgreSQL's own functions takes the name of something in a string, or is none of its own. The others'
// constants are data.
func takesNames(name string) bool {
	if _, ok := builtins()[name]; !ok {
		return true
	}
	for _, prefix := range []string{"pg_", "has_", "lo_", "to_reg", "table_to_", "query_to_", "cursor_to_", "schema_to_", "database_to_", "reg", "brin_", "gin_", "ts_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{"set_config", "current_setting", "nextval", "currval", "setval", "row_security_active", "col_description"}, name)
}

// arg is an argument of a call.
type arg struct {
	name  string // of name => value
	value *pg.Node
}

type callArgs []arg

func arguments(list []*pg.Node) callArgs {
	args := make(callArgs, 0, len(list))
	for _, n := range list {
		if named := n.GetNamedArgExpr(); named != nil {
			args = append(args, arg{name: named.GetName(), value: named.GetArg()})
			continue
		}
		args = append(args, arg{value: n})
	}
	return args
}

// constants are the positional arguments that are constants; nil when none is.
func (w *walker) constants(a callArgs) []string {
	var constants []string
	found := false
	for _, argument := range a[:min(len(a), maxConstants)] {
		value, ok := w.constant(argument.value)
		if !ok || argument.name != "" || len(value) > maxConstantLength {
			value = ""
		}
		found = found || value != ""
		constants = append(constants, value)
	}
	if !found {
		return nil
	}
	return constants
}

// at returns an argument by position or name.
func (a callArgs) at(position int, name string) (*pg.Node, bool) {
	for i, argument := range a {
		if argument.name == "" && i == position || argument.name != "" && argument.name == name {
			return argument.value, true
		}
	}
	return nil, false
}

// text returns an argument that is a constant.
func (w *walker) text(a callArgs, position int, name string) (string, bool) {
	n, ok := a.at(position, name)
	if !ok {
		return "", false
	}
	return w.constant(n)
}

// ownFunction adds what calls of PostgreSQL's own functions do beyond computing a value. A function in another schema first in the search
// path would be called instead; the facts then say more than is so.
func (w *walker) ownFunction(name string, args callArgs) {
	switch name {
	case "set_config":
		w.setConfig(args)
	case "current_setting":
		setting, ok := w.text(args, 0, "setting_name")
		w.facts.setting(Setting{Name: settingName(setting, ok), Action: "show", Known: ok})
	case "pg_show_all_settings", "pg_show_all_file_settings":
		w.facts.setting(Setting{Name: everySetting, Action: "show", Known: true})
	case "pg_notify":
		channel, ok := w.text(args, 0, "")
		if !ok {
			channel = everyName
		}
		w.facts.channel(Channel{Name: channel, Action: "notify"})
	case "nextval", "setval", "currval":
		w.sequence(name, args)
	case "to_regclass", "regclass":
		if text, ok := w.text(args, 0, ""); ok {
			w.relationInText(text, "lookup")
		}
	case "pg_input_is_valid", "pg_input_error_info":
		w.inputOf(name, args)
	case "system_user":
		w.scope.column(name) // a keyword since 16, a column's name before
	default:
		w.xmlFunction(name, args)
	}
}

// sequence records the sequence a call moves or reads.
func (w *walker) sequence(function string, args callArgs) {
	access := "usage"
	if function == "setval" {
		access = "update"
	}
	text, ok := w.text(args, 0, "")
	if !ok || w.relationInText(text, access) == nil {
		w.opaque(function)
	}
}

// inputOf records the type whose input function a call runs, and with it the checks of a domain. It is written like in a cast.
func (w *walker) inputOf(function string, args callArgs) {
	text, ok := w.text(args, 1, "type_name")
	if !ok || len(text) > maxConstantLength {
		w.opaque(function)
		return
	}
	tree, _, err := parseTree("SELECT NULL::" + text)
	if err != nil {
		w.opaque(function)
		return
	}
	for _, raw := range tree.GetStmts() {
		w.visit("ParseResult.stmts", raw)
	}
}

// xmlFunction adds what functions do that read relations or run SQL they are given as text.
func (w *walker) xmlFunction(name string, args callArgs) {
	switch name {
	case "table_to_xml", "table_to_xmlschema", "table_to_xml_and_xmlschema":
		first, ok := w.text(args, 0, "tbl")
		if !ok {
			w.opaque(name)
			return
		}
		if r := w.relationInText(first, "select"); r != nil {
			r.read(everyColumn)
		} else {
			w.opaque(name) // a table by its oid
		}
	case "cursor_to_xml", "cursor_to_xmlschema":
		cursor, ok := w.text(args, 0, "cursor")
		if !ok {
			w.opaque(name)
			return
		}
		w.facts.prepares(Prepared{Action: "fetch", Name: w.name(cursor)})
	case "ts_rewrite":
		if len(args) == 2 {
			w.opaque(name)
		}
	default:
		if RunsText(name) {
			w.opaque(name)
		}
	}
}

// RunsText says whether a function of PostgreSQL's own, or of one of its extensions, runs SQL that it is given as text. The text tells for
// calls without a schema and for pg_catalog's; extensions are in any schema, and only a catalog knows theirs.
func RunsText(name string) bool { return runsText[name] || strings.HasPrefix(name, "dblink") }

// runsText are functions that run SQL given as text, or read whole schemas: PostgreSQL's own, and those of its extensions.
var runsText = wordSet(`
	query_to_xml query_to_xmlschema query_to_xml_and_xmlschema schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema
	database_to_xml database_to_xmlschema database_to_xml_and_xmlschema ts_stat
	crosstab crosstab2 crosstab3 crosstab4 crosstabn connectby xpath_table
`)

func (w *walker) opaque(name string) { w.facts.word(factOpaque, "FUNCTION "+name) }

// setConfig records a call of set_config(setting_name, new_value, is_local).
func (w *walker) setConfig(args callArgs) {
	name, nameKnown := w.text(args, 0, "setting_name")
	value, valueKnown := w.text(args, 1, "new_value")
	action := "set"
	if local, ok := args.at(2, "is_local"); ok {
		if is, known := w.boolean(local); known && is {
			action = "set_local"
		}
	}
	known := nameKnown && valueKnown
	if !known {
		value = ""
	}
	w.facts.setting(Setting{Name: settingName(name, nameKnown), Action: action, Value: value, Known: known})
	if is := settingName(name, nameKnown); known && (is == "role" || is == "session_authorization") {
		w.facts.word(factRoles, value)
	}
}

// relationInText records a relation whose name stands in a string, read as PostgreSQL reads it (stringToQualifiedNameList in regproc.c).
// nil when it is a number (an oid) or no name.
func (w *walker) relationInText(text, access string) *relation {
	parts, ok := splitName(text)
	if !ok || len(parts) > 3 {
		return nil
	}
	name := Name{Name: parts[len(parts)-1]}
	if len(parts) > 1 {
		name.Schema = parts[len(parts)-2]
	}
	return w.facts.relation(name.Schema, name.Name, access)
}
