package gateway

import (
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
)

// maxTags bounds how many command tags of one Query the outcome names.
const maxTags = 32

// run is one accepted statement event whose outcome is owed. The judge makes it and hands it over with the queue entry; from then
// on it is the reporter's.
type run struct {
	number  uint64
	started time.Time
	judged  time.Duration

	rows, bytes uint64
	tags        []byte
	tagCount    int
	sqlstate    string
	status      audit.Status // what happened so far; "" is nothing yet
	done        bool         // its outcome is written

	allowance *allowance // what it may deliver; nil: nothing bounds it
	deadline  *deadline  // nil: none of its own
	cut       *denial    // it reached a limit: nothing more of it is delivered, and this is said in its error's place
}

// count adds rows and bytes that went to the client.
func (r *run) count(bytes int) {
	if r != nil {
		r.rows++
		r.bytes += uint64(bytes) // #nosec -- a message's size
	}
}

// completed notes one command tag.
func (r *run) completed(tag []byte) {
	if r == nil {
		return
	}
	if r.status == "" {
		r.status = audit.StatusCompleted
	}
	r.tagCount++
	if r.tagCount > maxTags {
		return
	}
	if len(r.tags) > 0 {
		r.tags = append(r.tags, "; "...)
	}
	r.tags = append(r.tags, tag...)
}

// failed notes an ErrorResponse.
func (r *run) failed(status audit.Status, sqlstate string) {
	if r != nil {
		r.status, r.sqlstate = status, sqlstate
	}
}
