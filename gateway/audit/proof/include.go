package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// proofHead is the first line of https://c2sp.org/tlog-proof.
const proofHead = "c2sp.org/tlog-proof@v1\n"

// maxProofHashes is the height of a tree that is larger than any log.
const maxProofHashes = maxLevels

// Inclusion proves that a log has an event.
type Inclusion struct {
	Index  int64
	Event  []byte // the line
	Hashes []Hash
	Note   string // of a checkpoint behind the event
}

// Prove makes the proof for the first event with a Label. each calls its argument with every line of the log, in order, and is called
// twice: a log may be larger than memory.
func Prove(label string, each func(func(line []byte)) error) (*Inclusion, error) {
	p := &Inclusion{Index: -1}
	size, err := p.search(label, each)
	if err != nil {
		return nil, err
	}
	// First ask for the proof to learn which hashes it needs, then gather these.
	needed := make(map[int64]Hash)
	_, err = tlog.ProveRecord(size, p.Index, tlog.HashReaderFunc(func(indexes []int64) ([]Hash, error) {
		for _, index := range indexes {
			needed[index] = Hash{}
		}
		return make([]Hash, len(indexes)), nil
	}))
	if err != nil {
		return nil, err
	}
	if err := gather(needed, size, each); err != nil {
		return nil, err
	}
	p.Hashes, err = tlog.ProveRecord(size, p.Index, tlog.HashReaderFunc(func(indexes []int64) ([]Hash, error) {
		hashes := make([]Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = needed[index]
		}
		return hashes, nil
	}))
	if err != nil {
		return nil, err
	}
	return p, p.Check(nil)
}

// search finds the event and the first checkpoint behind it, whose size it returns.
func (p *Inclusion) search(label string, each func(func(line []byte)) error) (size int64, err error) {
	var t Tree
	err = each(func(line []byte) {
		if size > 0 {
			return
		}
		if start, ok := parseStart(line); ok {
			t = start
			return
		}
		if m, ok := parseMark(line); ok {
			if p.Index >= 0 && m.size == t.size {
				size, p.Note = m.size, m.note
			}
			return
		}
		if p.Index < 0 && Label(line) == label {
			p.Index, p.Event = t.size, slices.Clone(line)
		}
		t.Add(LeafHash(line))
	})
	switch {
	case err != nil:
		return 0, err
	case p.Index < 0:
		return 0, fmt.Errorf("there is no event %s", label)
	case size == 0:
		return 0, fmt.Errorf("there is no checkpoint behind the event %s yet", label)
	}
	return size, nil
}

// gather fills in the hashes of the subtrees that a proof needs.
func gather(needed map[int64]Hash, size int64, each func(func(line []byte)) error) error {
	var t Tree
	visit := func(index int64, h Hash) {
		if _, ok := needed[index]; ok {
			needed[index] = h
		}
	}
	t.visit = visit
	return each(func(line []byte) {
		if start, ok := parseStart(line); ok {
			start.each(visit)
			t = start
			t.visit = visit
			return
		}
		if _, ok := parseMark(line); !ok && t.size < size {
			t.Add(LeafHash(line))
		}
	})
}

// each calls visit with the complete subtrees of the edge.
func (t *Tree) each(visit func(index int64, h Hash)) {
	for level := range maxLevels {
		if t.size>>level&1 == 1 {
			visit(tlog.StoredHashIndex(level, t.size>>level-1), t.edge[level])
		}
	}
}

// String is the proof as https://c2sp.org/tlog-proof has it; its extra data is the line.
func (p *Inclusion) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%sextra %s\nindex %d\n", proofHead, base64.StdEncoding.EncodeToString(p.Event), p.Index)
	for _, h := range p.Hashes {
		fmt.Fprintf(&b, "%s\n", h)
	}
	return b.String() + "\n" + p.Note
}

var errNotProof = errors.New("it is not a proof")

// ParseInclusion reads what String has written. Nothing of it is verified.
func ParseInclusion(text string) (*Inclusion, error) {
	body, found := strings.CutPrefix(text, proofHead)
	head, checkpoint, split := strings.Cut(body, "\n\n")
	lines := strings.Split(head, "\n")
	if !found || !split || len(lines) < 2 || len(lines) > 2+maxProofHashes {
		return nil, errNotProof
	}
	p := &Inclusion{Note: checkpoint}
	var err error
	extra, ok := strings.CutPrefix(lines[0], "extra ")
	if p.Event, err = base64.StdEncoding.DecodeString(extra); !ok || err != nil {
		return nil, errNotProof
	}
	index, ok := strings.CutPrefix(lines[1], "index ")
	if p.Index, err = strconv.ParseInt(index, 10, 64); !ok || err != nil || p.Index < 0 {
		return nil, errNotProof
	}
	for _, line := range lines[2:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return nil, errNotProof
		}
		p.Hashes = append(p.Hashes, h)
	}
	return p, nil
}

// Check verifies the proof with nothing but public keys; nil keys do not look at the signature.
func (p *Inclusion) Check(keys *Verifiers) error {
	c, err := keys.Open(p.Note)
	if err != nil {
		return fmt.Errorf("its checkpoint is not good: %w", err)
	}
	if p.Index >= c.Size || tlog.CheckRecord(p.Hashes, c.Size, c.Root, p.Index, LeafHash(p.Event)) != nil {
		return errors.New("the log of this checkpoint does not have this event in this place")
	}
	return nil
}
