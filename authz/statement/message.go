package statement

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"unsafe"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// messageType is what there is to know of one type of messages. It is found out once: to ask the descriptors at every message
// takes longer than PostgreSQL takes to parse the text.
type messageType struct {
	goType reflect.Type // the struct
	name   string
	known  bool           // it is in understood
	tag    string         // its command tag, when it has only one
	fields []*field       // in the order of the descriptor
	byName map[string]int // places in fields, by the name in JSON

	constant bool // it is in constantMessages
}

// constantMessages are all that pg_query.Normalize finds constants by (const_record_walker in pg_query_normalize.c).
var constantMessages = wordSet("A_Const DefElem NotifyStmt CreateSubscriptionStmt AlterSubscriptionStmt")

// field is a field of a message.
type field struct {
	kind    fieldKind
	name    protoreflect.Name
	json    string
	at      place          // of messages in it
	offset  uintptr        // in the Go struct; a member of a oneof has that of the oneof
	plain   reflect.Kind   // of fieldPlain
	message *messageType   // of fieldMessage, fieldMember, fieldNodes and fieldMessages
	itab    unsafe.Pointer // of fieldMember
	enum    *enumType      // of fieldEnum
}

type fieldKind uint8

const (
	fieldPlain    fieldKind = iota // a number, a string, a truth
	fieldEnum                      // a value of an enum
	fieldMessage                   // a pointer to a message
	fieldMember                    // a pointer to a message, in a oneof
	fieldNodes                     // a list of pointers to Nodes
	fieldMessages                  // a list of pointers to other messages
	fieldOther                     // what no message has that comes out of the grammar
)

// enumType is an enum: its values by their names, and those that the grammar file names. Their zero stands for a value of the C enum
// that libpg_query itself does not know.
type enumType struct {
	name   string
	values map[string]int32
	named  map[int32]bool
}

// messageTypes has every message that can stand in a parse tree, by its struct.
var messageTypes = sync.OnceValue(func() map[reflect.Type]*messageType {
	types := map[reflect.Type]*messageType{}
	addType(types, (&pg.ParseResult{}).ProtoReflect())
	return types
})

// typeOf is the type of a message. One that nobody knows has a name, and no more.
func typeOf(m proto.Message) *messageType {
	if t := messageTypes()[reflect.TypeOf(m).Elem()]; t != nil {
		return t
	}
	return &messageType{name: string(m.ProtoReflect().Descriptor().Name())}
}

// addType adds the type of a message to types, and those of all that can stand in it.
func addType(types map[reflect.Type]*messageType, m protoreflect.Message) *messageType {
	goType := reflect.TypeOf(m.Interface()).Elem()
	if t := types[goType]; t != nil {
		return t
	}
	name := m.Descriptor().Name()
	t := &messageType{
		goType: goType, name: string(name), known: understood[string(name)], tag: plainTags[name], byName: map[string]int{},
		constant: constantMessages[string(name)],
	}
	types[goType] = t
	descriptors := m.Descriptor().Fields()
	for i := range descriptors.Len() {
		descriptor := descriptors.Get(i)
		f := fieldOf(types, m, descriptor)
		t.byName[f.json] = len(t.fields)
		t.fields = append(t.fields, f)
	}
	return t
}

// find returns the place of a field by its name in JSON, -1 when there is none. Fields come in order: the one at next is the likeliest, and
// those shortly after it.
func (t *messageType) find(json string, next int) int {
	for i := next; i < min(next+fieldsAhead, len(t.fields)); i++ {
		if t.fields[i].json == json {
			return i
		}
	}
	if i, ok := t.byName[json]; ok {
		return i
	}
	return -1
}

// fieldsAhead is how many names are compared before one is looked up.
const fieldsAhead = 4

func fieldOf(types map[reflect.Type]*messageType, m protoreflect.Message, descriptor protoreflect.FieldDescriptor) *field {
	f := &field{name: descriptor.Name(), json: descriptor.JSONName(), at: place(string(m.Descriptor().Name()) + "." + string(descriptor.Name()))}
	if oneof := descriptor.ContainingOneof(); oneof != nil {
		in := structField(m, "protobuf_oneof", string(oneof.Name()))
		f.kind, f.offset, f.message = fieldMember, in.Offset, addType(types, m.NewField(descriptor).Message())
		f.itab = memberOf(m, descriptor, in)
		return f
	}
	in := structField(m, "protobuf", "name="+string(descriptor.Name()))
	f.offset = in.Offset
	switch isMessage := descriptor.Kind() == protoreflect.MessageKind; {
	case isMessage && descriptor.IsList():
		f.message = addType(types, m.NewField(descriptor).List().NewElement().Message())
		f.kind = either(f.message.name == "Node", fieldNodes, fieldMessages)
	case isMessage:
		f.kind, f.message = fieldMessage, addType(types, m.NewField(descriptor).Message())
	case descriptor.IsList():
		f.kind = fieldOther
	case descriptor.Kind() == protoreflect.EnumKind:
		f.kind, f.enum = fieldEnum, enumOf(descriptor.Enum())
	default:
		f.kind, f.plain = fieldPlain, in.Type.Kind()
	}
	return f
}

// structField finds a field in the struct of a message by what the generated code has written beside it.
func structField(m protoreflect.Message, key, word string) reflect.StructField {
	goType := reflect.TypeOf(m.Interface()).Elem()
	for i := range goType.NumField() {
		if in := goType.Field(i); slices.Contains(strings.Split(in.Tag.Get(key), ","), word) {
			return in
		}
	}
	return reflect.StructField{}
}

// oneofWords is how Go keeps an interface that holds a pointer. The interface of a oneof holds a struct for each member, whose one field
// points to the message: they are told apart by the first word. reflect's way to set an interface finds out anew, every time, whether
// the pointer has the methods for it; that takes a third of the time to decode a tree.
type oneofWords struct {
	itab   unsafe.Pointer
	member *unsafe.Pointer
}

// memberOf is the first word of a oneof that holds a member.
func memberOf(m protoreflect.Message, descriptor protoreflect.FieldDescriptor, in reflect.StructField) unsafe.Pointer {
	probe := m.New()
	probe.Set(descriptor, probe.NewField(descriptor))
	oneof := reflect.ValueOf(probe.Interface()).Elem().FieldByIndex(in.Index)
	return (*oneofWords)(oneof.Addr().UnsafePointer()).itab
}

func enumOf(descriptor protoreflect.EnumDescriptor) *enumType {
	e := &enumType{name: string(descriptor.Name()), values: map[string]int32{}, named: map[int32]bool{}}
	for i := range descriptor.Values().Len() {
		value := descriptor.Values().Get(i)
		e.values[string(value.Name())] = int32(value.Number())
		e.named[int32(value.Number())] = value.Number() != 0
	}
	return e
}

// message is the one that a field points to, at a place in memory; nil for none.
func (t *messageType) message(pointer unsafe.Pointer) proto.Message {
	if pointer == nil {
		return nil
	}
	m, _ := reflect.NewAt(t.goType, pointer).Interface().(proto.Message) // every type in messageTypes is one
	return m
}
