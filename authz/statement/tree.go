package statement

import (
	"reflect"
	"unicode/utf8"
	"unsafe"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"
)

// parseTree parses a text as pg_query.Parse does. That has libpg_query give the tree in protobuf's encoding, which takes it five times
// as long as PostgreSQL takes to parse: it tries 270 members of a oneof at every node. Its JSON it just writes. FuzzTree holds the
// two to the same tree.
//
// constants says whether the tree has anything that pg_query.Normalize may replace.
func parseTree(text string) (tree *pg.ParseResult, constants bool, err error) {
	json, err := parser.ParseToJSON(text)
	if err != nil {
		return nil, false, err
	}
	return decodeTree(json)
}

func decodeTree(json string) (tree *pg.ParseResult, constants bool, err error) {
	if !utf8.ValidString(json) { // protobuf's strings are
		return nil, false, errDocument
	}
	types := messageTypes()
	d := treeDecoder{document: document{text: json}, node: types[reflect.TypeFor[pg.Node]()]}
	tree = &pg.ParseResult{}
	if err := d.message(types[reflect.TypeFor[pg.ParseResult]()], unsafe.Pointer(tree)); err != nil { // #nosec G103 -- of that type
		return nil, false, err
	}
	if d.pos != len(json) {
		return nil, false, errDocument
	}
	return tree, d.constants, nil
}

// treeDecoder builds the messages of a parse tree from libpg_query's JSON, which names the values of enums and leaves zeros out.
type treeDecoder struct {
	document

	node      *messageType // pg.Node
	depth     int
	constants bool
	nodes     []pg.Node        // the next ones
	members   []unsafe.Pointer // the next ones
}

const (
	maxTreeDepth = 10_000 // of messages, as in protobuf's decoder
	nodesAtOnce  = 32     // Nodes and members are allocated; a short statement has twenty
)

// message decodes the fields of a message.
func (d *treeDecoder) message(t *messageType, into unsafe.Pointer) error {
	if d.depth++; d.depth > maxTreeDepth {
		return errDocument
	}
	if err := d.expect('{'); err != nil {
		return err
	}
	d.constants = d.constants || t.constant
	next := 0
	for first := true; ; first = false {
		more, err := d.more(first, '}')
		if !more || err != nil {
			d.depth--
			return err
		}
		key, err := d.key()
		if err != nil {
			return err
		}
		i := t.find(key, next)
		if i < 0 {
			return errDocument
		}
		if err := d.field(t.fields[i], into); err != nil {
			return err
		}
		next = i + 1
	}
}

// field decodes a field of the message at a place in memory, which is of the type that f is a field of.
func (d *treeDecoder) field(f *field, message unsafe.Pointer) error {
	at := unsafe.Add(message, f.offset)
	switch f.kind {
	case fieldPlain:
		return d.plain(f.plain, at)
	case fieldEnum:
		name, err := d.string()
		*(*int32)(at) = f.enum.values[name] // one without a name stays zero, which is no value of any
		return err
	case fieldMessage:
		into := d.newMessage(f.message)
		*(*unsafe.Pointer)(at) = into
		return d.message(f.message, into)
	case fieldMember:
		into := d.newMessage(f.message)
		*(*oneofWords)(at) = oneofWords{f.itab, d.newMember(into)}
		return d.message(f.message, into)
	case fieldNodes, fieldMessages:
		return d.list(f.message, (*[]unsafe.Pointer)(at))
	default:
		return errDocument
	}
}

func (d *treeDecoder) newMessage(t *messageType) unsafe.Pointer {
	if t != d.node {
		return reflect.New(t.goType).UnsafePointer()
	}
	if len(d.nodes) == 0 {
		d.nodes = make([]pg.Node, nodesAtOnce)
	}
	n := &d.nodes[0]
	d.nodes = d.nodes[1:]
	return unsafe.Pointer(n) // #nosec G103 -- for message, which knows the type
}

// newMember makes the struct that a oneof holds for a member.
func (d *treeDecoder) newMember(message unsafe.Pointer) *unsafe.Pointer {
	if len(d.members) == 0 {
		d.members = make([]unsafe.Pointer, nodesAtOnce)
	}
	m := &d.members[0]
	d.members = d.members[1:]
	*m = message
	return m
}

func (d *treeDecoder) list(t *messageType, pointers *[]unsafe.Pointer) error {
	if err := d.expect('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := d.more(first, ']')
		if !more || err != nil {
			return err
		}
		into := d.newMessage(t)
		*pointers = append(*pointers, into)
		if err := d.message(t, into); err != nil {
			return err
		}
	}
}

func (d *treeDecoder) plain(kind reflect.Kind, at unsafe.Pointer) (err error) {
	var number int64
	switch kind {
	case reflect.String:
		*(*string)(at), err = d.string()
	case reflect.Bool:
		*(*bool)(at), err = d.truth()
	case reflect.Int64:
		*(*int64)(at), err = d.number()
	case reflect.Int32:
		number, err = d.number()
		*(*int32)(at) = int32(number) // #nosec G115 -- from a C int
	case reflect.Uint32:
		number, err = d.number()
		*(*uint32)(at) = uint32(number) // #nosec G115 -- from a C unsigned int
	default:
		err = errDocument
	}
	return err
}
