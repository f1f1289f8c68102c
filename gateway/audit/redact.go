package audit

import "strings"

// redacted stands where a secret was.
const redacted = "<redacted>"

// Redact returns sql without its passwords, and whether it took any out. It looks at tokens, not at grammar, and when in doubt it takes
// out more: an audit without a password misses little, a password in an audit file is one more place to steal it from. Taken out are
//
//   - every literal of CREATE and ALTER ROLE, USER and GROUP but for VALID UNTIL and SET;
//   - options of servers and user mappings, unless their names are known to be harmless;
//   - the literal after an identifier or a literal that speaks of a password, in the same clause, and all of a VALUES list;
//   - what follows the word in a literal or comment: connection strings, URLs with a user, function bodies;
//   - the rest of the text when a quote near a secret is not closed or what follows the secret cannot follow it.
//
// A text with nothing to take out is returned as it is, without allocating.
func Redact(sql string) (text string, found bool) {
	if harmless(sql) {
		return sql, false
	}
	return redact(sql)
}

func redact(sql string) (text string, found bool) {
	r := redactor{sql: sql, lexer: lexer{sql: sql}}
	for {
		t := r.lexer.next()
		if t.kind == tokenEnd || !r.token(t) {
			break
		}
	}
	if !r.found {
		return sql, false
	}
	if !r.closed {
		r.out = append(r.out, sql[r.copied:]...)
	}
	return string(r.out), true
}

// redactor is one pass over a text. It never recurses and never goes back.
type redactor struct {
	sql    string
	lexer  lexer
	out    []byte
	copied int // sql[:copied] is in out
	found  bool
	closed bool // the rest was taken out: nothing more is copied

	previous token  // the last one that was not a comment
	tail     string // the end of the literal before, when the next one continues it: 'pass' || 'word=x'
	secret   secretPlace
	statementState
}

// secretPlace remembers where the last secret of a statement ended: from there on all goes when a quote turns out not to be closed.
type secretPlace struct {
	set         bool
	out, copied int
	end         int // in sql
}

// statementState is what is forgotten at a semicolon.
type statementState struct {
	word    int  // words seen
	defines bool // it began with CREATE or ALTER
	role    bool // … ROLE, USER or GROUP
	named   bool // … and the name of one
	sets    bool // … SET
	armed   bool // the next literal is a secret
	all     bool // every literal to come is a secret
	options int  // depth of parentheses in OPTIONS (…); 0: not in them
	option  optionState
}

type optionState uint8

const (
	optionNone optionState = iota
	optionHarmless
	optionSecret
)

// token handles one token and reports whether to go on.
func (r *redactor) token(t token) bool {
	if t.open && (r.secret.set || r.armed || r.role || r.options > 0 || speaksOfSecret(r.sql[t.start:t.end])) {
		return r.cutRest(t)
	}
	if t.kind == tokenComment {
		if i := secretIn(r.sql[t.bodyStart:t.bodyEnd]); i >= 0 {
			r.replace(t.bodyStart+i, t.bodyEnd)
		}
		return true
	}
	if r.misplaced(t) {
		return r.cutRest(t)
	}
	switch t.kind {
	case tokenLiteral:
		r.literal(t)
	case tokenWord:
		r.wordToken(t)
	case tokenQuoted:
		r.name(t)
	default:
		r.punctuation(t)
	}
	if t.kind != tokenLiteral && r.sql[t.start] != '|' {
		r.tail = ""
	}
	r.previous = t
	return true
}

// misplaced says that t cannot stand where it does beside a secret: the secret was not quoted, or its quotes were not doubled.
func (r *redactor) misplaced(t token) bool {
	text := r.sql[t.start:t.end]
	if r.secret.set && r.secret.end == r.previous.end && r.previous.kind == tokenLiteral {
		next := text[0]
		switch {
		case next == ';' || next == ',' || next == ')' || t.kind == tokenLiteral:
			return t.kind == tokenLiteral && t.start == r.previous.end
		case r.options > 0:
			return true
		case r.role:
			return t.kind != tokenWord || !roleOptions[strings.ToUpper(text)]
		default:
			return t.start == r.previous.end && (t.kind == tokenWord || t.kind == tokenQuoted)
		}
	}
	if t.kind == tokenLiteral || t.kind == tokenOther && strings.ContainsAny(text, ";,()=:") {
		return false
	}
	if r.options > 0 && r.option == optionSecret {
		return true
	}
	// ALTER ROLE r PASSWORD hunter2
	return r.role && r.armed && !strings.EqualFold(text, "null") && !strings.EqualFold(text, "to")
}

func (r *redactor) literal(t token) {
	body := r.sql[t.bodyStart:t.bodyEnd]
	if r.isSecret() {
		r.replace(t.bodyStart, t.bodyEnd)
		r.markSecret(t)
		r.armed = false
		if t.escapes == 0 && strings.HasSuffix(body, `\`) {
			r.lexer.pos = len(r.sql) // 'a\'b' was meant as one: nobody knows where it ends
			r.dropFrom(t.end)
		}
		return
	}
	i := secretIn(body)
	if i < 0 && t.escapes != 0 && strings.Contains(body, `\`) && speaksOfSecret(unescape(body)) {
		i = 0
	}
	if i < 0 && r.tail != "" && speaksOfSecret(r.tail+body) {
		i = 0
	}
	if i >= 0 {
		r.replace(t.bodyStart+i, t.bodyEnd)
		r.markSecret(t)
		r.armed = true // set_config('x.password', 'y'), 'password=' || 'y'
	}
	r.tail = body[max(0, len(body)-maxWordBytes):]
}

// isSecret decides about a whole literal.
func (r *redactor) isSecret() bool {
	continued := r.secret.set && r.secret.end == r.previous.end && r.previous.kind == tokenLiteral
	switch {
	case r.armed || r.all || continued:
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

func (r *redactor) wordToken(t token) {
	text := r.sql[t.start:t.end]
	r.word++
	switch {
	case r.word == 1:
		r.defines = strings.EqualFold(text, "create") || strings.EqualFold(text, "alter")
	case r.word == 2 && r.defines:
		r.role = strings.EqualFold(text, "role") || strings.EqualFold(text, "user") || strings.EqualFold(text, "group")
		return
	case r.word == 3 && r.role && strings.EqualFold(text, "mapping"):
		r.role = false
	case r.role && strings.EqualFold(text, "set"):
		r.sets = true
	case r.armed && strings.EqualFold(text, "values"):
		r.all = true
	case r.previous.escapes == 'U' && strings.EqualFold(text, "uescape"):
		// the body before has another escape character than it was read with
		if r.copied <= r.previous.start {
			r.replace(r.previous.bodyStart, r.previous.bodyEnd)
		}
		r.armed = r.armed || r.previous.kind == tokenQuoted
	}
	r.name(t)
}

// name handles an identifier: the name of an option, or one that speaks of a password.
func (r *redactor) name(t token) {
	body := r.sql[t.bodyStart:t.bodyEnd]
	if t.escapes == 'U' && strings.Contains(body, `\`) {
		body = unescape(body)
	}
	if r.options > 0 {
		r.nameOption(strings.ToLower(body))
		return
	}
	if r.role && !r.named {
		r.named = true
		return
	}
	if r.armed && t.kind == tokenWord && (strings.EqualFold(body, "null") || !r.role && clauses[strings.ToUpper(body)]) {
		r.armed = false
	}
	if speaksOfSecret(body) {
		r.armed = true
	}
}

func (r *redactor) nameOption(name string) {
	switch {
	case r.option == optionNone && (name == "add" || name == "set" || name == "drop"):
	case harmlessOptions[name]:
		r.option = optionHarmless
	default:
		r.option = optionSecret
	}
}

func (r *redactor) punctuation(t token) {
	switch r.sql[t.start] {
	case ';':
		r.statementState = statementState{}
	case '(':
		if r.options > 0 {
			r.options++
		} else if strings.EqualFold(r.sql[r.previous.start:r.previous.end], "options") {
			r.options, r.option = 1, optionNone
		}
	case ')':
		if r.options > 0 {
			r.options--
		}
	case ',':
		r.option = optionNone
	}
}

// replace takes out sql[from:to].
func (r *redactor) replace(from, to int) {
	if from >= to {
		return
	}
	r.found = true
	r.out = append(r.out, r.sql[r.copied:from]...)
	r.out = append(r.out, redacted...)
	r.copied = to
}

func (r *redactor) markSecret(t token) {
	r.secret = secretPlace{set: true, out: len(r.out), copied: r.copied, end: t.end}
}

// cutRest ends the pass: all from the last secret of this statement on is taken out, or all from t on when there was none.
func (r *redactor) cutRest(t token) bool {
	from := t.start
	if r.secret.set {
		r.out = r.out[:r.secret.out]
		r.copied = r.secret.copied
		from = r.secret.end
	}
	r.dropFrom(from)
	return false
}

func (r *redactor) dropFrom(from int) {
	r.out = append(r.out, r.sql[r.copied:from]...)
	if from < len(r.sql) {
		r.out = append(r.out, ' ')
		r.out = append(r.out, redacted...)
	}
	r.found, r.closed = true, true
}
