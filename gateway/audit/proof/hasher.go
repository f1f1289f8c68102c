package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Prefix is what lines that begin alike need not have hashed again: the state of SHA-256 behind the whole blocks of their beginning.
type Prefix struct {
	blocks []byte // of the beginning, a zero byte before it
	state  []byte
}

// NewPrefix makes a Prefix of a line's beginning, which stands behind a zero byte in prefixed. It keeps that memory, which must not change.
// It is of no use, and does no harm, if that is less than a block.
func NewPrefix(prefixed []byte) Prefix {
	whole := len(prefixed) &^ (sha256.BlockSize - 1)
	h := sha256.New()
	_, _ = h.Write(prefixed[:whole]) // never fails (hash.Hash)
	marshaler, ok := h.(encoding.BinaryMarshaler)
	if !ok || whole == 0 {
		return Prefix{}
	}
	state, err := marshaler.MarshalBinary()
	if err != nil {
		return Prefix{}
	}
	return Prefix{blocks: prefixed[:whole], state: state}
}

// Blocks are the whole blocks, with the zero byte before them. They must not be changed.
func (p *Prefix) Blocks() []byte { return p.blocks }

// Hasher hashes lines and the nodes above them, one after the other, in memory of its own. It is quicker at that than sha256.Sum256, to
// which it leaves what it cannot do: it hands whole blocks over at once, those with the padding too, and finds the hash in the state behind
// them. The zero value is ready. Not for several goroutines.
type Hasher struct {
	hash  hash.Hash
	state digestState // the same
	known bool        // where in the state the hash is
	begun [stateSize]byte
	ended [stateSize]byte
	last  [8 * sha256.BlockSize]byte
	node  [2 * sha256.BlockSize]byte // padded
}

// digestState is what crypto/sha256 has beside hash.Hash.
type digestState interface {
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}

// The state as crypto/sha256 gives it: a word that says what it is, the hash so far, a block that is not whole yet, and the length. That it
// is so is tried by every Hasher before it relies on it.
const (
	stateHash = 4
	stateSize = stateHash + sha256.Size + sha256.BlockSize + 8
)

// ready prepares a Hasher at its first use, and says whether it knows crypto/sha256.
func (h *Hasher) ready() bool {
	if h.hash == nil {
		h.hash = sha256.New()
		h.state, _ = h.hash.(digestState)
		if h.state != nil {
			h.try()
		}
	}
	return h.known
}

// try finds out whether the state is as it is known.
func (h *Hasher) try() {
	state, err := h.state.AppendBinary(h.begun[:0])
	if err != nil || len(state) != stateSize {
		return
	}
	const nodeByte = 1 // RFC 6962, 2.1
	h.node[0] = nodeByte
	pad(h.node[:], nodeSize, nodeSize)
	var zero Hash
	h.known = h.finish(h.node[:nodeSize], 0) == sha256.Sum256(h.node[:nodeSize])
	h.known = h.known && h.nodeHash(&zero, &zero) == tlog.NodeHash(zero, zero)
}

// LeafHash is PrefixedLeafHash of what stands behind the zero byte that b begins with, whatever p is: only if b begins as p does it costs
// less. It allocates nothing.
func (h *Hasher) LeafHash(b []byte, p *Prefix) Hash {
	state, begun := h.begun[:], 0
	switch {
	case !h.ready():
		return PrefixedLeafHash(b)
	case p != nil && len(p.blocks) > 0 && bytes.HasPrefix(b, p.blocks):
		state, begun = p.state, len(p.blocks)
	}
	if h.state.UnmarshalBinary(state) != nil {
		return PrefixedLeafHash(b)
	}
	return h.finish(b[begun:], begun)
}

// LeafHashBehind is LeafHash of p's blocks with rest behind them, for whoever has not put the two together: it costs no comparison.
func (h *Hasher) LeafHashBehind(p *Prefix, rest []byte) Hash {
	if !h.ready() || len(p.blocks) == 0 || h.state.UnmarshalBinary(p.state) != nil {
		return PrefixedLeafHash(slices.Concat(p.blocks, rest))
	}
	return h.finish(rest, len(p.blocks))
}

// nodeSize is how much a node's hash is of.
const nodeSize = 1 + 2*tlog.HashSize

// nodeHash is tlog.NodeHash.
func (h *Hasher) nodeHash(left, right *Hash) Hash {
	if h == nil || !h.ready() {
		return tlog.NodeHash(*left, *right)
	}
	copy(h.node[1:], left[:])
	copy(h.node[1+tlog.HashSize:], right[:])
	h.hash.Reset()
	return h.end(h.node[:])
}

// finish hashes the rest of something of which whole blocks were hashed before.
func (h *Hasher) finish(rest []byte, begun int) Hash {
	size := begun + len(rest)
	if len(rest)+padding > len(h.last) {
		whole := len(rest) &^ (sha256.BlockSize - 1)
		_, _ = h.hash.Write(rest[:whole]) // never fails (hash.Hash)
		rest = rest[whole:]
	}
	n := copy(h.last[:], rest)
	return h.end(h.last[:pad(h.last[:], n, size)])
}

// end hashes the last blocks, with their padding.
func (h *Hasher) end(blocks []byte) Hash {
	_, _ = h.hash.Write(blocks) // never fails (hash.Hash)
	state, _ := h.state.AppendBinary(h.ended[:0])
	return Hash(state[stateHash:])
}

// padding is how much is behind what is hashed, at least (FIPS 180-4, 5.1.1).
const padding = 1 + 8

// pad puts the padding behind the last n bytes of a message of so many bytes, and returns where that ends.
func pad(last []byte, n, size int) (end int) {
	end = (n + padding + sha256.BlockSize - 1) &^ (sha256.BlockSize - 1)
	clear(last[n:end])
	last[n] = 0x80
	binary.BigEndian.PutUint64(last[end-8:end], uint64(size)*8) // #nosec G115 -- no length is negative
	return end
}
