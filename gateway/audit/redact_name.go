package audit

import "strings"

func (r *redactor) wordToken(t token) {
	text := r.sql[t.start:t.end]
	r.word++
	if r.unquoted(t) {
		r.replace(t.start, t.end)
		r.markSecret(t)
		r.armed.spent = true
		return
	}
	switch {
	case r.word == 1:
		r.defines = strings.EqualFold(text, "create") || strings.EqualFold(text, "alter")
		r.assigns = strings.EqualFold(text, "set")
	case r.word == 2 && r.defines:
		r.role = strings.EqualFold(text, "role") || strings.EqualFold(text, "user") || strings.EqualFold(text, "group")
		return
	case r.word == 3 && r.role && strings.EqualFold(text, "mapping"):
		r.role = false
	case r.defines && strings.EqualFold(text, "set"):
		r.assigns, r.sets = true, r.role
	case r.armed.on && (strings.EqualFold(text, "values") || strings.EqualFold(text, "select")):
		r.all = true
	case r.previous.escapes == 'U' && strings.EqualFold(text, "uescape"):
		r.otherEscape()
	}
	r.name(t)
}

// otherEscape learns that the body before has another escape character than it was read with.
func (r *redactor) otherEscape() {
	if r.copied <= r.previous.start {
		r.replace(r.previous.bodyStart, r.previous.bodyEnd)
	}
	if !r.armed.on && !r.role {
		r.arm(true)
	}
}

// unquoted says that t is the value of a setting that speaks of a password: SET app.password = hunter2.
func (r *redactor) unquoted(t token) bool {
	return r.assigns && !r.role && r.armed.on && r.assigned(t) && !strings.EqualFold(r.sql[t.start:t.end], "default")
}

// name handles an identifier: the name of an option, or one that speaks of a password.
func (r *redactor) name(t token) {
	body := r.identifier(t)
	if r.sql[r.previous.start:r.previous.end] != "." {
		r.lead = r.previous
	}
	if r.options > 0 {
		r.nameOption(strings.ToLower(body))
		return
	}
	if r.role && !r.named {
		r.named = true
		return
	}
	if t.kind == tokenQuoted && r.unquoted(t) {
		r.replace(t.start, t.end)
		r.markSecret(t)
		return
	}
	if t.kind == tokenWord {
		r.clause(body)
	}
	if !secretName(body) {
		return
	}
	if !r.armed.on || r.armed.spent {
		r.arm(false)
	}
	before := r.sql[r.lead.start:r.lead.end]
	if r.item.start.set && !r.role && (strings.EqualFold(before, "as") || before == "=") {
		r.retract()
		r.armed.spent = true
	}
}

// identifier is a name without its quotes, as far as it matters to what it speaks of.
func (r *redactor) identifier(t token) string {
	body := r.sql[t.bodyStart:t.bodyEnd]
	if t.escapes == 'U' && strings.Contains(body, `\`) {
		body = unescape(body)
	}
	return body
}

// clause ends what holds within one.
func (r *redactor) clause(word string) {
	ends := clauses.has(word)
	if r.armed.on && (strings.EqualFold(word, "null") && !r.armed.siblings || !r.role && ends && r.depth <= r.armed.depth) {
		r.armed = arming{}
	}
	if ends && r.depth <= r.item.depth {
		r.item = item{}
	}
}

func (r *redactor) nameOption(name string) {
	switch {
	case r.option == optionNone && (name == "add" || name == "set" || name == "drop"):
	case harmlessOptions[name]:
		r.option = optionHarmless
	default:
		r.option = optionSecret
		r.speaks = true
	}
}

func (r *redactor) punctuation(t token) {
	switch r.sql[t.start] {
	case ';':
		r.statementState = statementState{all: r.values}
	case '(':
		r.opened()
	case ')':
		r.closedParenthesis()
	case ',':
		r.option = optionNone
		if r.depth <= r.item.depth {
			r.item = item{}
		}
		if r.armed.on && r.armed.spent && !r.role && (r.depth < r.armed.depth || r.depth == r.armed.depth && !r.armed.siblings) {
			r.armed = arming{}
		}
	}
}

func (r *redactor) opened() {
	r.depth++
	if r.call == 0 && secretCalls.has(r.identifier(r.previous)) {
		r.call, r.speaks = r.depth, true
	}
	if r.options > 0 {
		r.options++
	} else if strings.EqualFold(r.sql[r.previous.start:r.previous.end], "options") {
		r.options, r.option = 1, optionNone
	}
}

func (r *redactor) closedParenthesis() {
	if r.depth == r.call {
		r.call = 0
	}
	r.depth = max(0, r.depth-1)
	if r.depth < r.armed.depth {
		r.armed.depth, r.armed.siblings = r.depth, false
	}
	if r.options > 0 {
		r.options--
	}
}
