package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/catalog"
)

// prepared is one SQL text as the session knows it: a Query's, or what a statement or a portal runs.
type prepared struct {
	text  string
	sheet *statement.Sheet // nil when facts could not be had; err says why
	err   error

	inner bool // what a PREPARE or DECLARE carries: running it does nothing to names

	audit audit.Text // the text as the audit log records it
	known *opinion   // of the sheet; never nil

	types atomic.Pointer[[]byte] // of its parameters, once the backend has said them
	given []byte                 // what Parse says of them; nil: nothing, or nobody wants to know

	parameters catalog.Numbered // those of the types that Parse says which are judged with the text

	name    string   // the statement's that was bound last
	binding []nameOp // what its last Bind does to names
}

// called is a name of this text as a string: mostly the one it was called by the last time.
func (p *prepared) called(name []byte) string {
	if p.name != string(name) {
		p.name = string(name)
	}
	return p.name
}

// bind lists what a Bind of this text to a portal does to names. The list is mostly that of the last Bind, and must not be changed. A portal
// is one like the last when nothing was counted of that.
func (p *prepared) bind(portalName []byte) []nameOp {
	if len(p.binding) == 0 || p.binding[0].name != string(portalName) || p.binding[0].portal.delivered != nil {
		p.binding = []nameOp{{kind: setPortal, name: string(portalName), portal: &portal{prepared: p}}}
	}
	return p.binding
}

// opinion is what a session knows of a sheet. Texts with the same sheet share it. It is the judge's.
type opinion struct {
	size       int          // of the sheet
	normalized audit.Text   // the text's form without constants, as the audit log records it
	recorded   *audit.Facts // the facts likewise; nil: there are none

	facts      *statement.Sheet // what the sheet means; nil: was not looked up
	generation uint64           // of the snapshot in which it means that; 0: the facts are the sheet's own

	asked    *statement.Sheet // what policy was asked about last; nil: it was not, or had no answer
	answer   verdict          // what it said to that
	compared *authz.Policy    // the shadow policy that was asked too

	policy  *authz.Policy // the one that verdict is of; nil: there is none, or it may not be kept
	groups  *[]string     // the identity's at that time; nil: those that it logged in with
	verdict verdict
	final   bool // the verdict is all there is to decide: allowed, and no other text is run by name
}

// newOpinion is what is known of a sheet before policy was asked. sheet may be nil.
func newOpinion(sheet *statement.Sheet, normalized audit.Text) *opinion {
	o := &opinion{normalized: normalized}
	if sheet != nil {
		o.size = sheet.Size()
		o.summarize(sheet, sheet.Fingerprint)
	}
	return o
}

// summarize notes how the audit log records facts. The fingerprint is the text's, whatever its names mean.
func (o *opinion) summarize(facts *statement.Sheet, fingerprint string) {
	commands, relations := summarize(facts)
	o.recorded = audit.NewFacts(commands, relations, fingerprint)
}

// size is what a prepared text counts against Limits.PreparedBytes: with its facts, which may take more than it.
func (p *prepared) size() int { return len(p.text) + p.known.size + 256 }

// carried is what the PREPARE or DECLARE that is statement i of this text carries, as the name runs it.
func (p *prepared) carried(i int) *prepared {
	sheet := *p.sheet
	sheet.Statements = sheet.Statements[i : i+1 : i+1]
	return &prepared{text: p.text, sheet: &sheet, inner: true, audit: p.audit, known: newOpinion(&sheet, p.known.normalized)}
}

// portal is a cursor: of a Bind or a DECLARE.
type portal struct {
	prepared *prepared
	hold     bool // DECLARE … WITH HOLD: lives beyond its transaction

	delivered *caps // what went to the client of it; nil: nothing counts that
}

// opKind is something that happens to the names of statements and portals.
type opKind uint8

const (
	setStatement opKind = iota + 1
	dropStatement
	dropStatements
	setPortal
	dropPortal
	dropPortals
)

// nameOp is a change of names that takes effect when the backend says that the message was carried out.
type nameOp struct {
	kind       opKind
	completion int // for a Query: which of its CommandCompletes, from 0; -1: the Query itself, whatever becomes of it
	name       string
	prepared   *prepared
	portal     *portal
}

// table maps names to what they mean. PREPARE and Parse share the statements, DECLARE and Bind the portals (protocol: one namespace).
type table struct {
	statements byName[*prepared]
	portals    byName[*portal]
	bytes      int
}

// nameKey is what the backend knows a name of the wire protocol by: its tables of statements and portals have keys of NAMEDATALEN
// bytes, the last one NUL, and compare no more of a name (dynahash.c, string_compare). Two names that differ behind that are one.
// Names in SQL are cut by the parser already.
func nameKey(name []byte) []byte { return name[:min(len(name), maxName)] }

// names knows what a name means at any point of a pipeline. What the backend has confirmed is committed, under the lock: the
// reporter writes it, the judge reads it. What the judge has forwarded since the last Sync or Query is pending, its own: it holds if
// everything before it succeeds, and if not, the backend discards whatever relied on it. What was pending at a Sync or Query, and
// whatever a Query changes, is settling until that ReadyForQuery came: nobody can know before.
type names struct {
	mu        sync.Mutex
	committed table

	pendingStatements   byName[*prepared] // nil value: gone
	pendingPortals      byName[*portal]
	pendingRuns         byName[*run] // by portal: what its Bind wrote to audit, for the first Execute in the same pipeline
	pendingNoStatements bool         // all that is not pending is gone
	pendingNoPortals    bool

	settlingStatements byName[uint64] // the number of the ReadyForQuery to wait for
	settlingPortals    byName[uint64]
	settlingAll        uint64
}

// statement returns what the name means to a message that the judge forwards now. wait is the ReadyForQuery that must come first,
// 0 if none: call again when it has come.
func (n *names) statement(name []byte, readySeen uint64) (p *prepared, wait uint64) {
	if p, ok := n.pendingStatements.get(name); ok {
		return p, 0
	}
	if n.pendingNoStatements && len(name) > 0 {
		return nil, 0
	}
	settling, _ := n.settlingStatements.get(name)
	if wait := max(settling, n.settlingAll); wait > readySeen {
		return nil, wait
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p, _ = n.committed.statements.get(name)
	return p, 0
}

// portal does for portals what statement does for statements.
func (n *names) portal(name []byte, readySeen uint64) (p *portal, wait uint64) {
	if p, ok := n.pendingPortals.get(name); ok {
		return p, 0
	}
	if n.pendingNoPortals {
		return nil, 0
	}
	settling, _ := n.settlingPortals.get(name)
	if wait := max(settling, n.settlingAll); wait > readySeen {
		return nil, wait
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	p, _ = n.committed.portals.get(name)
	return p, 0
}

// forwarded notes changes that ride in the pipeline since the last Sync.
func (n *names) forwarded(ops []nameOp) {
	for _, op := range ops {
		switch op.kind {
		case setStatement:
			n.pendingStatements.set(op.name, op.prepared)
		case dropStatement:
			n.pendingStatements.set(op.name, nil)
		case dropStatements:
			n.pendingStatements.removeNamed()
			n.pendingNoStatements = true
		case setPortal:
			n.pendingPortals.set(op.name, op.portal)
			n.pendingRuns.remove(op.name)
		case dropPortal:
			n.pendingPortals.set(op.name, nil)
			n.pendingRuns.remove(op.name)
		case dropPortals:
			n.pendingPortals.clear()
			n.pendingRuns.clear()
			n.pendingNoPortals = true
		}
	}
}

// queried notes the changes of a Query whose ReadyForQuery has this number. Only that tells which of them came true, and the changes
// before it in the same pipeline.
func (n *names) queried(ops []nameOp, ready, readySeen uint64) {
	n.synced(ready, readySeen)
	for _, op := range ops {
		switch op.kind {
		case setStatement, dropStatement:
			n.settlingStatements.set(op.name, ready)
		case setPortal, dropPortal:
			n.settlingPortals.set(op.name, ready)
		case dropStatements, dropPortals:
			n.settlingAll = ready
		}
	}
}

// synced ends a pipeline, or the part of one before a Query, whose ReadyForQuery has this number: what was pending is settling.
func (n *names) synced(ready, readySeen uint64) {
	n.pendingRuns.clear() // a Bind shares its event with no Execute behind a ReadyForQuery: there its outcome is written
	forget(&n.settlingStatements, readySeen)
	forget(&n.settlingPortals, readySeen)
	for name := range n.pendingStatements.all() {
		n.settlingStatements.set(name, ready)
	}
	for name := range n.pendingPortals.all() {
		n.settlingPortals.set(name, ready)
	}
	if n.pendingNoStatements || n.pendingNoPortals {
		n.settlingAll = ready
	}
	n.pendingStatements.clear()
	n.pendingPortals.clear()
	n.pendingNoStatements, n.pendingNoPortals = false, false
}

// forget drops what has settled.
func forget(settling *byName[uint64], readySeen uint64) {
	for name, wait := range settling.all() {
		if wait <= readySeen {
			settling.remove(name)
		}
	}
}

// maxPortals bounds the portals of one session; a client has a handful of cursors open, and PostgreSQL keeps some KiB for each.
const maxPortals = 1000

// room says whether the session may have what the changes add to it; it may not when the result is a denial.
func (n *names) room(limits *Limits, ops []nameOp) *denial {
	if len(ops) == 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	statements, portals, bytes := 0, 0, n.committed.bytes
	for _, op := range ops {
		switch op.kind {
		case setStatement:
			statements++
			bytes += op.prepared.size()
		case setPortal:
			portals++
		}
	}
	if statements > 0 && (bytes > limits.PreparedBytes || statements+together(&n.committed.statements, &n.pendingStatements) > limits.PreparedStatements) {
		return &denial{sqlstate: "53400", message: "too many prepared statements in this session", hint: "Close statements that are no longer used."}
	}
	if portals > 0 && portals+together(&n.committed.portals, &n.pendingPortals) > maxPortals {
		return &denial{sqlstate: "53400", message: "too many portals in this session", hint: "Close cursors that are no longer used."}
	}
	return nil
}

// together counts the names in two tables; what is in both is one.
func together[T any](committed, pending *byName[*T]) int {
	count := committed.len()
	for name := range pending.all() {
		if _, both := committed.get([]byte(name)); !both {
			count++
		}
	}
	return count
}

// commit makes changes true that the backend has confirmed.
func (n *names) commit(ops []nameOp) {
	if len(ops) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, op := range ops {
		n.committed.apply(op)
	}
}

// commitCompletion makes those changes of a Query true that come with one of its CommandCompletes.
func (n *names) commitCompletion(ops []nameOp, completion int) {
	if len(ops) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, op := range ops {
		if op.completion == completion {
			n.committed.apply(op)
		}
	}
}

// transactionEnded drops the portals that do not outlive a transaction.
func (n *names) transactionEnded() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, p := range n.committed.portals.all() {
		if !p.hold {
			n.committed.portals.remove(name)
		}
	}
}

func (t *table) apply(op nameOp) {
	switch op.kind {
	case setStatement:
		t.drop(op.name)
		t.statements.set(op.name, op.prepared)
		t.bytes += op.prepared.size()
	case dropStatement:
		t.drop(op.name)
	case dropStatements: // the unnamed one is not in PostgreSQL's table, and stays (DropAllPreparedStatements, commands/prepare.c)
		for name := range t.statements.all() {
			if name != "" {
				t.drop(name)
			}
		}
	case setPortal:
		t.portals.set(op.name, op.portal)
	case dropPortal:
		t.portals.remove(op.name)
	case dropPortals:
		t.portals.clear()
	}
}

func (t *table) drop(name string) {
	if old, ok := t.statements.get([]byte(name)); ok && old != nil {
		t.bytes -= old.size()
		t.statements.remove(name)
	}
}
