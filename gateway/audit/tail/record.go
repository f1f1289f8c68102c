package tail

import (
	"encoding/hex"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/ocsf"
	"github.com/sallyport/sallyport/gateway/audit/proof"
)

const (
	// batchRecords is how many lines are sent at once: what a receiver has to take again after a failure.
	batchRecords = 1000
	// batchBytes is when a batch is full, whatever the number of its lines. One line can be larger.
	batchBytes = 1 << 20
)

// Record is a line of the log.
type Record struct {
	Kind proof.Kind
	Leaf int64      // of an event, its index; of other lines, how many events are before them
	Hash proof.Hash // of the line, by which it would be a leaf
	Line []byte     // without its newline

	event []byte // what is sent instead of the line, in another format; nil: the line is
}

// body is what is sent.
func (r *Record) body() []byte {
	if r.event != nil {
		return r.event
	}
	return r.Line
}

// asOCSF are the records that OCSF has a class for, as its events.
func asOCSF(records []Record) []Record {
	var events []Record
	for _, r := range records {
		if event, ok := ocsf.Convert(r.Line); ok {
			r.event = event
			events = append(events, r)
		}
	}
	return events
}

// ID is the same for the same line, and for no other: also not for one of another log that goes to the same receiver.
func (r *Record) ID() string {
	const told = 8 // bytes: they tell apart what has the same index
	id := strconv.FormatInt(r.Leaf, 10) + "-" + hex.EncodeToString(r.Hash[:told])
	switch r.Kind {
	case proof.KindStart:
		return "tree-" + id
	case proof.KindCheckpoint:
		return "checkpoint-" + id
	default:
		return id
	}
}

// batch is what is sent at once.
type batch struct {
	records []Record // that were not taken yet
	bytes   int
	events  int64
	end     place // behind the last record
}

func (b *batch) full() bool { return len(b.records) >= batchRecords || b.bytes >= batchBytes }

// oldest is when the first line was written; zero: none says.
func (b *batch) oldest() time.Time {
	for i := range b.records {
		if at := proof.TimeOf(b.records[i].Line); !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}
