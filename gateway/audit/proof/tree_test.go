package proof

import (
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// stored is a tree as tlog keeps it: every hash of it.
type stored []Hash

func (s *stored) add(t *testing.T, data []byte, n int64) {
	t.Helper()
	hashes, err := tlog.StoredHashes(n, data, s)
	if err != nil {
		t.Fatal(err)
	}
	*s = append(*s, hashes...)
}

func (s *stored) ReadHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = (*s)[index]
	}
	return hashes, nil
}

// TestTree holds the tree to golang.org/x/mod/sumdb/tlog: with every size its root is the same, also when it was made again of its edge.
func TestTree(t *testing.T) {
	var want stored
	var tree Tree
	for n := range int64(300) {
		root, err := tlog.TreeHash(n, &want)
		if err != nil {
			t.Fatal(err)
		}
		again, err := NewTree(tree.Size(), tree.Edge())
		if err != nil {
			t.Fatal(err)
		}
		if tree.Root() != root || again.Root() != root || tree.Size() != n {
			t.Fatalf("size %d: root %s, of the edge %s, want %s", n, tree.Root(), again.Root(), root)
		}
		line := fmt.Appendf(nil, "line %d", n)
		want.add(t, line, n)
		again.Add(PrefixedLeafHash(append([]byte{0}, line...)))
		tree = again
	}
}

func TestNewTreeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		size int64
		edge []Hash
	}{
		"negative": {-1, nil}, "too few": {3, make([]Hash, 1)}, "too many": {4, make([]Hash, 2)},
	} {
		if _, err := NewTree(test.size, test.edge); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	var tree Tree
	if n := testing.AllocsPerRun(1000, func() { tree.Add(Hash{1}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
