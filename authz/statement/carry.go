package statement

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// explainStatement walks an EXPLAIN. Of a repeated option the last counts (ExplainQuery in explain.c). Without ANALYZE the statement is
// planned only; planning runs immutable functions.
func (w *walker) explainStatement(n *pg.ExplainStmt) {
	explain := &Explain{}
	for _, option := range n.GetOptions() {
		def := option.GetDefElem()
		switch name := def.GetDefname(); name {
		case "analyze":
			value, ok := w.boolean(def.GetArg())
			if !ok {
				w.incomplete("unknown value of EXPLAIN option analyze")
			}
			explain.Analyze = value || !ok
		case "verbose", "costs", "buffers", "settings", "generic_plan", "wal", "timing", "summary", "memory", "serialize", "format":
		default:
			w.incomplete("unknown EXPLAIN option %s", name)
		}
	}
	if w.facts.explain == nil {
		w.facts.explain = explain
	}
	w.fields(n)
}

// copyStatement walks a COPY.
func (w *walker) copyStatement(n *pg.CopyStmt) {
	w.push()
	defer w.pop()
	c := &Copy{Direction: "to", Endpoint: "client"}
	if n.GetIsFrom() {
		c.Direction = "from"
	}
	switch {
	case n.GetIsProgram():
		c.Endpoint = "program"
		w.facts.word(factOpaque, "COPY PROGRAM")
	case n.GetFilename() != "":
		c.Endpoint = "file"
		w.facts.word(factOpaque, "COPY FILE")
	}
	w.facts.copy = c
	w.copyOptions(n)
	if n.GetRelation() != nil {
		w.copyRelation(n)
	}
	w.fields(n, "relation")
}

func (w *walker) copyRelation(n *pg.CopyStmt) {
	access := "select"
	if n.GetIsFrom() {
		access = "insert"
	}
	_, r := w.target(n.GetRelation(), access)
	record := r.read
	if n.GetIsFrom() {
		record = r.write
	}
	for _, column := range n.GetAttlist() {
		record(column.GetString_().GetSval())
	}
	if len(n.GetAttlist()) == 0 {
		record(everyColumn)
	}
}

func (w *walker) copyOptions(n *pg.CopyStmt) {
	for _, option := range n.GetOptions() {
		switch name := option.GetDefElem().GetDefname(); name {
		case "format", "freeze", "delimiter", "null", "default", "header", "quote", "escape", "force_quote", "force_not_null", "force_null",
			"encoding", "convert_selectively", "on_error", "log_verbosity", "reject_limit":
		default:
			w.incomplete("unknown COPY option %s", name)
		}
	}
}

// objectCommand is the command tag of a verb on a kind of object.
func objectCommand(verb string, kind pg.ObjectType) string {
	return verb + " " + objectName(kind)
}

// objectName is the name of a kind of object in PostgreSQL's command tags.
func objectName(kind pg.ObjectType) string {
	switch kind {
	case pg.ObjectType_OBJECT_MATVIEW:
		return "MATERIALIZED VIEW"
	case pg.ObjectType_OBJECT_FDW:
		return "FOREIGN DATA WRAPPER"
	case pg.ObjectType_OBJECT_FOREIGN_SERVER:
		return "SERVER"
	case pg.ObjectType_OBJECT_OPCLASS:
		return "OPERATOR CLASS"
	case pg.ObjectType_OBJECT_OPFAMILY:
		return "OPERATOR FAMILY"
	case pg.ObjectType_OBJECT_STATISTIC_EXT:
		return "STATISTICS"
	case pg.ObjectType_OBJECT_TSCONFIGURATION:
		return "TEXT SEARCH CONFIGURATION"
	case pg.ObjectType_OBJECT_TSDICTIONARY:
		return "TEXT SEARCH DICTIONARY"
	case pg.ObjectType_OBJECT_TSPARSER:
		return "TEXT SEARCH PARSER"
	case pg.ObjectType_OBJECT_TSTEMPLATE:
		return "TEXT SEARCH TEMPLATE"
	case pg.ObjectType_OBJECT_ATTRIBUTE:
		return "TYPE"
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_TABCONSTRAINT:
		return "TABLE"
	case pg.ObjectType_OBJECT_DOMCONSTRAINT:
		return "DOMAIN"
	case pg.ObjectType_OBJECT_ACCESS_METHOD, pg.ObjectType_OBJECT_EVENT_TRIGGER, pg.ObjectType_OBJECT_FOREIGN_TABLE,
		pg.ObjectType_OBJECT_USER_MAPPING, pg.ObjectType_OBJECT_LARGEOBJECT:
	}
	return strings.ReplaceAll(strings.TrimPrefix(kind.String(), "OBJECT_"), "_", " ")
}
