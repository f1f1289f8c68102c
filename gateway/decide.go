package gateway

import (
	"context"
	"errors"
	"slices"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/catalog"
)

// verdict is what becomes of a text in this session, before it is forwarded.
type verdict struct {
	allow    bool
	observed bool     // denied by policy, and allowed because the session observes, or because its database is not enforced
	reasons  []string // for the audit log, and for the client when denied
	revision string   // of the policy that decided
	terms    terms    // what it must keep to
	denial   *denial  // what the client hears instead of policy's refusal: a syntax error, an unknown name; a template, copied for use
	unsure   bool     // the facts that policy was asked about do not say everything
	unknown  bool     // denied only because it runs something by a name that means nothing now
	secret   bool     // it runs by a name what speaks of a secret: its own values may be one
	used     []parsed // what SQL runs by its name and only Parse has named, so that no event has its text yet
}

// parsed is a text and the name that Parse gave it.
type parsed struct {
	name     string
	prepared *prepared
}

// maxUses bounds how deep names lead to texts that use names: EXPLAIN EXECUTE of what was prepared. PostgreSQL allows one step.
const maxUses = 4

// maxOpinions and maxOpinionBytes bound the sheets that a session remembers deciding about. Sheets are a few KiB each; one that would take
// an eighth of that is not remembered.
const (
	maxOpinions     = 256
	maxOpinionBytes = 4 << 20
)

// judged is what an opinion is of: a sheet, and the types that its parameters are given by number.
type judged struct {
	sheet      *statement.Sheet
	parameters catalog.Numbered
}

// opinionOf finds what the session knows of a sheet: a program that writes its values into its texts sends ever new ones with the same
// facts, and those are the same sheet.
func (j *judge) opinionOf(sheet *statement.Sheet, parameters catalog.Numbered) *opinion {
	key := judged{sheet, parameters}
	if o := j.opinions[key]; o != nil {
		return o
	}
	var normalized audit.Text
	if sheet != nil && sheet.Normalized != "" {
		normalized = j.log.Text(sheet.Normalized)
	}
	o := newOpinion(sheet, normalized)
	if sheet == nil || o.size > maxOpinionBytes/8 {
		return o
	}
	if len(j.opinions) >= maxOpinions || j.opinionBytes+o.size > maxOpinionBytes {
		clear(j.opinions)
		j.opinionBytes = 0
	}
	j.opinions[key] = o
	j.opinionBytes += o.size
	return o
}

// decide asks policy about a text and about every text it runs by name, and whether the session may still be. The error ends the session.
//
// All of it is answered by one policy: when that is replaced meanwhile, the new one is asked for everything.
func (j *judge) decide(ctx context.Context, p *prepared) (verdict, error) {
	for {
		current := j.policy.Policy()
		v, err := j.decideBy(ctx, current, p)
		if err != nil || j.policy.Policy() == current {
			return v, err
		}
	}
}

// decideBy decides while current is the policy in use.
func (j *judge) decideBy(ctx context.Context, current *authz.Policy, p *prepared) (verdict, error) {
	if d, err := j.stillGranted(ctx); d != nil || err != nil {
		return verdict{denial: d}, err
	}
	j.look(ctx)
	defer j.lookAway()
	if p.known.final && j.stands(p.known, current) && p.known.generation == j.generation() && j.blind == nil && !j.moved {
		return p.known.verdict, nil
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

// decideUsed decides about one text, and then about those it uses.
func (j *judge) decideUsed(ctx context.Context, p *prepared, depth int) (verdict, error) {
	if p.err != nil {
		return verdict{denial: j.unreadable(p.err)}, nil
	}
	if depth > maxUses {
		return verdict{denial: &denial{sqlstate: "54001", message: "prepared statements use each other too deeply"}}, nil
	}
	v := j.lenient(j.decideSheet(ctx, p))
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
			return verdict{denial: unknown, unknown: true}, nil
		}
		if use.Kind == "statement" && !executable(used) {
			return verdict{denial: &denial{sqlstate: "0A000", message: "EXECUTE of a prepared statement that is not a query is not supported"}}, nil
		}
		w, err := j.decideUsed(ctx, used, depth+1)
		if err != nil || !w.allow {
			return w, err
		}
		v = v.with(w)
		v.secret = v.secret || w.secret || used.audit.Speaks()
		if use.Kind == "statement" && !used.inner {
			v.used = append(v.used, parsed{use.Name, used})
		}
	}
	return v, nil
}

// executable says whether SQL may run a prepared statement by its name. PostgreSQL also runs what only Parse can prepare: COPY, SET,
// PREPARE, DEALLOCATE and the like. What those do to the session is followed where they are executed as themselves only.
func executable(p *prepared) bool {
	if p.inner || p.sheet == nil {
		return true
	}
	return !slices.ContainsFunc(p.sheet.Statements, func(s statement.Statement) bool {
		return s.Class != statement.ClassQuery && s.Class != statement.ClassWrite || s.Copy != nil || s.Prepared != nil && s.Prepared.Action != "current_of"
	})
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
	j.confirm(ctx, p)
	if d := j.blindfold(p.sheet); d != nil {
		return verdict{denial: d}
	}
	current := j.policy.Policy()
	sheet := j.facts(p)
	if j.stands(p.known, current) && !j.moved {
		return p.known.verdict
	}
	if !j.grant.Observe && namesMoved(sheet, j.moved) {
		sheet = unsure(sheet)
	}
	v := j.ask(ctx, sheet)
	v.unsure = !sheet.Complete
	p.known.answered(sheet, v.verdict)
	if j.moved || v.denial != nil || !v.cacheable {
		p.known.policy, p.known.final = nil, false
		return v.verdict
	}
	p.known.policy, p.known.verdict, p.known.final = current, v.verdict, v.allow && !hasUses(sheet) && !hasUnknown(sheet)
	p.known.groups = j.asWho
	return v.verdict
}

// stands says whether the verdict that is known is still policy's, about the identity as it is.
func (j *judge) stands(o *opinion, current *authz.Policy) bool {
	return o.policy == current && o.groups == j.asWho
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
	j.fresh = false
	j.input.Statement = sheet // the rest is the same for all the session's statements
	d, err := j.policy.Statement(ctx, &j.input)
	if err != nil {
		v := verdict{revision: j.policy.Policy().Revision(), reasons: []string{"policy could not decide"}, denial: j.undecided(err)}
		return answer{verdict: v}
	}
	v := verdict{allow: d.Allow, reasons: d.Reasons, revision: d.Revision, terms: termsOf(d)}
	mayRun := v.allow || j.grant.database.ObserveOnly
	if mayRun && (j.grant.ReadOnly || d.ReadOnly) && !j.grant.Observe {
		v.denial = readOnlyDenial(sheet)
		v.allow = v.allow && v.denial == nil
	}
	return answer{v, d.Cacheable}
}

// unknownName is what runs by a name that nobody has given a meaning to: nothing, unless the session observes. (A function may have
// prepared it where the gateway does not see; then nobody knows what it runs.)
func (j *judge) unknownName(ctx context.Context, d *denial) (*prepared, verdict, error) {
	v := verdict{denial: d}
	if j.grant.Observe {
		v = verdict{allow: true, observed: true, reasons: []string{d.message}, revision: j.grant.Revision}
	}
	undecided, err := j.stillGranted(ctx)
	if undecided != nil {
		v = verdict{denial: undecided}
	}
	return &prepared{err: errUnknownName, known: &opinion{}}, v, err
}

var errUnknownName = errors.New("the name was given its meaning out of the gateway's sight")
