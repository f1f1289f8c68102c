package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

const (
	// journalSize is what a journal holds: what a busy gateway accepts while a disk does not answer for a moment, little enough for the
	// 64 MiB that a container's /dev/shm has.
	journalSize = 4 << 20
	// maxJournalLine is the longest line that goes through a journal. Longer ones would hold its lock for long, and are rare.
	maxJournalLine = 256 << 10
	// maxBatch is how much is written to the file at once: nearly always all that one checkpoint is for. File systems take large writes for
	// less. It holds every line.
	maxBatch = 1 << 20
)

// The header of a journal's file. What its writers share is in cache lines of their own.
const (
	headerSize = 4 << 10 // a page

	atMagic    = 0
	atSize     = 24 // of the ring
	atHead     = 64
	atCurrent  = 128 // which position counts
	atPosition = 192 // two of them
	atPath     = 512 // of the log, for people

	positionSize = 64
	maxPath      = headerSize - atPath
)

// journalMagic is written last when a journal is made, its first word by one store behind the rest. The version is that of what is behind it.
const journalMagic = "sallyport journal 1\n"

// journal holds lines that were accepted and are not in the file yet, in memory that outlives the process: a ring of bytes in a file of a
// memory-backed file system, where no store waits for a disk. A line is accepted when the head has moved behind it, which is one store;
// a process that is killed before that has not accepted it. Lines follow each other without anything between them: the bytes of
// the ring are those of the file.
//
// Its lock is never held during a system call, other than to wake somebody.
type journal struct {
	file   *os.File // keeps the lock
	memory []byte   // header and ring
	ring   []byte

	tail atomic.Uint64 // what is before it is in the log's file

	// Only whoever has the gate looks at these.
	sent  uint64      // so many bytes behind the tail are in the file too: the beginning of a line
	taken []journaled // the lines that were accepted when somebody looked last
	done  int         // so many of them are before the tail

	mu     sync.Mutex
	head   uint64
	fresh  []journaled // those that were accepted since
	runs   bool        // somebody drains
	halted bool        // the file takes nothing: new lines have to hear why
	asleep bool        // who drains waits for wake
	busy   bool        // who drains is writing

	wake chan struct{} // there is something to drain, or too much
}

// journaled is a line in the ring.
type journaled struct {
	end  uint64 // behind its newline
	leaf proof.Hash
}

// fileID is which file it is, by whatever name.
type fileID struct{ device, inode uint64 }

// position says what of the ring is in the log's file. It is replaced as a whole: what a killed process leaves is the one before a write or
// the one behind it, and with the size of the file either says how much has arrived.
type position struct {
	tail    uint64
	file    fileID
	offset  uint64 // where in the file the bytes behind the tail are written to
	writing bool   // they are, or some of them; otherwise none
}

// newJournal makes a journal of memory that holds zeros.
func newJournal(file *os.File, memory []byte, path string) *journal {
	j := &journal{file: file, memory: memory, ring: memory[headerSize:], wake: make(chan struct{}, 1)}
	copy(memory[atPath:headerSize], path[:min(len(path), maxPath)])
	atomic.StoreUint64(j.word(atSize), uint64(len(j.ring)))
	copy(memory[atMagic+8:atSize], journalMagic[8:])
	atomic.StoreUint64(j.word(atMagic), binary.NativeEndian.Uint64([]byte(journalMagic)))
	return j
}

// errForeignJournal: whatever is in it cannot be read, and must not be thrown away.
var errForeignJournal = errors.New("was left by another version of sallyport: run that once more, or remove the file")

// errDamaged: what is in it are not the lines that were accepted.
var errDamaged = errors.New("was damaged: remove the file")

// errNotOurs: it may be anything, and nobody can say whose.
var errNotOurs = errors.New("belongs to another account or process")

// leftJournal reads what a process has left; nil when it was killed before it had made the journal.
func leftJournal(file *os.File, memory []byte) (*journal, error) {
	if unfinished(memory) {
		return nil, nil
	}
	j := &journal{file: file, memory: memory, ring: memory[headerSize:], wake: make(chan struct{}, 1)}
	if !bytes.HasPrefix(memory, []byte(journalMagic)) || atomic.LoadUint64(j.word(atSize)) != uint64(len(j.ring)) {
		return nil, fmt.Errorf("%s %w", file.Name(), errForeignJournal)
	}
	j.head = atomic.LoadUint64(j.word(atHead))
	tail := j.position().tail
	if j.head-tail > uint64(len(j.ring)) {
		return nil, fmt.Errorf("%s %w", file.Name(), errDamaged)
	}
	j.tail.Store(tail)
	return j, nil
}

// unfinished says of the beginning of a journal that whoever made it has not come to accept anything.
func unfinished(beginning []byte) bool {
	const word = 8
	return len(beginning) < word || binary.NativeEndian.Uint64(beginning) == 0
}

// word is a number in the header.
func (j *journal) word(at int) *uint64 {
	return (*uint64)(unsafe.Pointer(&j.memory[at])) // #nosec G103 -- aligned: the memory is mapped
}

// position returns where the journal stands.
func (j *journal) position() position {
	at := j.positionAt(atomic.LoadUint64(j.word(atCurrent)))
	load := func(n int) uint64 { return atomic.LoadUint64(j.word(at + 8*n)) }
	return position{tail: load(0), file: fileID{load(1), load(2)}, offset: load(3), writing: load(4) == 1}
}

// setPosition replaces the position by one store. Only whoever has the gate does that.
func (j *journal) setPosition(p position) {
	next := atomic.LoadUint64(j.word(atCurrent)) + 1
	at := j.positionAt(next)
	writing := uint64(0)
	if p.writing {
		writing = 1
	}
	for n, value := range [...]uint64{p.tail, p.file.device, p.file.inode, p.offset, writing} {
		atomic.StoreUint64(j.word(at+8*n), value)
	}
	atomic.StoreUint64(j.word(atCurrent), next)
	j.tail.Store(p.tail) // only now may what is before it be overwritten
}

func (j *journal) positionAt(n uint64) int { return atPosition + int(n&1)*positionSize } // #nosec G115 -- 0 or 1

// added is what has become of a line.
type added uint8

const (
	addDone    added = iota // it is accepted
	addRefused              // somebody has to find out why by writing to the file
	addStale                // it leaves out a text that is not in the lines before it any more
)

// addEvent accepts a line. That of a statement takes its texts into those that are known, at its place in the order.
func (j *journal) addEvent(l *line, known *written, statement *Statement, omit omitted) added {
	head, rest := l.parts()
	size := uint64(len(head) + len(rest)) // #nosec G115 -- no length is negative
	if size > maxJournalLine {
		return addRefused
	}
	j.mu.Lock()
	if statement != nil && known.changes.Load() != omit.changes {
		now := known.omitted(statement)
		if omit.text && !now.text || omit.normalized && !now.normalized {
			j.mu.Unlock()
			return addStale
		}
	}
	used, room := j.head-j.tail.Load(), uint64(len(j.ring))
	if !j.runs || j.halted || used+size > room {
		j.mu.Unlock()
		return addRefused
	}
	if statement != nil && !omit.all {
		known.add(statement)
	}
	j.store(j.store(int(j.head%room), head), rest) // #nosec G115 -- a place in the ring
	j.head += size
	j.fresh = append(j.fresh, journaled{})
	last := &j.fresh[len(j.fresh)-1] // made in its place: to copy one that was just made waits for all that was stored before
	last.end, last.leaf = j.head, l.leaf
	atomic.StoreUint64(j.word(atHead), j.head)
	call := j.asleep || used < room/2 && used+size >= room/2
	j.asleep = false
	j.mu.Unlock()
	if call {
		j.call()
	}
	return addDone
}

// store stores a piece of a line at a place in the ring, and returns the next one.
func (j *journal) store(at int, piece []byte) (next int) {
	n := copy(j.ring[at:], piece)
	if n < len(piece) {
		return copy(j.ring, piece[n:])
	}
	return at + n
}

// take takes in what was accepted by now.
func (j *journal) take() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.done == len(j.taken) { // mostly: then the two change places
		j.taken, j.fresh, j.done = j.fresh, j.taken[:0], 0
		return
	}
	j.taken = append(j.taken, j.fresh...)
	j.fresh = j.fresh[:0]
}

// batch are the next lines behind the tail, at most so many as one write is for; from is where that begins. There are none when all that
// was taken in is written.
func (j *journal) batch(from uint64, most int) []journaled {
	rest := j.taken[j.done:]
	n := min(1, len(rest))
	for n < min(most, len(rest)) && rest[n].end <= from+maxBatch {
		n++
	}
	return rest[:n]
}

// list takes in what is in the ring of a process that was killed.
func (j *journal) list() error {
	j.taken, j.done = j.taken[:0], 0
	rest := j.read([]byte{0}, j.tail.Load(), j.head)
	for end := j.tail.Load(); end < j.head; {
		n := bytes.IndexByte(rest[1:], '\n')
		if n < 0 {
			return fmt.Errorf("%s %w", j.file.Name(), errDamaged)
		}
		end += uint64(n) + 1 // #nosec G115 -- it is not negative
		j.taken = append(j.taken, journaled{end, proof.PrefixedLeafHash(rest[:1+n])})
		rest = rest[1+n:]
		rest[0] = 0 // the newline of the line before
	}
	return nil
}

// call wakes who drains.
func (j *journal) call() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// read appends what is in the ring between two places.
func (j *journal) read(dst []byte, from, to uint64) []byte {
	room := uint64(len(j.ring))
	at, n := from%room, to-from
	first := min(n, room-at)
	dst = append(dst, j.ring[at:at+first]...)
	return append(dst, j.ring[:n-first]...)
}

// piece is what is in the ring between two places: itself where it lies there in one piece, or else in the given memory.
func (j *journal) piece(memory *[]byte, from, to uint64) []byte {
	at, n := from%uint64(len(j.ring)), to-from
	if at+n <= uint64(len(j.ring)) {
		return j.ring[at : at+n]
	}
	*memory = j.read((*memory)[:0], from, to)
	return *memory
}

// run has lines accepted from now on: somebody drains.
func (j *journal) run() { j.set(func() { j.runs = true }) }

// stop has none accepted any more, and says whether any were.
func (j *journal) stop() (ran bool) {
	j.set(func() { ran, j.runs = j.runs, false })
	return ran
}

// halt has none accepted until the file takes something again.
func (j *journal) halt() { j.set(func() { j.halted = true }) }

// resume ends that.
func (j *journal) resume() { j.set(func() { j.halted = false }) }

// again has the line at the tail written anew: what is in the file of it counts no more.
func (j *journal) again() {
	if j != nil && j.sent > 0 {
		j.sent = 0
		j.setPosition(position{tail: j.tail.Load()})
	}
}

func (j *journal) set(change func()) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	change()
}

// idle says whether there is nothing to drain, or no use in trying. Then the next line that is accepted calls.
func (j *journal) idle() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asleep = j.halted || j.head == j.tail.Load()
	return j.asleep
}

// named says whether the file has its name still, by which the next gateway will look for it.
func (j *journal) named() bool {
	info, err := os.Lstat(j.file.Name())
	is, failed := j.file.Stat()
	return err == nil && failed == nil && os.SameFile(info, is)
}
