package statement

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxReasons bounds Sheet.Incomplete: one reason is enough to deny.
const maxReasons = 8

// walker turns the parse tree of one statement into facts.
//
// It visits every field of every message by reflection, so that nothing is passed over because nobody thought of it; on the way it hands
// the messages that mean something to their handlers, which either add facts and let the walk go on, or walk the fields themselves in the
// order that scoping needs. A message, a field value or an enum value that nobody has looked at makes the sheet incomplete.
type walker struct {
	facts    *facts
	scope    *scope
	reasons  []string
	literals bool // a fact depends on the value of a literal
}

// incomplete records that something was not understood.
func (w *walker) incomplete(format string, args ...any) {
	reason := fmt.Sprintf(format, args...)
	if len(w.reasons) < maxReasons && !slices.Contains(w.reasons, reason) {
		w.reasons = append(w.reasons, reason)
	}
}

// place says where a message stands: the message around it and the field.
type place string

// visit walks one message.
func (w *walker) visit(at place, m protoreflect.Message) {
	if !m.IsValid() {
		return
	}
	name := m.Descriptor().Name()
	if name == "Node" {
		w.unwrap(at, m)
		return
	}
	if !understood[string(name)] {
		w.incomplete("unknown node %s", name)
	}
	if len(m.GetUnknown()) > 0 {
		w.incomplete("unknown field in %s", name)
	}
	if !w.handle(at, m) {
		w.fields(m)
	}
}

// unwrap visits what a Node holds. The grammar leaves some Nodes empty (DISTINCT without ON, an omitted slice bound).
func (w *walker) unwrap(at place, m protoreflect.Message) {
	if len(m.GetUnknown()) > 0 {
		w.incomplete("unknown node at %s", at)
	}
	if field := m.WhichOneof(nodeOneof); field != nil {
		w.visit(at, m.Get(field).Message())
	}
}

var nodeOneof = (&pg.Node{}).ProtoReflect().Descriptor().Oneofs().Get(0)

// fields walks all fields of a message but those a handler has walked already.
func (w *walker) fields(m protoreflect.Message, done ...protoreflect.Name) {
	descriptors := m.Descriptor().Fields()
	for i := range descriptors.Len() {
		field := descriptors.Get(i)
		if slices.Contains(done, field.Name()) {
			continue
		}
		w.field(m, field)
	}
}

func (w *walker) field(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	switch field.Kind() {
	case protoreflect.EnumKind:
		w.enum(m, field)
	case protoreflect.MessageKind:
		if !m.Has(field) {
			return
		}
		at := place(string(m.Descriptor().Name()) + "." + string(field.Name()))
		if !field.IsList() {
			w.visit(at, m.Get(field).Message())
			return
		}
		list := m.Get(field).List()
		for i := range list.Len() {
			w.visit(at, list.Get(i).Message())
		}
	}
}

// enum accepts the values the grammar file names. Their zero stands for a value of the C enum that libpg_query itself does not know.
func (w *walker) enum(m protoreflect.Message, field protoreflect.FieldDescriptor) {
	value := m.Get(field).Enum()
	if value == 0 || field.Enum().Values().ByNumber(value) == nil {
		w.incomplete("unknown %s in %s", field.Enum().Name(), m.Descriptor().Name())
	}
}

// node, nodes and clause walk a handler's own fields under the place they stand in.
func (w *walker) node(at place, n *pg.Node) {
	if n != nil {
		w.visit(at, n.ProtoReflect())
	}
}

func (w *walker) nodes(at place, list []*pg.Node) {
	for _, n := range list {
		w.node(at, n)
	}
}
