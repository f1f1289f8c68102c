package statement

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
)

// everySetting stands for all settings, and for one whose name the text does not show.
const everySetting = "*"

// sessionStatement adds the facts of statements that change or read the session's state; the walk goes on through their fields.
func (w *walker) sessionStatement(message proto.Message) {
	switch n := message.(type) {
	case *pg.VariableSetStmt:
		w.set(n)
	case *pg.VariableShowStmt:
		name := settingName(n.GetName(), true)
		if name == "all" {
			name = everySetting
		}
		w.facts.setting(Setting{Name: name, Action: "show", Known: true})
	case *pg.TransactionStmt:
		w.transaction(n)
	case *pg.DiscardStmt:
		w.discard(n)
	case *pg.ListenStmt:
		w.facts.channel(Channel{Name: w.name(n.GetConditionname()), Action: "listen"})
	case *pg.NotifyStmt:
		w.facts.channel(Channel{Name: w.name(n.GetConditionname()), Action: "notify"})
	case *pg.UnlistenStmt:
		w.facts.channel(Channel{Name: w.nameOrAll(n.GetConditionname()), Action: "unlisten"})
	default:
		w.preparedStatement(message)
	}
}

// preparedStatement adds what statements do to the names of prepared statements and portals.
func (w *walker) preparedStatement(message proto.Message) {
	switch n := message.(type) {
	case *pg.PrepareStmt:
		w.facts.prepares(Prepared{Action: "prepare", Name: w.name(n.GetName())})
	case *pg.ExecuteStmt:
		w.facts.prepares(Prepared{Action: "execute", Name: w.name(n.GetName())})
	case *pg.DeallocateStmt:
		w.facts.prepares(Prepared{Action: "deallocate", Name: w.nameOrAll(n.GetName())})
	case *pg.DeclareCursorStmt:
		w.declareCursor(n)
	case *pg.FetchStmt:
		action := "fetch"
		if n.GetIsmove() {
			action = "move"
		}
		w.facts.prepares(Prepared{Action: action, Name: w.name(n.GetPortalname())})
	case *pg.ClosePortalStmt:
		w.facts.prepares(Prepared{Action: "close", Name: w.nameOrAll(n.GetPortalname())})
	}
}

// Cursor options (nodes/parsenodes.h).
const (
	cursorHold  = 0x0020
	cursorKnown = 0x0001 | 0x0002 | 0x0004 | 0x0008 | 0x0010 | cursorHold | 0x0100 // binary, (no) scroll, (in|a)sensitive, hold, fast plan
)

// declareCursor records the portal DECLARE makes. Under EXPLAIN it makes none.
func (w *walker) declareCursor(n *pg.DeclareCursorStmt) {
	if n.GetOptions()&^cursorKnown != 0 {
		w.incomplete("unknown cursor option")
	}
	if w.facts.command != "EXPLAIN" {
		w.facts.prepares(Prepared{Action: "declare", Name: w.name(n.GetPortalname()), Hold: n.GetOptions()&cursorHold != 0})
	}
}

// everyName stands for all prepared statements, portals or channels.
const everyName = "*"

// name passes a prepared statement's, portal's or channel's name. One that reads like all of them would be mistaken for that.
func (w *walker) name(name string) string {
	if name == everyName {
		w.incomplete("a name that is *")
	}
	return name
}

// nameOrAll also turns the missing name of DEALLOCATE ALL, CLOSE ALL and UNLISTEN * into "*". The grammar knows no empty name.
func (w *walker) nameOrAll(name string) string {
	if name == "" {
		return everyName
	}
	return w.name(name)
}

// discard records DISCARD ALL, which forgets all names. The others drop plans, sequence values or temporary tables: names stay.
func (w *walker) discard(n *pg.DiscardStmt) {
	if n.GetTarget() == pg.DiscardMode_DISCARD_ALL {
		w.facts.prepares(Prepared{Action: "discard", Name: everyName})
		w.facts.setting(Setting{Name: everySetting, Action: "reset", Known: true})
		w.facts.setting(Setting{Name: "session_authorization", Action: "reset", Known: true})
		w.facts.channel(Channel{Name: everyName, Action: "unlisten"})
	}
}

// set records SET and RESET, also where they stand in ALTER ROLE, ALTER DATABASE, ALTER SYSTEM and CREATE FUNCTION: those take effect
// later, but a policy that forbids the setting means them too.
func (w *walker) set(n *pg.VariableSetStmt) {
	name := settingName(n.GetName(), true)
	switch n.GetKind() {
	case pg.VariableSetKind_VAR_SET_VALUE:
		value, known := w.settingValue(name, n.GetArgs())
		w.facts.setting(Setting{Name: name, Action: setAction(n.GetIsLocal()), Value: value, Known: known})
		if known && (name == "role" || name == "session_authorization") {
			w.setRole(n.GetArgs())
		}
	case pg.VariableSetKind_VAR_SET_DEFAULT:
		if n.GetIsLocal() {
			w.facts.setting(Setting{Name: name, Action: "set_local"})
			return
		}
		w.facts.setting(Setting{Name: name, Action: "reset", Known: true})
	case pg.VariableSetKind_VAR_SET_CURRENT:
		w.facts.setting(Setting{Name: name, Action: "set"})
	case pg.VariableSetKind_VAR_RESET:
		w.facts.setting(Setting{Name: name, Action: "reset", Known: true})
	case pg.VariableSetKind_VAR_RESET_ALL:
		w.facts.setting(Setting{Name: everySetting, Action: "reset", Known: true})
	case pg.VariableSetKind_VAR_SET_MULTI:
		w.setMulti(n)
	}
}

func (w *walker) setRole(args []*pg.Node) {
	for _, n := range args {
		if role, ok := w.constant(n); ok {
			w.facts.word(factRoles, role)
		}
	}
}

// setMulti records SET TRANSACTION, SET SESSION CHARACTERISTICS and SET TRANSACTION SNAPSHOT (ExecSetVariableStmt in guc_funcs.c).
func (w *walker) setMulti(n *pg.VariableSetStmt) {
	switch n.GetName() {
	case "TRANSACTION":
		w.modes("", "set_local", n.GetArgs())
	case "SESSION CHARACTERISTICS":
		w.modes("default_", "set", n.GetArgs())
	case "TRANSACTION SNAPSHOT":
		value, known := w.settingValue("", n.GetArgs())
		w.facts.setting(Setting{Name: "transaction_snapshot", Action: "set_local", Value: value, Known: known})
	default:
		w.incomplete("unknown SET %s", n.GetName())
	}
}

func (w *walker) transaction(n *pg.TransactionStmt) { w.modes("", "set_local", n.GetOptions()) }

// modes records transaction modes: transaction_isolation, transaction_read_only, transaction_deferrable.
func (w *walker) modes(prefix, action string, list []*pg.Node) {
	for _, n := range list {
		mode := n.GetDefElem()
		switch mode.GetDefname() {
		case "transaction_isolation", "transaction_read_only", "transaction_deferrable":
			value, known := w.constant(mode.GetArg())
			switch {
			case mode.GetDefname() == "transaction_isolation":
			case value == "1":
				value = "on"
			case value == "0":
				value = "off"
			}
			w.facts.setting(Setting{Name: prefix + mode.GetDefname(), Action: action, Value: value, Known: known})
		default:
			w.incomplete("unknown transaction mode %s", mode.GetDefname())
		}
	}
}

func setAction(local bool) string {
	if local {
		return "set_local"
	}
	return "set"
}

// settingName is the name PostgreSQL looks up: names are compared without regard to ASCII case, and two old ones are mapped (guc.c).
func settingName(name string, known bool) string {
	if !known {
		return everySetting
	}
	switch name = fold(name); name {
	case "sort_mem":
		return "work_mem"
	case "vacuum_mem":
		return "maintenance_work_mem"
	}
	return name
}

// settingValue is the text a setting is given, as flatten_set_variable_args in guc_funcs.c makes it of the arguments.
func (w *walker) settingValue(name string, args []*pg.Node) (value string, known bool) {
	values := make([]string, 0, len(args))
	for _, n := range args {
		text, ok := w.constant(n)
		if !ok || n.GetAConst() == nil { // a cast is SET TIME ZONE INTERVAL
			return "", false
		}
		if n.GetAConst().GetSval() != nil && listOfNames[name] {
			text = quoteIdentifier(text)
		}
		values = append(values, text)
	}
	return strings.Join(values, ", "), true
}

// listOfNames are the settings whose value is a list of names (GUC_LIST_QUOTE).
var listOfNames = wordSet("search_path temp_tablespaces session_preload_libraries shared_preload_libraries local_preload_libraries unix_socket_directories")

// quoteIdentifier quotes what does not read as itself. It quotes keywords too seldom, which reads the same in a list of names.
func quoteIdentifier(name string) string {
	plain := name != ""
	for i, c := range []byte(name) {
		plain = plain && (c >= 'a' && c <= 'z' || c == '_' || i > 0 && isDigit(c))
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
