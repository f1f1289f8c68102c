package audit

import "strings"

// redacted stands where a secret was.
const redacted = "<redacted>"

// Redact returns sql without its passwords, and whether it took any out. It looks at tokens, not at grammar, and when in doubt it takes
// out more: an audit without a password misses little, a password in an audit file is one more place to steal it from. Taken out are
//
//   - every literal of CREATE and ALTER ROLE, USER and GROUP but for VALID UNTIL and SET;
//   - options of servers and user mappings, unless their names are known to be harmless;
//   - the literals and numbers after an identifier or a literal that speaks of a password, up to the next column or clause, those that get
//     such a name by AS, and all of a VALUES list;
//   - what follows the word in a literal or comment: connection strings, URLs with a user, headers, function bodies; and the literals that
//     stand before it in a function body;
//   - literals that look like what nothing but secrets look like: verifiers, tokens, keys;
//   - the literals among the arguments of pgcrypto's functions, and the arguments of a COPY's program, where one may be a secret;
//   - what SET gives a setting that speaks of a password, quoted or not;
//   - the rest of the text when a quote near a secret is not closed or what follows the secret cannot follow it.
//
// A text with nothing to take out is returned as it is, without allocating.
func Redact(sql string) (text string, found bool) {
	text, found, _ = redact(sql)
	return text, found
}

// redact is Redact. It also says whether the text speaks of a secret, whether or not it has one: what it is run with is one then.
func redact(sql string) (text string, found, speaks bool) {
	if harmless(sql) {
		return sql, false, false
	}
	return redactTokens(sql, false)
}

// redactValues is redact for a text that runs what speaks of a secret by its name: all its literals and numbers go.
func redactValues(sql string) (text string, found bool) {
	text, found, _ = redactTokens(sql, true)
	return text, found
}

func redactTokens(sql string, values bool) (text string, found, speaks bool) {
	r := redactor{sql: sql, lexer: lexer{sql: sql}, values: values}
	r.statementState.all = values
	for {
		t := r.lexer.next()
		if t.kind == tokenEnd || !r.token(t) {
			break
		}
	}
	if !r.found {
		return sql, false, r.speaks
	}
	if !r.closed {
		r.out = append(r.out, sql[r.copied:]...)
	}
	return string(r.out), true, true
}

// redactor is one pass over a text. It never recurses and never reads anything twice, but for the body of a function.
type redactor struct {
	sql    string
	lexer  lexer
	out    []byte
	copied int  // sql[:copied] is in out
	values bool // every literal of every statement goes
	found  bool
	speaks bool // something announced a secret
	closed bool // the rest was taken out: nothing more is copied

	lead     token  // the one before a name, however many parts that has
	previous token  // the last one that was not a comment
	tail     string // the end of the literals before that the next one continues: 'pass' || 'word=x'
	secret   mark
	statementState
}

// mark remembers where out ended when sql was read up to end. All from there on can still be taken out.
type mark struct {
	set         bool
	out, copied int
	end         int // in sql
}

// statementState is what is forgotten at a semicolon.
type statementState struct {
	word    int  // words seen
	defines bool // it began with CREATE or ALTER
	assigns bool // it is a SET, or has come to one behind ALTER: values need no quotes
	role    bool // … ROLE, USER or GROUP
	named   bool // … and the name of one
	sets    bool // … SET
	armed   arming
	all     bool // every literal to come is a secret
	depth   int  // of parentheses
	call    int  // the depth in the arguments of a secretCall; 0: not in them
	options int  // depth of parentheses in OPTIONS (…); 0: not in them
	option  optionState
	item    item
}

// arming says that the literals to come are secrets, since a name or a literal has spoken of one.
type arming struct {
	on       bool
	spent    bool // there was one
	depth    int  // of the parentheses that it was in: the next column or clause there has no secret
	siblings bool // the next column there may have one too: format('password=%s', 'x')
}

// item is the first literal of a column or an argument, for when AS gives it a name in the end.
type item struct {
	start mark
	depth int
	end   int // of its last literal's body
}

type optionState uint8

const (
	optionNone optionState = iota
	optionHarmless
	optionSecret
)

// token handles one token and reports whether to go on.
func (r *redactor) token(t token) bool {
	if t.open && (r.secret.set || r.armed.on || r.all || r.call > 0 || r.role || r.options > 0 || speaksOfSecret(r.sql[t.start:t.end])) {
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
	switch {
	case t.kind == tokenLiteral:
		r.literal(t)
	case t.kind != tokenOther && t.kind != tokenNumber || !r.armed.on && !r.all:
		r.other(t)
	case t.kind == tokenNumber && (r.all || r.assigned(t)):
		r.replace(t.start, t.end)
		r.markSecret(t)
		r.armed.spent = true
	default:
		r.other(t)
	}
	r.previous = t
	return true
}

func (r *redactor) other(t token) {
	switch t.kind {
	case tokenWord:
		r.wordToken(t)
	case tokenQuoted:
		r.name(t)
	case tokenOther:
		r.punctuation(t)
	}
}

// assigned says that t stands right behind what gives a value.
func (r *redactor) assigned(token) bool {
	before := r.sql[r.previous.start:r.previous.end]
	return before == "=" || strings.EqualFold(before, "to")
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
			return t.kind != tokenWord || !roleOptions.has(text)
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
	return r.role && r.armed.on && !strings.EqualFold(text, "null") && !strings.EqualFold(text, "to")
}

// replace takes out sql[from:to].
func (r *redactor) replace(from, to int) {
	if from >= to || to <= r.copied {
		return
	}
	from = max(from, r.copied)
	r.found, r.speaks = true, true
	r.out = append(r.out, r.sql[r.copied:from]...)
	r.out = append(r.out, redacted...)
	r.copied = to
}

func (r *redactor) mark(end int) mark {
	return mark{set: true, out: len(r.out), copied: r.copied, end: end}
}

// back goes back to a mark.
func (r *redactor) back(to mark) { r.out, r.copied = r.out[:to.out], to.copied }

func (r *redactor) markSecret(t token) { r.secret = r.mark(t.end) }

// cutRest ends the pass: all from the last secret of this statement on is taken out, or all from t on when there was none.
func (r *redactor) cutRest(t token) bool {
	from := t.start
	if r.secret.set {
		r.back(r.secret)
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
	r.found, r.speaks, r.closed = true, true, true
}
