package audit

import "strings"

// tailBytes is how much of the literals before is kept for what may begin in one and end in another.
const tailBytes = 256

func (r *redactor) literal(t token) {
	body := r.sql[t.bodyStart:t.bodyEnd]
	chained := r.previous.kind == tokenLiteral || r.sql[r.previous.start:r.previous.end] == "|"
	if !chained {
		r.tail = ""
	}
	r.noteItem(t)
	if r.isSecret() {
		r.wholeSecret(t, body)
		return
	}
	switch i := r.secretIn(t, body); {
	case r.begunBefore(body):
		r.retract()
		r.arm(true)
	case i >= 0:
		r.partSecret(t, i)
		r.arm(true) // set_config('x.password', 'y'), 'password=' || 'y'
	}
	if r.tail == "" {
		r.tail = body
	} else {
		r.tail += body
	}
	r.tail = r.tail[max(0, len(r.tail)-tailBytes):]
}

// noteItem remembers where the first literal of a column or argument is.
func (r *redactor) noteItem(t token) {
	if !r.item.start.set || r.depth < r.item.depth {
		r.item = item{start: r.mark(t.bodyStart), depth: r.depth}
	}
	r.item.end = t.bodyEnd
}

// retract takes out all from the first literal of the column on.
func (r *redactor) retract() {
	r.item.end = max(r.item.end, r.copied)
	r.back(r.item.start)
	r.replace(r.item.start.end, r.item.end)
	r.secret = r.mark(r.item.end)
	r.item = item{} // one way back a literal, or a text is copied again and again
}

func (r *redactor) wholeSecret(t token, body string) {
	r.replace(t.bodyStart, t.bodyEnd)
	r.markSecret(t)
	r.armed.spent = true
	if r.role {
		r.armed = arming{}
	}
	if t.escapes == 0 && strings.HasSuffix(body, `\`) {
		r.lexer.pos = len(r.sql) // 'a\'b' was meant as one: nobody knows where it ends
		r.dropFrom(t.end)
	}
}

// secretIn says where in a literal's body a secret may begin; -1: nowhere.
func (r *redactor) secretIn(t token, body string) int {
	if i := secretIn(body); i >= 0 {
		return i
	}
	if t.escapes != 0 && strings.Contains(body, `\`) && speaksOfSecret(unescape(body)) {
		return 0
	}
	if r.tail != "" && speaksOfSecret(r.tail+body) {
		return 0
	}
	if strings.EqualFold(r.sql[r.previous.start:r.previous.end], "program") {
		return programSecret(body)
	}
	return -1
}

// begunBefore says that this literal shows that there was a secret in those which it continues: 'postgresql://bob:x' || 'y@host'.
func (r *redactor) begunBefore(body string) bool {
	if r.tail == "" || speaksOfSecret(r.tail) {
		return false
	}
	i := secretIn(r.tail + body)
	return i >= 0 && i < len(r.tail)
}

// partSecret takes out a body from i on, and before that what is quoted in it: what a function does with a password has been assigned to a
// variable before. In a literal with doubled quotes nobody can tell where those end.
func (r *redactor) partSecret(t token, i int) {
	until := t.bodyStart + i
	if r.sql[t.start] != '$' {
		if quote := strings.IndexAny(r.sql[t.bodyStart:until], `'\`); quote >= 0 {
			until = t.bodyStart + quote
		}
	} else if open := r.literals(t.bodyStart, until); open >= 0 {
		until = open
	}
	r.replace(until, t.bodyEnd)
	r.markSecret(t)
}

// literals takes out the literals in sql[from:to]. open is where one begins that does not end there; -1: none does.
func (r *redactor) literals(from, to int) (open int) {
	l := lexer{sql: r.sql[:to], pos: from}
	for {
		t := l.next()
		switch {
		case t.open && t.kind == tokenLiteral && r.sql[t.bodyStart-1] != '\'':
			return t.bodyStart
		case t.open && t.kind == tokenLiteral:
			return r.openLiteral(t, to)
		case t.open:
			return -1
		case t.kind == tokenEnd:
			return -1
		case t.kind == tokenLiteral:
			r.replace(t.bodyStart, t.bodyEnd)
		}
	}
}

// openLiteral says from where on a literal goes that has the announcement in it: EXECUTE format('ALTER ROLE r PASSWORD …'). What stands in
// it before is worth reading, unless that has quotes too.
func (r *redactor) openLiteral(t token, to int) int {
	if quote := strings.IndexAny(r.sql[t.bodyStart:to], `'\`); quote >= 0 {
		return t.bodyStart + quote
	}
	return -1
}

// isSecret decides about a whole literal.
func (r *redactor) isSecret() bool {
	continued := r.secret.set && r.secret.end == r.previous.end && r.previous.kind == tokenLiteral
	switch {
	case r.armed.on || r.all || r.call > 0 || continued:
		return true
	case r.options > 0:
		return r.option != optionHarmless
	case r.role:
		before := r.sql[r.previous.start:r.previous.end]
		kept := strings.EqualFold(before, "until") ||
			r.sets && (before == "=" || before == "," || strings.EqualFold(before, "to"))
		return !kept
	}
	return false
}

// arm makes secrets of the literals to come.
func (r *redactor) arm(siblings bool) {
	r.speaks = true
	r.armed = arming{on: true, depth: r.depth, siblings: siblings}
}
