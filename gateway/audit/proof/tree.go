package proof

import (
	"crypto/sha256"
	"errors"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is one of a leaf or of a tree.
type Hash = tlog.Hash

const (
	// maxLevels is the height of a tree that is larger than any log.
	maxLevels = 62
	maxSize   = 1<<maxLevels - 1
)

// Tree is the right edge of a Merkle tree: as much of it as is needed to grow. The zero value is the empty tree. Adding a leaf costs one
// hash of two on the average, and allocates nothing.
type Tree struct {
	size  int64
	edge  [maxLevels]Hash // by level; of the subtrees that the size's binary digits stand for
	visit func(index int64, h Hash)
}

// LeafHash is the hash of a line, which has no newline.
func LeafHash(line []byte) Hash { return tlog.RecordHash(line) }

// PrefixedLeafHash is LeafHash of what stands behind the zero byte that b begins with. It allocates nothing.
func PrefixedLeafHash(b []byte) Hash { return sha256.Sum256(b) }

// Size is the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Add adds a leaf.
func (t *Tree) Add(leaf Hash) { t.AddBy(nil, leaf) }

// AddBy adds a leaf with the nodes that h makes; nil: it has nobody to make them for less.
func (t *Tree) AddBy(h *Hasher, leaf Hash) {
	level := 0
	t.visited(level, t.size, leaf)
	for n := t.size; n&1 == 1; n >>= 1 {
		leaf = h.nodeHash(&t.edge[level], &leaf)
		level++
		t.visited(level, n>>1, leaf)
	}
	t.edge[level] = leaf
	t.size++
}

// visited tells whoever wants to know of a subtree that is complete.
func (t *Tree) visited(level int, n int64, h Hash) {
	if t.visit != nil {
		t.visit(tlog.StoredHashIndex(level, n), h)
	}
}

// Root is the hash of the tree.
func (t *Tree) Root() Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	level := bits.TrailingZeros64(uint64(t.size)) // #nosec -- a size is not negative
	root := t.edge[level]
	for level++; level < maxLevels; level++ {
		if t.size>>level&1 == 1 {
			root = tlog.NodeHash(t.edge[level], root)
		}
	}
	return root
}

// Edge returns the roots of the complete subtrees, the largest first: with the size they are the tree.
func (t *Tree) Edge() []Hash {
	var edge []Hash
	for level := maxLevels - 1; level >= 0; level-- {
		if t.size>>level&1 == 1 {
			edge = append(edge, t.edge[level])
		}
	}
	return edge
}

var errEdge = errors.New("the hashes do not fit the size")

// NewTree makes a tree from its size and Edge.
func NewTree(size int64, edge []Hash) (Tree, error) {
	t := Tree{size: size}
	if size < 0 || size >= maxSize || bits.OnesCount64(uint64(size)) != len(edge) {
		return Tree{}, errEdge
	}
	for level := maxLevels - 1; level >= 0; level-- {
		if size>>level&1 == 1 {
			t.edge[level], edge = edge[0], edge[1:]
		}
	}
	return t, nil
}

// same says whether two trees have the same leaves.
func (t *Tree) same(other *Tree) bool { return t.size == other.size && t.Root() == other.Root() }
