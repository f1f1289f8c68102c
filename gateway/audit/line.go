package audit

import "github.com/sallyport/sallyport/gateway/audit/proof"

// line is an event on its way into the log, encoded and hashed, in memory that is used again. Not for several goroutines.
type line struct {
	buf    []byte // a zero byte, which is the leaf's, the line, and its newline
	leaf   proof.Hash
	hasher proof.Hasher
	clock  clock
}

func newLine() *line { return &line{buf: make([]byte, 0, initialBuffer)} }

// set makes it the line of an event.
func (l *line) set(event Event, omit omitted) {
	var known *proof.Prefix
	switch e := event.(type) {
	case *Statement:
		known = l.statement(e, omit)
	case *Outcome:
		known = l.outcome(e)
	default:
		l.buf = event.AppendJSON(append(l.buf[:0], 0))
	}
	l.leaf = l.hasher.LeafHash(l.buf, known)
	l.buf = append(l.buf, '\n')
}

// bytes are the line with its newline.
func (l *line) bytes() []byte { return l.buf[1:] }

// statement encodes a statement, and returns what is hashed of it already.
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
	texts := e.shapes(n)
	hash := e.hash(&texts)
	if t := e.Who.statements.find(hash); t != nil && t.texts == texts && t.statement.alike(e) {
		o := t.begun(l.buf[:0])
		l.endStatement(&o, e, omit)
		return &t.prefix
	}
	o := e.begin(zero, omit)
	if e.repeats() {
		o.text(&e.Text, omit.text)
		o.beginID()
	}
	if e.Who.statements.worth(hash) {
		e.Who.statements.keep(e.template(hash, &texts), o)
	}
	l.endStatement(&o, e, omit)
	return &e.Who.prefix
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
func (l *line) outcome(e *Outcome) *proof.Prefix {
	zero := append(l.buf[:0], 0)
	if e.Who == nil {
		o := e.begin(zero)
		l.buf = e.end(&o, &l.clock)
		return nil
	}
	hash := e.hash()
	if t := e.Who.outcomes.find(hash); t != nil && t.outcome.alike(e) {
		o := t.begun(l.buf[:0])
		l.buf = e.end(&o, &l.clock)
		return &t.prefix
	}
	o := e.begin(zero)
	if e.Who.outcomes.worth(hash) {
		e.Who.outcomes.keep(&template{hash: hash, outcome: *e}, o)
	}
	l.buf = e.end(&o, &l.clock)
	return nil
}
