package audit

import (
	"slices"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

// line is an event on its way into the log, encoded and hashed, in memory that is used again. Not for several goroutines.
type line struct {
	head   *proof.Prefix // whose blocks it begins with, which are not copied; nil: none
	buf    []byte        // the rest of it, and its newline; without a head a zero byte, which is the leaf's, is before it
	leaf   proof.Hash
	hasher proof.Hasher
	clock  clock
}

func newLine() *line { return &line{buf: make([]byte, 0, initialBuffer)} }

// set makes it the line of an event.
func (l *line) set(event Event, omit omitted) {
	var known *proof.Prefix // what it has is hashed already
	l.head = nil
	switch e := event.(type) {
	case *Statement:
		known = l.statement(e, omit)
	case *Outcome:
		l.outcome(e)
	default:
		l.buf = event.AppendJSON(append(l.buf[:0], 0))
	}
	if l.head != nil {
		l.leaf = l.hasher.LeafHashBehind(l.head, l.buf)
	} else {
		l.leaf = l.hasher.LeafHash(l.buf, known)
	}
	l.buf = append(l.buf, '\n')
}

// parts are the line with its newline, in two pieces.
func (l *line) parts() (head, rest []byte) {
	if l.head == nil {
		return nil, l.buf[1:]
	}
	return l.head.Blocks()[1:], l.buf
}

// bytes are the line with its newline, in one piece.
func (l *line) bytes() []byte {
	if l.head != nil {
		l.buf = slices.Insert(l.buf, 0, l.head.Blocks()...)
		l.head = nil
	}
	return l.buf[1:]
}

// statement encodes a statement, and returns what is hashed of it already if it has no head.
func (l *line) statement(e *Statement, omit omitted) *proof.Prefix {
	zero := append(l.buf[:0], 0)
	if e.Who == nil {
		l.buf = e.append(zero, omit, &l.clock)
		return nil
	}
	n := e.normalized()
	if n != nil && n.some && !omit.normalized || e.Text.some && e.repeats() && !omit.text { // no other line has what this one has
		l.buf = e.append(zero, omit, &l.clock)
		return &e.Who.prefix
	}
	normalized, text := e.shown(n)
	hash := e.hash(normalized, text)
	if t := e.Who.statements.find(hash); t != nil && t.normalized.isOf(normalized) && t.text.isOf(text) && t.statement.alike(e) {
		o := l.begin(t)
		l.endStatement(&o, e, omit)
		return nil
	}
	o := e.begin(zero, omit)
	if e.repeats() {
		o.text(&e.Text, omit.text)
		o.beginID()
	}
	if e.Who.statements.worth(hash) {
		e.Who.statements.keep(e.template(hash, normalized, text), &o)
	}
	l.endStatement(&o, e, omit)
	return &e.Who.prefix
}

// begin is an object that begins as the template says.
func (l *line) begin(t *template) object {
	if len(t.prefix.Blocks()) > 0 {
		l.head = &t.prefix
	}
	return object{buf: append(l.buf[:0], t.rest...), session: t.session}
}

// endStatement appends what is in no template.
func (l *line) endStatement(o *object, e *Statement, omit omitted) {
	if !e.repeats() {
		o.text(&e.Text, omit.text)
		o.beginID()
	}
	l.buf = e.end(o, &l.clock)
}

// outcome is statement for an outcome.
func (l *line) outcome(e *Outcome) {
	zero := append(l.buf[:0], 0)
	if e.Who == nil {
		o := e.begin(zero)
		l.buf = e.end(&o, &l.clock)
		return
	}
	hash := e.hash()
	if t := e.Who.outcomes.find(hash); t != nil && t.outcome.alike(e) {
		o := l.begin(t)
		l.buf = e.end(&o, &l.clock)
		return
	}
	o := e.begin(zero)
	if e.Who.outcomes.worth(hash) {
		e.Who.outcomes.keep(&template{hash: hash, outcome: *e}, &o)
	}
	l.buf = e.end(&o, &l.clock)
}
