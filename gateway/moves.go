package gateway

import (
	"math"
	"slices"

	"github.com/sallyport/sallyport/authz/statement"
)

// namesMayHaveMoved says whether DDL of a transaction that is still open makes facts incomplete.
func (j *judge) namesMayHaveMoved() bool {
	if j.unsure == 0 {
		return false
	}
	if j.queue.lastIdle() >= j.unsure {
		j.unsure = 0
		return false
	}
	return true
}

// movement says for how long a statement makes the meaning of names uncertain.
type movement uint8

const (
	movesNothing movement = iota
	movesForNow           // until its transaction has ended
	movesForGood
)

// announce tells the reporter, before the message is forwarded, that its completion may change definitions. What moves names for good may
// do that too.
func (j *judge) announce(m movement) {
	if m != movesNothing {
		j.moving(j.queue.nextReady())
	}
}

// noteMoves notes what a text does to the meaning of names; ready is the ReadyForQuery that can end its transaction.
func (j *judge) noteMoves(m movement, ready uint64) {
	switch m {
	case movesForGood:
		j.unsure = math.MaxUint64
	case movesForNow:
		j.unsure = max(j.unsure, ready)
	}
}

// movesNames says what a text, or one that it runs by name, does to the meaning of names.
func (j *judge) movesNames(p *prepared, depth int) (m movement, err error) {
	if p.sheet == nil || depth > maxUses {
		return movesNothing, nil
	}
	for i := range p.sheet.Statements {
		s := &p.sheet.Statements[i]
		m = max(m, moves(s))
		for _, use := range usesOf(s) {
			used, _, err := j.resolve(use)
			if err != nil {
				return m, err
			}
			if used == nil {
				continue
			}
			by, err := j.movesNames(used, depth+1)
			if err != nil {
				return m, err
			}
			m = max(m, by)
		}
	}
	return m, nil
}

// moves says what a statement does to the meaning of names. Who sets the search_path, or a setting that the text does not name, moves
// them for good: from then on nobody but the backend knows what an unqualified name means.
func moves(s *statement.Statement) movement {
	if setsPath(s) {
		return movesForGood
	}
	if s.Class == statement.ClassDefinition || len(s.Opaque) > 0 {
		return movesForNow
	}
	for _, r := range s.Relations {
		if r.Temporary || slices.Contains(r.Access, "create") {
			return movesForNow
		}
	}
	return movesNothing
}

// setsPath says whether a statement sets the search_path, or may. The SET clause of a function, a role or a database sets nothing yet; a
// definition that calls set_config may be CREATE TABLE AS, which runs it.
func setsPath(s *statement.Statement) bool {
	if s.Class == statement.ClassDefinition && !slices.ContainsFunc(s.Functions, func(f statement.Function) bool { return f.Name == "set_config" }) {
		return false
	}
	return slices.ContainsFunc(s.Settings, func(setting statement.Setting) bool {
		return (setting.Action == "set" || setting.Action == "set_local") && (setting.Name == "search_path" || setting.Name == everySetting)
	})
}

// everySetting stands in the facts for a setting whose name the text does not show.
const everySetting = "*"

// namesMoved says whether names in a text may mean something else than the facts say: moved before it, or by itself on the way.
func namesMoved(sheet *statement.Sheet, moved bool) bool {
	for i := range sheet.Statements {
		s := &sheet.Statements[i]
		if moved && namesAnything(s) {
			return true
		}
		moved = moved || moves(s) != movesNothing
	}
	return false
}

// namesAnything says whether a statement holds names whose meaning can move: 1 + 1 does, its operator may be defined anew, COMMIT does not.
func namesAnything(s *statement.Statement) bool {
	facts := len(s.Relations) + len(s.Functions) + len(s.Attributes) + len(s.Operators) + len(s.Types) + len(s.Opaque)
	return facts+len(s.Hints.Operators)+len(s.Hints.Calls) > 0 || len(usesOf(s)) > 0
}

// AsJudged is the sheet that policy is asked about when a text is sent: its own facts, unless names in it may mean something else than
// they say, because the text moves them itself, or what came before it in its transaction did (moved). For those who ask a policy what
// a gateway would ask; of a session that observes, policy sees the facts as they are.
func AsJudged(sheet *statement.Sheet, moved bool) *statement.Sheet {
	if namesMoved(sheet, moved) {
		return unsure(sheet)
	}
	return sheet
}

// unsure is a sheet that does not vouch for what its names mean.
func unsure(sheet *statement.Sheet) *statement.Sheet {
	u := *sheet
	u.Complete = false
	u.Incomplete = append(slices.Clone(sheet.Incomplete), "names may have moved: definitions were changed in this transaction")
	return &u
}
