package gateway

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
)

// verdict is what becomes of a text in this session, before it is forwarded.
type verdict struct {
	allow    bool
	observed bool     // allowed only because the session observes
	reasons  []string // for the audit log, and for the client when denied
	revision string   // of the policy that decided
	denial   *denial  // what the client hears instead of policy's refusal: a syntax error, an unknown name; a template, copied for use
}

// maxUses bounds how deep names lead to texts that use names: EXPLAIN EXECUTE of what was prepared. PostgreSQL allows one step.
const maxUses = 4

// textCache keeps the texts a session has sent lately, so that a Query that comes again is not taken apart again.
type textCache map[string]*prepared

// maxCachedTexts and maxCachedText bound it: a session repeats few texts, and those are short.
const (
	maxCachedTexts = 64
	maxCachedText  = 4 << 10
)

// prepare gets the facts of a text. It never fails: what could not be read says why.
func (j *judge) prepare(ctx context.Context, text []byte) *prepared {
	if p := j.texts[string(text)]; p != nil {
		return p
	}
	p := &prepared{text: string(text), audit: j.log.Text(string(text))}
	ctx, cancel := context.WithTimeout(ctx, j.timeouts.Decision)
	defer cancel()
	p.sheet, p.err = j.analyzer.Analyze(ctx, p.text)
	if p.sheet != nil {
		p.commands, p.relations = summarize(p.sheet)
	}
	if p.err == nil && len(text) <= maxCachedText {
		if len(j.texts) >= maxCachedTexts {
			clear(j.texts)
		}
		j.texts[p.text] = p
	}
	return p
}

// decide asks policy about a text and about every text it runs by name. The error ends the session.
func (j *judge) decide(ctx context.Context, p *prepared) (verdict, error) {
	if err := j.stillGranted(ctx); err != nil {
		return verdict{}, err
	}
	if p.cached != nil && p.policy == j.policy.Policy() && !j.namesMayHaveMoved() {
		return *p.cached, nil
	}
	v, err := j.decideUsed(ctx, p, 0)
	if err != nil {
		return v, err
	}
	if !v.allow && j.grant.Observe {
		v.allow, v.observed = true, true
		if v.denial != nil {
			v.reasons = []string{v.denial.message}
		}
	}
	return v, nil
}

// stillGranted asks for the connect decision again when the policy has changed: who may no longer be here, or no longer as what it is
// here, has nothing to be judged.
func (j *judge) stillGranted(ctx context.Context) error {
	current := j.policy.Policy()
	if current == j.granted {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, j.timeouts.Decision)
	defer cancel()
	d, err := j.policy.Connect(ctx, &j.connect)
	switch {
	case err != nil:
		return fail(ReasonPolicyFailed, err)
	case !d.Allow || d.Role != j.grant.Role || d.Observe != j.grant.Observe || d.ReadOnly != j.grant.ReadOnly:
		return &sessionError{reason: ReasonGrantWithdrawn, detail: strings.Join(d.Reasons, "\n")}
	}
	j.granted = current
	return nil
}

// decideUsed decides about one text, and then about those it uses.
func (j *judge) decideUsed(ctx context.Context, p *prepared, depth int) (verdict, error) {
	if p.err != nil {
		return verdict{denial: unreadable(p.err)}, nil
	}
	if depth > maxUses {
		return verdict{denial: &denial{sqlstate: "54001", message: "prepared statements use each other too deeply"}}, nil
	}
	v := j.decideSheet(ctx, p)
	for i := range p.sheet.Statements {
		if !v.allow {
			break
		}
		var err error
		if v, err = j.decideUses(ctx, p, i, v, depth); err != nil {
			return v, err
		}
	}
	return v, nil
}

// decideUses decides about the texts that statement i of p runs by name. A name that the same text gives an earlier meaning to was
// decided with the text itself.
func (j *judge) decideUses(ctx context.Context, p *prepared, i int, v verdict, depth int) (verdict, error) {
	for _, use := range usesOf(&p.sheet.Statements[i]) {
		if definedBefore(p.sheet.Statements[:i], use) {
			continue
		}
		used, unknown, err := j.resolve(use)
		if err != nil {
			return v, err
		}
		if used == nil {
			return verdict{denial: unknown}, nil
		}
		w, err := j.decideUsed(ctx, used, depth+1)
		if err != nil || !w.allow {
			return w, err
		}
	}
	return v, nil
}

// resolve finds the text that a use of a name runs; unknown is the denial when there is none.
func (j *judge) resolve(use statement.Use) (used *prepared, unknown *denial, err error) {
	name := []byte(use.Name)
	if use.Kind == "statement" {
		used, err = j.statementNamed(name)
		return used, noStatement(name), err
	}
	o, err := j.portalNamed(name)
	if o != nil {
		used = o.prepared
	}
	return used, &denial{sqlstate: "34000", message: "cursor \"" + use.Name + "\" does not exist"}, err
}

// usesOf lists the statements and portals that a statement runs.
func usesOf(s *statement.Statement) []statement.Use {
	if s.Prepared == nil {
		return nil
	}
	uses := s.Prepared.Uses
	switch s.Prepared.Action {
	case "execute":
		return append([]statement.Use{{Kind: "statement", Name: s.Prepared.Name}}, uses...)
	case "fetch", "move", "current_of":
		return append([]statement.Use{{Kind: "portal", Name: s.Prepared.Name}}, uses...)
	}
	return uses
}

// definedBefore says whether earlier statements of the same text give the name its meaning.
func definedBefore(earlier []statement.Statement, use statement.Use) bool {
	return slices.ContainsFunc(earlier, func(s statement.Statement) bool {
		if s.Prepared == nil || s.Prepared.Name != use.Name {
			return false
		}
		return use.Kind == "statement" && s.Prepared.Action == "prepare" || use.Kind == "portal" && s.Prepared.Action == "declare"
	})
}

// decideSheet asks policy about the facts of one text, or remembers what it said.
func (j *judge) decideSheet(ctx context.Context, p *prepared) verdict {
	current := j.policy.Policy()
	moved := j.namesMayHaveMoved()
	if p.verdict != nil && p.policy == current && !moved {
		return *p.verdict
	}
	sheet := p.sheet
	if moved && !j.grant.Observe {
		sheet = unsure(sheet)
	}
	v := j.ask(ctx, sheet)
	if moved || v.denial != nil || !v.cacheable {
		p.policy, p.verdict, p.cached = nil, nil, nil
		return v.verdict
	}
	p.policy, p.verdict, p.cached = current, &v.verdict, nil
	if v.allow && !hasUses(sheet) {
		p.cached = p.verdict
	}
	return v.verdict
}

func hasUses(sheet *statement.Sheet) bool {
	return slices.ContainsFunc(sheet.Statements, func(s statement.Statement) bool { return len(usesOf(&s)) > 0 })
}

// answer is a verdict and whether it may be kept.
type answer struct {
	verdict
	cacheable bool
}

// ask evaluates the policy. What it cannot decide is denied.
func (j *judge) ask(ctx context.Context, sheet *statement.Sheet) answer {
	ctx, cancel := context.WithTimeout(ctx, j.timeouts.Decision)
	defer cancel()
	input := j.input // the session's part is the same for all its statements
	input.Statement = sheet
	d, err := j.policy.Statement(ctx, &input)
	if err != nil {
		j.logger.Error("policy could not decide", "error", err)
		v := verdict{revision: j.policy.Policy().Revision(), reasons: []string{"policy could not decide"}}
		v.denial = &denial{sqlstate: "58000", message: "policy could not decide about this statement", hint: "Tell the gateway's operators; nothing was executed."}
		return answer{verdict: v}
	}
	return answer{verdict{allow: d.Allow, reasons: d.Reasons, revision: d.Revision}, d.Cacheable}
}

// unreadable is the denial of a text without facts.
func unreadable(err error) *denial {
	var syntax *statement.SyntaxError
	if errors.As(err, &syntax) {
		return &denial{sqlstate: "42601", message: syntax.Message, position: syntax.Position}
	}
	var limit *statement.LimitError
	if errors.As(err, &limit) {
		return &denial{sqlstate: limit.SQLSTATE, message: limit.Message}
	}
	return &denial{sqlstate: "58000", message: "statement could not be analyzed", hint: "Try again; nothing was executed."}
}

// unknownName is what runs by a name that nobody has given a meaning to: nothing, unless the session observes. (A function may have
// prepared it where the gateway does not see; then nobody knows what it runs.)
func (j *judge) unknownName(v verdict) (*prepared, verdict) {
	if j.grant.Observe {
		v = verdict{allow: true, observed: true, reasons: []string{v.denial.message}, revision: j.grant.Revision}
	}
	return &prepared{err: errUnknownName}, v
}

var errUnknownName = errors.New("the name was given its meaning out of the gateway's sight")

// record writes the statement event; nothing is forwarded before that. d is the denial when the statement must not run: the
// verdict's, or that of an audit log that does not take the event.
func (j *judge) record(p *prepared, v verdict, protocol audit.Protocol, name, portal string, began time.Time) (r *run, d *denial) {
	j.number++
	j.statements.Add(1)
	id := audit.StatementID(j.id, j.number)
	if !v.allow {
		d = denied(v.reasons, id)
		if v.denial != nil {
			special := *v.denial
			d = &special
		}
	}
	j.fillEvent(p, v, d)
	j.event.Protocol, j.event.StatementName, j.event.Portal, j.event.Time = protocol, name, portal, began
	judged := elapsed(began)
	if err := j.log.Append(&j.event); err != nil {
		j.metrics.auditFailed()
		j.logger.Error("audit log does not take a statement; it is denied", "error", err)
		return nil, &denial{sqlstate: "58030", message: "statement denied: its audit event cannot be written", hint: "Tell the gateway's operators; nothing was executed."}
	}
	j.metrics.statement(protocol, j.event.Decision, judged)
	return &run{number: j.number, started: began, judged: judged}, d
}

// fillEvent fills in what is not the same for all statements of the session.
func (j *judge) fillEvent(p *prepared, v verdict, d *denial) {
	e := &j.event
	e.Number = j.number
	e.Text, e.Commands, e.Relations = p.audit, p.commands, p.relations
	e.Fingerprint, e.Incomplete = "", p.sheet == nil
	if p.sheet != nil {
		e.Fingerprint, e.Incomplete = p.sheet.Fingerprint, !p.sheet.Complete
	}
	e.Reasons, e.PolicyRevision, e.SQLSTATE = v.reasons, v.revision, ""
	switch {
	case d != nil:
		e.Decision, e.SQLSTATE = audit.DecisionDeny, d.sqlstate
		if v.denial != nil && len(v.reasons) == 0 {
			e.Reasons = []string{d.message}
		}
	case v.observed:
		e.Decision = audit.DecisionObserve
	default:
		e.Decision = audit.DecisionAllow
	}
}

// namesMayHaveMoved says whether DDL of a transaction that is still open makes facts incomplete.
func (j *judge) namesMayHaveMoved() bool {
	if j.unsure == 0 {
		return false
	}
	if j.queue.progress().readyIdle >= j.unsure {
		j.unsure = 0
		return false
	}
	return true
}

// noteMoves notes a text that can change what names mean, until the transaction of the given ReadyForQuery has ended.
func (j *judge) noteMoves(p *prepared, ready uint64) {
	if p.sheet == nil {
		return
	}
	if slices.ContainsFunc(p.sheet.Statements, movesForGood) {
		j.unsure = math.MaxUint64
	} else if slices.ContainsFunc(p.sheet.Statements, moves) {
		j.unsure = max(j.unsure, ready)
	}
}

// movesForGood says whether a statement sets the search_path, or a setting that the text does not name: from then on nobody but the
// backend knows what an unqualified name means.
func movesForGood(s statement.Statement) bool {
	return slices.ContainsFunc(s.Settings, func(s statement.Setting) bool {
		return (s.Action == "set" || s.Action == "set_local") && (s.Name == "search_path" || !s.Known && s.Name == "")
	})
}

// moves says whether a statement can change what names mean.
func moves(s statement.Statement) bool {
	if s.Class == statement.ClassDefinition || len(s.Opaque) > 0 {
		return true
	}
	for _, r := range s.Relations {
		if r.Temporary || slices.Contains(r.Access, "create") {
			return true
		}
	}
	return false
}

// unsure is a sheet that does not vouch for what its names mean.
func unsure(sheet *statement.Sheet) *statement.Sheet {
	u := *sheet
	u.Complete = false
	u.Incomplete = append(slices.Clone(sheet.Incomplete), "names may have moved: definitions were changed in this transaction")
	return &u
}

// summarize gives the audit event's view of a sheet.
func summarize(sheet *statement.Sheet) (commands, relations []string) {
	for i := range sheet.Statements {
		s := &sheet.Statements[i]
		commands = append(commands, s.Commands...)
		for _, r := range s.Relations {
			relations = append(relations, describeRelation(r))
		}
	}
	return commands, relations
}

func describeRelation(r statement.Relation) string {
	name := r.Name
	if r.Schema != "" {
		name = r.Schema + "." + r.Name
	}
	line := name + " " + strings.Join(r.Access, ",")
	columns := r.Columns
	if r.AllUnsure {
		columns = []string{"*"}
	}
	if len(columns) > 0 {
		line += " (" + strings.Join(columns, ",") + ")"
	}
	return line
}
