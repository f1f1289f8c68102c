package gateway

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/gateway/audit"
)

// hangingAudit holds statements back, as a disk does that does not answer.
type hangingAudit struct {
	*fakeAudit
	reached, release chan struct{}
}

func (h *hangingAudit) Append(e audit.Event) error {
	if _, ok := e.(*audit.Statement); ok {
		close(h.reached)
		<-h.release
	}
	return h.fakeAudit.Append(e)
}

// TestRelayGivesUpWhatHangs: the client of a statement whose event cannot be written in any time hears so, and when it is written after
// all the statement is not forwarded.
func TestRelayGivesUpWhatHangs(t *testing.T) {
	h := &hangingAudit{reached: make(chan struct{}), release: make(chan struct{})}
	var to *recorder
	b := start(t, func(r *relay) {
		h.fakeAudit, _ = r.log.(*fakeAudit)
		to = &recorder{auditLog: h}
		r.log = to
	})
	if to.giveUp() {
		t.Error("gave up, and nothing is written")
	}
	b.send(query("insert"))
	<-h.reached
	if !to.giveUp() {
		t.Fatal("did not give up")
	}
	b.relay.end(fail(ReasonAudit, audit.ErrSlow))
	m, err := b.client.Receive()
	if err != nil || word(m) != "FATAL 58030" {
		t.Fatalf("got %v, %v", m, err)
	}
	close(h.release)
	b.rest()
	if cause := b.cause(); cause.reason != ReasonAudit {
		t.Errorf("ended by %v", cause)
	}
	if got := strings.Join(b.backend.executed(), " "); strings.Contains(got, "insert") {
		t.Errorf("the backend has seen %s", got)
	}
	if diff := cmp.Diff(1, len(b.log.lines())); diff != "" {
		t.Error(diff)
	}
}
