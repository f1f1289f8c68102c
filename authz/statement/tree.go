package statement

import (
	"reflect"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"
)

// parseTree parses a text as pg_query.Parse does. That has libpg_query give the tree in protobuf's encoding, which takes it five times
// as long as PostgreSQL takes to parse: it tries 270 members of a oneof at every node. Its JSON it just writes. FuzzTree holds the
// two to the same tree.
func parseTree(text string) (*pg.ParseResult, error) {
	json, err := parser.ParseToJSON(text)
	if err != nil {
		return nil, err
	}
	return decodeTree(json)
}

func decodeTree(json string) (*pg.ParseResult, error) {
	if !utf8.ValidString(json) { // protobuf's strings are
		return nil, errDocument
	}
	types := messageTypes()
	d := treeDecoder{document: document{text: json}, node: types[reflect.TypeFor[pg.Node]()]}
	tree := &pg.ParseResult{}
	if err := d.message(types[reflect.TypeFor[pg.ParseResult]()], reflect.ValueOf(tree).Elem()); err != nil {
		return nil, err
	}
	if d.pos != len(json) {
		return nil, errDocument
	}
	return tree, nil
}

// treeDecoder builds the messages of a parse tree from libpg_query's JSON, which names the values of enums and leaves zeros out.
type treeDecoder struct {
	document

	node  *messageType // pg.Node
	depth int
	nodes []pg.Node // the next ones
}

const (
	maxTreeDepth = 10_000 // of messages, as in protobuf's decoder
	nodesAtOnce  = 32     // are allocated; a short statement has twenty
)

// message decodes the fields of a message.
func (d *treeDecoder) message(t *messageType, into reflect.Value) error {
	if d.depth++; d.depth > maxTreeDepth {
		return errDocument
	}
	if err := d.expect('{'); err != nil {
		return err
	}
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

func (d *treeDecoder) field(f *field, message reflect.Value) error {
	switch f.kind {
	case fieldPlain:
		return d.plain(message.Field(f.index))
	case fieldEnum:
		return d.enum(f.enum, message.Field(f.index))
	case fieldMessage:
		return d.pointer(f.message, message.Field(f.index))
	case fieldMember:
		return d.member(f, message.Field(f.index))
	case fieldNodes:
		return d.list(nodesIn(message.Field(f.index)))
	case fieldMessages:
		return d.messages(f.message, message.Field(f.index))
	default:
		return errDocument
	}
}

// pointer makes the message that a field points to.
func (d *treeDecoder) pointer(t *messageType, field reflect.Value) error {
	if t == d.node {
		n := d.newNode()
		field.Set(reflect.ValueOf(n))
		return d.message(t, reflect.ValueOf(n).Elem())
	}
	message := reflect.New(t.goType)
	field.Set(message)
	return d.message(t, message.Elem())
}

// member makes the message that is in a oneof.
func (d *treeDecoder) member(f *field, oneof reflect.Value) error {
	holder := reflect.New(f.holder).Elem()
	wrapper, message := holder.Field(0), holder.Field(1)
	wrapper.Field(0).Set(message.Addr())
	oneof.Set(wrapper.Addr())
	return d.message(f.message, message)
}

func (d *treeDecoder) list(nodes *[]*pg.Node) error {
	if err := d.expect('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := d.more(first, ']')
		if !more || err != nil {
			return err
		}
		n := d.newNode()
		*nodes = append(*nodes, n)
		if err := d.message(d.node, reflect.ValueOf(n).Elem()); err != nil {
			return err
		}
	}
}

// messages decodes a list of messages that are no Nodes: the statements of a text.
func (d *treeDecoder) messages(t *messageType, list reflect.Value) error {
	if err := d.expect('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := d.more(first, ']')
		if !more || err != nil {
			return err
		}
		message := reflect.New(t.goType)
		list.Set(reflect.Append(list, message))
		if err := d.message(t, message.Elem()); err != nil {
			return err
		}
	}
}

func (d *treeDecoder) newNode() *pg.Node {
	if len(d.nodes) == 0 {
		d.nodes = make([]pg.Node, nodesAtOnce)
	}
	n := &d.nodes[0]
	d.nodes = d.nodes[1:]
	return n
}

func (d *treeDecoder) plain(value reflect.Value) error {
	switch value.Kind() {
	case reflect.String:
		text, err := d.string()
		value.SetString(text)
		return err
	case reflect.Bool:
		truth, err := d.truth()
		value.SetBool(truth)
		return err
	case reflect.Int32, reflect.Int64:
		number, err := d.number()
		value.SetInt(number)
		return err
	case reflect.Uint32:
		number, err := d.number()
		value.SetUint(uint64(number)) // #nosec G115 -- an oid, from a C unsigned int
		return err
	default:
		return errDocument
	}
}

// enum decodes a value by its name. One without a name stays zero, which is no value of any.
func (d *treeDecoder) enum(e *enumType, value reflect.Value) error {
	name, err := d.string()
	value.SetInt(e.values[name])
	return err
}
