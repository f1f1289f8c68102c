package gateway

import (
	"sync/atomic"
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
	waited  time.Duration // what it was made to wait, by us

	forwarded bool // the backend was sent it

	recorded recorded // of a Bind; the judge's

	rows, bytes uint64
	copiesIn    bool // what runs copies from the client
	tags        []byte
	tagCount    int
	sqlstate    string
	status      audit.Status // what happened so far; "" is nothing yet
	done        bool         // its outcome is written

	allowance *allowance // what it may deliver; nil: nothing bounds it
	deadline  *deadline  // nil: none of its own
	cut       *denial    // it reached a limit: nothing more of it is delivered, and this is said in its error's place
}

// maxSpareRuns is as many runs as a pipeline has, as a rule.
const maxSpareRuns = 16

// spareRuns are runs to be used again: every statement needs one, and one ends with each. The reporter gives them, the judge takes them;
// until then a run says what it said, to a judge that still looks at what it has forwarded.
type spareRuns struct {
	runs         [maxSpareRuns]*run // runs[taken:given], modulo their number
	taken, given atomic.Uint32
}

// take returns an empty run.
func (s *spareRuns) take() *run {
	taken := s.taken.Load()
	if taken == s.given.Load() {
		return &run{}
	}
	r := s.runs[taken%maxSpareRuns]
	s.taken.Store(taken + 1)
	*r = run{tags: r.tags[:0]}
	return r
}

// give takes runs that nobody will look at any more.
func (s *spareRuns) give(runs []*run) {
	given := s.given.Load()
	for _, r := range runs[:min(len(runs), maxSpareRuns-int(given-s.taken.Load()))] {
		s.runs[given%maxSpareRuns] = r
		given++
	}
	s.given.Store(given)
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
