package proof

import (
	"bytes"
	"testing"
)

// TestHasher: whatever was hashed before, and whatever a line has in common with it, its hash is that of the whole line.
func TestHasher(t *testing.T) {
	line := make([]byte, 300)
	for i := range line[1:] {
		line[1+i] = byte(i)
	}
	var h Hasher
	for _, begins := range []int{0, 1, 63, 64, 65, 127, 128, 200, 256, 299, 300} {
		p := NewPrefix(line[:begins:begins])
		for length := 1; length <= len(line); length++ {
			if got, want := h.LeafHash(line[:length], &p), LeafHash(line[1:length]); got != want {
				t.Fatalf("%d bytes behind %d: got %v, want %v", length, begins, got, want)
			}
			rest, found := bytes.CutPrefix(line[:length], p.Blocks())
			if !found {
				continue
			}
			if got, want := h.LeafHashBehind(&p, rest), LeafHash(line[1:length]); got != want {
				t.Fatalf("%d bytes behind the blocks of %d: got %v, want %v", length, begins, got, want)
			}
		}
		for at := range line {
			other := bytes.Clone(line)
			other[at] ^= 1
			if got, want := h.LeafHash(other, &p), PrefixedLeafHash(other); got != want {
				t.Fatalf("another byte %d behind %d: got %v, want %v", at, begins, got, want)
			}
		}
	}
	if got, want := h.LeafHash(line, nil), PrefixedLeafHash(line); got != want {
		t.Errorf("without a prefix: got %v, want %v", got, want)
	}
}

// TestHasherSavesBlocks: a Prefix that was ignored would not be noticed otherwise.
func TestHasherSavesBlocks(t *testing.T) {
	line := make([]byte, 200)
	p := NewPrefix(line[:130])
	if len(p.blocks) != 128 {
		t.Fatalf("%d bytes are hashed before, want 128", len(p.blocks))
	}
	other := NewPrefix(bytes.Repeat([]byte{7}, 130))
	p.state = other.state
	var h Hasher
	if h.LeafHash(line, &p) == PrefixedLeafHash(line) {
		t.Error("the state is not used")
	}
	if !h.known {
		t.Error("crypto/sha256 has another state than is known: everything is hashed as if there were no Hasher")
	}
	if n := testing.AllocsPerRun(100, func() { h.LeafHash(line, &p) }); n > allocated {
		t.Errorf("%v allocations", n)
	}
}
