package statement

import (
	"reflect"
	"strings"
	"sync"

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
}

// field is a field of a message.
type field struct {
	kind    fieldKind
	name    protoreflect.Name
	json    string
	at      place        // of messages in it
	index   int          // in the Go struct; a member of a oneof has that of the oneof
	message *messageType // of fieldMessage and fieldMember
	wrapper reflect.Type // of fieldMember: the struct that tells the members of the oneof apart
	holder  reflect.Type // of fieldMember: a struct of the wrapper and what is in it, to allocate both at once
	enum    *enumType    // of fieldEnum
}

type fieldKind uint8

const (
	fieldPlain    fieldKind = iota // a number, a string, a truth
	fieldEnum                      // a value of an enum
	fieldMessage                   // a pointer to a message
	fieldMember                    // a pointer to a message, in a oneof
	fieldNodes                     // []*pg.Node
	fieldMessages                  // a list of pointers to other messages
	fieldOther                     // what the grammar never makes
)

// enumType is an enum: its values by their names, and those that the grammar file names. Their zero stands for a value of the C enum
// that libpg_query itself does not know.
type enumType struct {
	name   string
	values map[string]int64
	named  map[int64]bool
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
	t := &messageType{goType: goType, name: string(name), known: understood[string(name)], tag: plainTags[name], byName: map[string]int{}}
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
	goType := reflect.TypeOf(m.Interface()).Elem()
	f.index = indexOf(goType, "protobuf", "name="+string(descriptor.Name()))
	switch isMessage := descriptor.Kind() == protoreflect.MessageKind; {
	case isMessage && descriptor.IsList():
		f.message = addType(types, m.NewField(descriptor).List().NewElement().Message())
		f.kind = either(f.message.name == "Node", fieldNodes, fieldMessages)
	case descriptor.IsList():
		f.kind = fieldOther
	case descriptor.Kind() == protoreflect.EnumKind:
		f.kind, f.enum = fieldEnum, enumOf(descriptor.Enum())
	case isMessage && descriptor.ContainingOneof() != nil:
		f.kind, f.message = fieldMember, addType(types, m.NewField(descriptor).Message())
		f.index = indexOf(goType, "protobuf_oneof", string(descriptor.ContainingOneof().Name()))
		f.wrapper = wrapperOf(m, descriptor, f.index)
		f.holder = reflect.StructOf([]reflect.StructField{{Name: "Wrapper", Type: f.wrapper}, {Name: "Message", Type: f.message.goType}})
	case isMessage:
		f.kind, f.message = fieldMessage, addType(types, m.NewField(descriptor).Message())
	}
	return f
}

// indexOf finds a field of a Go struct by what the generated code has written beside it; -1 when it is in a oneof.
func indexOf(goType reflect.Type, key, word string) int {
	for i := range goType.NumField() {
		for part := range strings.SplitSeq(goType.Field(i).Tag.Get(key), ",") {
			if part == word {
				return i
			}
		}
	}
	return -1
}

// wrapperOf is the struct that holds a member of a oneof.
func wrapperOf(m protoreflect.Message, descriptor protoreflect.FieldDescriptor, index int) reflect.Type {
	probe := m.New()
	probe.Set(descriptor, probe.NewField(descriptor))
	return reflect.ValueOf(probe.Interface()).Elem().Field(index).Elem().Type().Elem()
}

func enumOf(descriptor protoreflect.EnumDescriptor) *enumType {
	e := &enumType{name: string(descriptor.Name()), values: map[string]int64{}, named: map[int64]bool{}}
	for i := range descriptor.Values().Len() {
		value := descriptor.Values().Get(i)
		e.values[string(value.Name())] = int64(value.Number())
		e.named[int64(value.Number())] = value.Number() != 0
	}
	return e
}

// messageIn is the message that a field points to.
func messageIn(pointer reflect.Value) proto.Message {
	m, _ := pointer.Interface().(proto.Message) // messages are all that the fields hold that this is called for
	return m
}

// nodesIn is the list that a field holds.
func nodesIn(list reflect.Value) *[]*pg.Node {
	nodes, _ := list.Addr().Interface().(*[]*pg.Node) // as for messageIn
	return nodes
}
