package statement

import (
	"fmt"
	"math"
	"reflect"
	"strconv"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// checkLayout holds the decoder to what it takes for granted: where the generated code keeps each field, and how Go keeps an interface. Were
// either otherwise, as with another Go or another release of pg_query, a tree would say something else than its text, and policy be asked
// about that. Every field is decoded by itself and compared with one that protobuf has set.
func checkLayout(types map[reflect.Type]*messageType) error {
	for _, t := range types {
		if neverRaw[t.name] {
			continue
		}
		for _, f := range t.fields {
			if err := checkField(types, t, f); err != nil {
				return fmt.Errorf("%s.%s: %w", t.name, f.name, err)
			}
		}
	}
	return nil
}

func checkField(types map[reflect.Type]*messageType, t *messageType, f *field) error {
	pointer := reflect.New(t.goType)
	want, _ := reflect.New(t.goType).Interface().(proto.Message)
	value := setSample(want.ProtoReflect(), want.ProtoReflect().Descriptor().Fields().ByName(f.name))
	if value == "" || f.kind == fieldOther {
		return nil // the decoder refuses it
	}
	d := treeDecoder{document: document{text: `{"` + f.json + `":` + value + `}`}, node: types[reflect.TypeFor[pg.Node]()]}
	if err := d.message(t, pointer.UnsafePointer()); err != nil {
		return err
	}
	if got, _ := pointer.Interface().(proto.Message); !proto.Equal(want, got) {
		return errDocument
	}
	return nil
}

// setSample gives a field of a message a value that no other field would show, and returns that in JSON; "": it is of a kind that no tree has.
func setSample(m protoreflect.Message, f protoreflect.FieldDescriptor) string {
	switch {
	case f.Kind() == protoreflect.MessageKind && f.IsList():
		m.Mutable(f).List().AppendMutable()
		return "[{}]"
	case f.Kind() == protoreflect.MessageKind:
		m.Mutable(f)
		return "{}"
	case f.IsList():
		return ""
	}
	switch f.Kind() {
	case protoreflect.EnumKind:
		last := f.Enum().Values().Get(f.Enum().Values().Len() - 1)
		m.Set(f, protoreflect.ValueOfEnum(last.Number()))
		return strconv.Quote(string(last.Name()))
	case protoreflect.StringKind:
		m.Set(f, protoreflect.ValueOfString(string(f.Name())))
		return strconv.Quote(string(f.Name()))
	case protoreflect.BoolKind:
		m.Set(f, protoreflect.ValueOfBool(true))
		return "true"
	case protoreflect.Int32Kind:
		m.Set(f, protoreflect.ValueOfInt32(math.MinInt32))
		return strconv.Itoa(math.MinInt32)
	case protoreflect.Int64Kind:
		m.Set(f, protoreflect.ValueOfInt64(math.MinInt64))
		return strconv.Itoa(math.MinInt64)
	case protoreflect.Uint32Kind:
		m.Set(f, protoreflect.ValueOfUint32(math.MaxUint32))
		return strconv.Itoa(math.MaxUint32)
	}
	return ""
}
