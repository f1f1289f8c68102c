package wire

import "sync"

// What reads borrow. A session that waits holds none of them.
const (
	// bufferSize holds one TLS record (RFC 8446, 5.1: 2^14 bytes of plaintext), the most that one read of a tls.Conn returns.
	bufferSize = 16 << 10
	// bulkSize is what is read at once where much comes: each read and write costs the kernel a walk through TCP.
	bulkSize = 64 << 10
	// recordsOverhead is what encryption adds to bulkSize of plaintext in four records or a few more: at most 5 + 256 bytes each.
	recordsOverhead = 2 << 10
)

// The buffers of all connections, by size. They may hold what anybody's messages held, and nothing of it is ever looked at: what is
// read from a buffer has been read into it.
var (
	buffers     = sync.Pool{New: func() any { return newBuffer(bufferSize) }}
	bulkBuffers = sync.Pool{New: func() any { return newBuffer(bulkSize + recordsOverhead) }}
)

func newBuffer(size int) *[]byte {
	b := make([]byte, size)
	return &b
}

// borrow takes a buffer of bufferSize, or one of more than bulkSize.
func borrow(bulk bool) *[]byte {
	pool := &buffers
	if bulk {
		pool = &bulkBuffers
	}
	return pool.Get().(*[]byte) //nolint:forcetypeassert,errcheck // nothing else is put there
}

// giveBack ends a loan. Nobody may look at the buffer any more.
func giveBack(b *[]byte) {
	scrub(*b)
	if len(*b) == bufferSize {
		buffers.Put(b)
		return
	}
	bulkBuffers.Put(b)
}
