package statement

import (
	"fmt"
	"reflect"
	"slices"
	"unsafe"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
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
func (w *walker) visit(at place, m proto.Message) {
	pointer := reflect.ValueOf(m)
	if pointer.IsNil() {
		return
	}
	if n, ok := m.(*pg.Node); ok {
		w.unwrap(at, n)
		return
	}
	t := typeOf(m)
	if !t.known {
		w.incomplete("unknown node %s", t.name)
	}
	if len(m.ProtoReflect().GetUnknown()) > 0 {
		w.incomplete("unknown field in %s", t.name)
	}
	w.command(at, t, m)
	if !w.handle(at, m) {
		w.members(t, pointer.UnsafePointer())
	}
}

// unwrap visits what a Node holds. The grammar leaves some Nodes empty (DISTINCT without ON, an omitted slice bound).
func (w *walker) unwrap(at place, n *pg.Node) {
	if len(n.ProtoReflect().GetUnknown()) > 0 {
		w.incomplete("unknown node at %s", at)
	}
	if m := inner(n); m != nil {
		w.visit(at, m)
	}
}

// fields walks all fields of a message but those a handler has walked already.
func (w *walker) fields(m proto.Message, done ...protoreflect.Name) {
	w.members(typeOf(m), reflect.ValueOf(m).UnsafePointer(), done...)
}

// members is fields for the message at a place in memory.
func (w *walker) members(t *messageType, message unsafe.Pointer, done ...protoreflect.Name) {
	for _, f := range t.fields {
		if f.kind != fieldPlain && !slices.Contains(done, f.name) {
			w.field(t, f, unsafe.Add(message, f.offset))
		}
	}
}

func (w *walker) field(t *messageType, f *field, at unsafe.Pointer) {
	switch f.kind {
	case fieldEnum:
		if !f.enum.named[*(*int32)(at)] {
			w.incomplete("unknown %s in %s", f.enum.name, t.name)
		}
	case fieldMessage:
		if m := f.message.message(*(*unsafe.Pointer)(at)); m != nil {
			w.visit(f.at, m)
		}
	case fieldMember:
		if words := (*oneofWords)(at); words.itab == f.itab {
			if m := f.message.message(*words.member); m != nil {
				w.visit(f.at, m)
			}
		}
	case fieldNodes:
		w.nodes(f.at, *(*[]*pg.Node)(at))
	case fieldMessages, fieldOther:
		w.incomplete("unknown %s in %s", f.name, t.name)
	}
}

// node, nodes and clause walk a handler's own fields under the place they stand in.
func (w *walker) node(at place, n *pg.Node) {
	if n != nil {
		w.unwrap(at, n)
	}
}

func (w *walker) nodes(at place, list []*pg.Node) {
	for _, n := range list {
		w.node(at, n)
	}
}
