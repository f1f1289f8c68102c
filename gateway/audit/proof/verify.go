package proof

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// maxFindings bounds a report: what is found after the first hundred says nothing new.
const maxFindings = 100

// Place is a line of a file.
type Place struct {
	File  string
	Line  int64  // from 1
	Label string // which event it is, see Label
}

func (p Place) String() string {
	s := fmt.Sprintf("%s:%d", p.File, p.Line)
	if p.Label != "" {
		s += " (" + p.Label + ")"
	}
	return s
}

// Finding is something that is not as it was written.
type Finding struct {
	Place
	Problem string
}

func (f Finding) String() string { return f.Place.String() + ": " + f.Problem }

// Report is what a Verifier has seen.
type Report struct {
	From        int64   // the size of the tree before the first line
	Size        int64   // and behind the last one
	Events      int64   // that were read
	Checkpoints int64   // that are good
	Unsealed    int64   // events behind the last checkpoint: nothing proves them yet
	UnsealedAt  Place   // the first of them
	Torn        Place   // a last line that is not complete; no Line: none
	TornBefore  []Place // those of files before the last one: nothing proves them, nor ever will
	Unchecked   int     // checkpoints kept elsewhere that are older than the first line
	Findings    []Finding
}

// Verifier reads the lines of a log, of one file after the other, and finds what was changed, removed, added or put elsewhere.
type Verifier struct {
	keys    *Verifiers
	at      Place
	begun   bool
	lost    bool // what the tree is cannot be known before the next start
	tree    Tree // with all leaves that were read
	sealed  Tree // as of the last checkpoint
	pending []leaf
	key     int // that has signed the last checkpoint, see Verifiers.open
	against map[int64][]Checkpoint
	event   func(line []byte) // nil: nobody asked
	buf     []byte
	report  Report
}

// leaf is one behind the last checkpoint.
type leaf struct {
	hash  Hash
	place Place
}

// NewVerifier makes a Verifier. With nil keys signatures are not looked at, and who changed the log may have made it fit again.
func NewVerifier(keys *Verifiers) *Verifier {
	return &Verifier{keys: keys, against: make(map[int64][]Checkpoint)}
}

// Against has the log compared with a checkpoint that was kept elsewhere. It is to be called before File.
func (v *Verifier) Against(c Checkpoint) { v.against[c.Size] = append(v.against[c.Size], c) }

// OnEvent has f called with every event, before anything is known of its proof.
func (v *Verifier) OnEvent(f func(line []byte)) { v.event = f }

// File reads the next file.
func (v *Verifier) File(name string, r io.Reader) error {
	if v.report.Torn.Line > 0 && len(v.report.TornBefore) < maxFindings {
		v.report.TornBefore = append(v.report.TornBefore, v.report.Torn)
	}
	v.at, v.report.Torn = Place{File: name}, Place{}
	lines := NewLines(r)
	for {
		line, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		v.at.Line++
		v.at.Label = ""
		if err != nil {
			return fmt.Errorf("%s: %w", v.at, err)
		}
		if lines.Torn() {
			v.report.Torn = v.at // no leaf before it is complete
			return nil
		}
		v.line(line)
	}
}

func (v *Verifier) line(line []byte) {
	if t, ok := parseStart(line); ok {
		v.start(t)
		return
	}
	v.begun = true
	if m, ok := parseMark(line); ok {
		v.checkpoint(m)
		return
	}
	if v.event != nil {
		v.event(line)
	}
	v.at.Label = Label(line)
	v.buf = append(append(v.buf[:0], 0), line...)
	h := PrefixedLeafHash(v.buf)
	v.report.Events++
	v.pending = append(v.pending, leaf{h, v.at})
	v.tree.Add(h)
	v.compare()
}

func (v *Verifier) find(at Place, format string, args ...any) {
	if len(v.report.Findings) < maxFindings {
		v.report.Findings = append(v.report.Findings, Finding{at, fmt.Sprintf(format, args...)})
	}
}

// start takes the tree that a file begins with. Nothing vouches for it but the next checkpoint.
func (v *Verifier) start(t Tree) {
	switch missing := t.size - v.tree.size; {
	case !v.begun:
		v.report.From = t.size
	case v.lost:
	case v.tree.same(&t):
		return
	case t.size == 0:
		v.find(v.at, "a new tree begins here: nothing proves that it follows the one before")
	case missing > 0:
		v.find(v.at, "%d events are missing before this line", missing)
	case missing < 0:
		v.find(v.at, "%d events too many are before this line: they were added, or the files are not in the order they were written in", -missing)
	default:
		v.find(v.at, "the events before this line are not those that were written")
	}
	v.begun, v.lost = true, false
	v.tree = t
	v.seal()
	v.compare()
}

// seal notes that what was read so far is proved, or that there is no more to say about it.
func (v *Verifier) seal() {
	v.sealed, v.pending = v.tree, v.pending[:0]
}

func (v *Verifier) checkpoint(m mark) {
	if v.lost {
		return
	}
	c, key, err := v.keys.open(m.note)
	switch {
	case err != nil:
		v.find(v.at, "this is no good checkpoint: %v", err)
		return
	case c.Size != m.size:
		v.find(v.at, "this is no good checkpoint: its size is not the one in its note")
		return
	case key < v.key:
		v.find(v.at, "this is no good checkpoint: another key had taken the place of the one that has signed it")
		return
	}
	v.key = key
	v.report.Checkpoints++
	if c.Size != v.tree.size || c.Root != v.tree.Root() {
		v.locate(m, c)
		return
	}
	if !v.listed(m.leaves) {
		v.find(v.at, "the list of hashes in this checkpoint was changed")
	}
	v.seal()
}

// listed says whether the leaves of a checkpoint are the last ones before it.
func (v *Verifier) listed(leaves []Hash) bool {
	gap := len(v.pending) - len(leaves)
	return gap >= 0 && slices.EqualFunc(v.pending[gap:], leaves, func(l leaf, h Hash) bool { return l.hash == h })
}

// locate finds which line is not as it was when a checkpoint was made. The checkpoint lists the leaves since the one before; when the
// tree with these has the signed root, the list is true, and what differs from it is not.
func (v *Verifier) locate(m mark, c Checkpoint) {
	signed := v.sealed
	gap := m.size - int64(len(m.leaves)) - signed.size // leaves of checkpoints that are gone
	if gap < 0 || gap > int64(len(v.pending)) {
		v.unlocated(m)
		return
	}
	for _, l := range v.pending[:gap] {
		signed.Add(l.hash)
	}
	for _, h := range m.leaves {
		signed.Add(h)
	}
	if signed.Root() != c.Root {
		v.unlocated(m)
		return
	}
	v.differ(m.leaves, v.pending[gap:])
	v.tree = signed
	v.seal()
}

// unlocated says that something is wrong before a checkpoint, as exactly as it can be said.
func (v *Verifier) unlocated(m mark) {
	first := v.at
	if len(v.pending) > 0 {
		first = v.pending[0].place
	}
	v.find(first, "events between this line and the checkpoint in line %d were changed, removed or added: it was made for %d events, here are %d",
		v.at.Line, m.size, v.tree.size)
	v.lost = true
}

// differ names the first line that is not the one that was written in its place.
func (v *Verifier) differ(written []Hash, lines []leaf) {
	i := 0
	for i < len(written) && i < len(lines) && written[i] == lines[i].hash {
		i++
	}
	if i == len(lines) {
		v.find(v.at, "%d events before this checkpoint were removed", len(written)-i)
		return
	}
	at := lines[i].place
	if i == len(written) {
		v.find(at, "this event was added")
		return
	}
	known := slices.Contains(written[i:], lines[i].hash)
	there := slices.ContainsFunc(lines[i:], func(l leaf) bool { return l.hash == written[i] })
	switch {
	case known && there:
		v.find(at, "this event was put elsewhere")
	case known:
		v.find(at, "an event before this one was removed")
	case there:
		v.find(at, "this event was added")
	default:
		v.find(at, "this event was changed")
	}
}

// compare compares the tree with those that were kept elsewhere.
func (v *Verifier) compare() {
	if len(v.against) == 0 {
		return
	}
	for _, c := range v.against[v.tree.size] {
		if c.Root != v.tree.Root() {
			v.find(v.at, "the first %d events are not those of the checkpoint that was kept elsewhere", c.Size)
		}
	}
	delete(v.against, v.tree.size)
}

// End returns what was found. Nothing may be read after it.
func (v *Verifier) End() Report {
	r := &v.report
	for _, size := range slices.Sorted(maps.Keys(v.against)) {
		if size < r.From || size == 0 {
			r.Unchecked++
			continue
		}
		v.find(v.at, "the log ends with %d events, a checkpoint that was kept elsewhere has %d", v.tree.size, size)
	}
	if r.Size = v.tree.size; len(v.pending) > 0 {
		r.Unsealed, r.UnsealedAt = int64(len(v.pending)), v.pending[0].place
	}
	if r.Events > 0 && r.Checkpoints == 0 {
		v.find(v.at, "there is no good checkpoint: nothing proves these events")
	}
	return *r
}
