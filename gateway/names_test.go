package gateway

import (
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/authz/statement"
)

// nameScript is what happens to names, in the order in which judge and reporter learn of it.
type nameScript struct {
	*names
	seen uint64 // the last ReadyForQuery
}

func textNamed(text string) *prepared { return &prepared{text: text, known: &opinion{}} }

func set(name, text string) nameOp {
	return nameOp{kind: setStatement, name: name, prepared: textNamed(text)}
}
func drop(name string) nameOp { return nameOp{kind: dropStatement, name: name} }
func open(name, text string, hold bool) nameOp {
	return nameOp{kind: setPortal, name: name, portal: &portal{prepared: textNamed(text), hold: hold}}
}

// meaning is what a statement's name means: its text, "" for nothing, "?" when a ReadyForQuery must be awaited.
func (n nameScript) meaning(name string) string {
	p, wait := n.statement([]byte(name), n.seen)
	switch {
	case wait != 0:
		return "?"
	case p == nil:
		return ""
	}
	return p.text
}

func (n nameScript) cursor(name string) string {
	p, wait := n.portal([]byte(name), n.seen)
	switch {
	case wait != 0:
		return "?"
	case p == nil:
		return ""
	}
	return p.prepared.text
}

// statementCase is what happens to names, and what the statement s means then.
type statementCase struct {
	do   func(n *nameScript)
	want string // the meaning of s
}

func (tt statementCase) check(t *testing.T) {
	n := nameScript{names: &names{}}
	tt.do(&n)
	if got := n.meaning("s"); got != tt.want {
		t.Errorf("s means %q, want %q", got, tt.want)
	}
}

func TestNamesOfStatements(t *testing.T) {
	tests := map[string]statementCase{
		"never heard of": {func(*nameScript) {}, ""},
		"forwarded":      {func(n *nameScript) { n.forwarded([]nameOp{set("s", "A")}) }, "A"},
		"forwarded, then synced": {func(n *nameScript) {
			n.forwarded([]nameOp{set("s", "A")})
			n.synced(1, 0)
		}, "?"},
		"confirmed but not settled": {func(n *nameScript) {
			n.forwarded([]nameOp{set("s", "A")})
			n.synced(1, 0)
			n.commit([]nameOp{set("s", "A")})
		}, "?"},
		"settled": {func(n *nameScript) {
			n.forwarded([]nameOp{set("s", "A")})
			n.synced(1, 0)
			n.commit([]nameOp{set("s", "A")})
			n.seen = 1
		}, "A"},
		"settled without confirmation": {func(n *nameScript) {
			n.forwarded([]nameOp{set("s", "A")})
			n.synced(1, 0)
			n.seen = 1
		}, ""},
		"closed in the pipeline": {func(n *nameScript) {
			n.commit([]nameOp{set("s", "A")})
			n.forwarded([]nameOp{drop("s")})
		}, ""},
		"closed and redefined, discarded": {func(n *nameScript) {
			n.commit([]nameOp{set("s", "A")})
			n.forwarded([]nameOp{drop("s"), set("s", "B")})
			n.synced(1, 0)
			n.seen = 1
		}, "A"},
	}
	for name, tt := range tests {
		t.Run(name, tt.check)
	}
}

func TestNamesOfStatementsDeallocated(t *testing.T) {
	tests := map[string]statementCase{
		"all deallocated in the pipeline": {func(n *nameScript) {
			n.commit([]nameOp{set("s", "A")})
			n.forwarded([]nameOp{set("s", "B"), {kind: dropStatements}})
		}, ""},
		"all deallocated in the pipeline, then redefined": {func(n *nameScript) {
			n.forwarded([]nameOp{{kind: dropStatements}, set("s", "B")})
		}, "B"},
		"all deallocated, synced": {func(n *nameScript) {
			n.commit([]nameOp{set("s", "A")})
			n.forwarded([]nameOp{{kind: dropStatements}})
			n.synced(1, 0)
		}, "?"},
		"all deallocated, settled": {func(n *nameScript) {
			n.commit([]nameOp{set("s", "A")})
			n.forwarded([]nameOp{{kind: dropStatements}})
			n.synced(1, 0)
			n.commit([]nameOp{{kind: dropStatements}})
			n.seen = 1
		}, ""},
		"all deallocated, which was discarded": {func(n *nameScript) {
			n.commit([]nameOp{set("s", "A")})
			n.forwarded([]nameOp{{kind: dropStatements}})
			n.synced(1, 0)
			n.seen = 1
		}, "A"},
		"prepared by a Query": {func(n *nameScript) { n.queried([]nameOp{set("s", "A")}, 1, 0) }, "?"},
		"forwarded, then anything queried": {func(n *nameScript) {
			n.forwarded([]nameOp{set("s", "A")})
			n.queried(nil, 1, 0)
		}, "?"},
		"all deallocated by a Query, known to nobody yet": {func(n *nameScript) {
			n.commit([]nameOp{set("s", "A")})
			n.queried([]nameOp{{kind: dropStatements}}, 1, 0)
		}, "?"},
		"a Query that did half": {func(n *nameScript) {
			ops := []nameOp{set("s", "A"), {kind: dropStatement, name: "s", completion: 1}}
			n.queried(ops, 1, 0)
			n.commitCompletion(ops, 0) // and then it failed
			n.commitCompletion(ops, -1)
			n.seen = 1
		}, "A"},
		"an older ReadyForQuery is not enough": {func(n *nameScript) {
			n.queried([]nameOp{set("s", "A")}, 2, 0)
			n.seen = 1
		}, "?"},
	}
	for name, tt := range tests {
		t.Run(name, tt.check)
	}
}

func TestNamesOfPortals(t *testing.T) {
	tests := map[string]struct {
		do   func(n *nameScript)
		want string // the meaning of c
	}{
		"bound":                        {func(n *nameScript) { n.forwarded([]nameOp{open("c", "A", false)}) }, "A"},
		"confirmed":                    {func(n *nameScript) { n.commit([]nameOp{open("c", "A", false)}) }, "A"},
		"gone with its transaction":    {func(n *nameScript) { n.commit([]nameOp{open("c", "A", false)}); n.transactionEnded() }, ""},
		"with hold":                    {func(n *nameScript) { n.commit([]nameOp{open("c", "A", true)}); n.transactionEnded() }, "A"},
		"closed in the pipeline":       {func(n *nameScript) { n.forwarded([]nameOp{open("c", "A", false), {kind: dropPortal, name: "c"}}) }, ""},
		"all closed in the pipeline":   {func(n *nameScript) { n.forwarded([]nameOp{open("c", "A", false), {kind: dropPortals}}) }, ""},
		"all closed, then bound again": {func(n *nameScript) { n.forwarded([]nameOp{{kind: dropPortals}, open("c", "B", false)}) }, "B"},
		"declared by a Query":          {func(n *nameScript) { n.queried([]nameOp{open("c", "A", false)}, 1, 0) }, "?"},
		"all closed by a Query": {func(n *nameScript) {
			n.commit([]nameOp{open("c", "A", true)})
			n.queried([]nameOp{{kind: dropPortals}}, 1, 0)
		}, "?"},
		"all closed, also those with hold": {func(n *nameScript) {
			n.commit([]nameOp{open("c", "A", true)})
			n.commit([]nameOp{{kind: dropPortals}})
		}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			n := nameScript{names: &names{}}
			tt.do(&n)
			if got := n.cursor("c"); got != tt.want {
				t.Errorf("c means %q, want %q", got, tt.want)
			}
		})
	}
}

// TestNamesAllSparesTheUnnamed: DEALLOCATE ALL and DISCARD ALL do not touch the unnamed statement.
func TestNamesAllSparesTheUnnamed(t *testing.T) {
	n := nameScript{names: &names{}}
	n.forwarded([]nameOp{set("", "A"), {kind: dropStatements}})
	if got := n.meaning(""); got != "A" {
		t.Errorf("pending: it means %q", got)
	}
	n.synced(1, 0)
	n.commit([]nameOp{set("", "A"), set("s", "B"), {kind: dropStatements}})
	n.seen = 1
	if got := n.meaning(""); got != "A" {
		t.Errorf("settled: it means %q", got)
	}
	if got := n.committed.bytes; got != textNamed("A").size() {
		t.Errorf("%d bytes are counted, want those of one statement", got)
	}
}

func TestNamesCountBytes(t *testing.T) {
	n := &names{}
	n.commit([]nameOp{set("a", "12345"), set("b", "1"), set("a", "123")})
	if want := textNamed("123").size() + textNamed("1").size(); n.committed.bytes != want {
		t.Errorf("%d bytes, want %d", n.committed.bytes, want)
	}
	n.commit([]nameOp{drop("a"), drop("a"), {kind: dropStatements}})
	if n.committed.bytes != 0 {
		t.Errorf("%d bytes of nothing", n.committed.bytes)
	}
}

func TestNamesForgetWhatHasSettled(t *testing.T) {
	n := &names{}
	for i := range uint64(1000) {
		n.queried([]nameOp{set(strings.Repeat("x", int(i%60))+"s", "A")}, i+1, i)
	}
	if settling := n.settlingStatements.len(); settling > 2 {
		t.Errorf("%d names are settling, of which one can be", settling)
	}
}

func TestNameKey(t *testing.T) {
	long := strings.Repeat("x", 62) + "ü" // cut within a character: the backend compares bytes
	for name, want := range map[string]string{"": "", "s": "s", long + "tail": long[:63]} {
		if got := string(nameKey([]byte(name))); got != want {
			t.Errorf("nameKey(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestRoomForFacts: a short text may have large facts, and a prepared statement holds both.
func TestRoomForFacts(t *testing.T) {
	n, limits := &names{}, &Limits{PreparedBytes: 1 << 20, PreparedStatements: 1000}
	large := &prepared{text: "SELECT a FROM t, u", known: &opinion{size: 400 << 10}}
	accepted := 0
	for i := range 10 {
		ops := []nameOp{{kind: setStatement, name: strconv.Itoa(i), prepared: large}}
		if n.room(limits, ops) != nil {
			break
		}
		n.commit(ops)
		accepted++
	}
	if accepted != 2 {
		t.Errorf("%d were accepted", accepted)
	}
}

// TestOpinionsAreBounded: what a session remembers of texts does not grow with what they say.
func TestOpinionsAreBounded(t *testing.T) {
	j := &judge{opinions: map[judged]*opinion{}}
	for _, number := range []int{10, 1000, 10_000, 50_000} {
		columns := make([]string, number)
		for range maxOpinions + 1 {
			j.opinionOf(&statement.Sheet{Statements: []statement.Statement{{Relations: []statement.Relation{{Columns: columns}}}}}, "")
			sum := 0
			for _, o := range j.opinions {
				sum += o.size
			}
			if sum > maxOpinionBytes || sum != j.opinionBytes || len(j.opinions) > maxOpinions {
				t.Fatalf("%d sheets are remembered, of %d bytes, counted as %d", len(j.opinions), sum, j.opinionBytes)
			}
		}
	}
	if len(j.opinions) == 0 {
		t.Error("nothing is remembered")
	}
}
