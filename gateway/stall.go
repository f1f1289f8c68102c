package gateway

import (
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
)

// recorder is a session's way to the audit log. A write that hangs in the kernel cannot be given up, but its session can: see AuditStalled.
type recorder struct {
	auditLog
	inside  atomic.Int32  // events that are being written
	givenUp atomic.Uint32 // how often they were given up
}

// Append refuses an event that was given up while it was written: its client has been told so.
func (r *recorder) Append(e audit.Event) error {
	before := r.givenUp.Load()
	r.inside.Add(1)
	err := r.auditLog.Append(e)
	r.inside.Add(-1)
	if err == nil && r.givenUp.Load() != before {
		return audit.ErrSlow
	}
	return err
}

// giveUp gives up what is being written, and says whether there was something.
func (r *recorder) giveUp() bool {
	if r.inside.Load() == 0 {
		return false
	}
	r.givenUp.Add(1)
	return true
}

// AuditStalled is to be called when the audit log has not taken events for a while. It ends the sessions that are writing one: what they
// write is not forwarded when the write comes back after all, and their clients hear so now. All others are refused by the log.
func (s *Server) AuditStalled() {
	s.mu.Lock()
	live := s.live()
	s.mu.Unlock()
	for _, session := range live {
		r := session.live.Load()
		if r == nil {
			continue
		}
		if to, ok := r.log.(*recorder); ok && to.giveUp() {
			r.end(fail(ReasonAudit, audit.ErrSlow))
			s.background.Go(func() { // whoever hangs cannot close it
				select {
				case <-session.gone:
				case <-time.After(settleBound + farewellTime):
					_ = session.conn.Close()
				}
			})
		}
	}
}
