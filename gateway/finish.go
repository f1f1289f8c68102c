package gateway

import (
	"context"
	"time"

	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/backend"
)

const (
	// closeTime bounds the wait for the backend to close after Terminate: its process must be gone before its role is dropped.
	closeTime = 3 * time.Second
	// revocationGrace is how long the end event lets Vault answer, so that it can usually say revoked; it does not wait longer.
	revocationGrace = 250 * time.Millisecond
)

// finish ends a session that reached its end: the client hears why, if the relay has not said it, the backend session is closed and its end
// awaited, the lease is revoked, the end event is written. Always all of them.
func (s *session) finish(ctx context.Context, cause *sessionError, moved totals) {
	s.server.keys.withdraw(s.key)
	s.farewell(cause)
	s.closeBackend(ctx, moved.busy)
	s.leaveDatabase()
	s.discharge()
	state := s.revoke()
	if s.admitted != nil {
		s.recordRefused(cause)
		s.record(&audit.SessionEnd{
			Session: s.id, User: s.user, ClientAddress: hostOf(s.client), Method: string(s.rule.Method),
			Reason: cause.reason.String(), SQLSTATE: cause.code(), Duration: time.Since(s.started), Statements: moved.statements,
			Rows: moved.rows, BytesIn: moved.bytesIn, BytesOut: moved.bytesOut, Revocation: state,
		})
	}
	s.count(cause, moved)
}

// recordRefused writes that the client was not let in, if it was told so. Who is told where to get a token, or that the
// gateway shuts down, was not refused.
func (s *session) recordRefused(cause *sessionError) {
	if !s.backendNeverRelayed() || cause.code() == "" || cause.reason.describe().fault == faultNone {
		return
	}
	s.record(&audit.LoginRefused{
		Session: s.id, User: s.user, Database: s.admitted.startup.database, ClientAddress: hostOf(s.client), Method: string(s.rule.Method),
		Reason: cause.reason.String(), SQLSTATE: cause.code(),
	})
}

// farewell tells the client why, if the relay did not, and closes its connection.
func (s *session) farewell(cause *sessionError) {
	if message := cause.fatal(); message != nil && s.backendNeverRelayed() {
		_ = s.conn.SetDeadline(time.Now().Add(farewellTime))
		if s.secure != nil {
			_, _ = s.secure.Write(message)
		} else {
			_, _ = s.conn.Write(message)
		}
	}
	_ = s.conn.SetDeadline(time.Now().Add(farewellTime))
	s.server.background.Go(s.closeClient) // a client that does not read must not keep its credential alive
}

// closeClient closes the client's connection, with a close_notify if there is TLS.
func (s *session) closeClient() {
	if s.secure != nil {
		_ = s.secure.Close()
	}
	_ = s.conn.Close()
}

// backendNeverRelayed says whether the session ended before its relay, whose reporter says the last word otherwise.
func (s *session) backendNeverRelayed() bool { return s.info.Load() == nil }

// closeBackend ends the backend session: Terminate is sent, and the backend's end awaited. What ran is over (settle.go), unless it is busy after
// an accident: then it is cancelled.
func (s *session) closeBackend(ctx context.Context, busy bool) {
	if s.backend == nil {
		return
	}
	o := s.backend
	if busy {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
		if err := o.cancel(ctx); err != nil {
			s.logger.Warn("statement of an ended session could not be cancelled", "error", err)
		}
		cancel()
	}
	o.terminate()
}

// terminate says goodbye to the backend and waits for its end.
func (o *opened) terminate() { o.session.Terminate(closeTime) }

// cancel asks the backend to cancel what this session runs.
func (o *opened) cancel(ctx context.Context) error {
	return backend.Cancel(ctx, o.config, o.session.PID, o.session.Key)
}

// revoke gives the lease back. What is not done at once goes on without the session, and has an event of its own.
func (s *session) revoke() audit.RevocationState {
	if s.lease == nil {
		return audit.RevocationNone
	}
	revoked := s.revoker.Revoke(*s.lease)
	grace := time.NewTimer(revocationGrace)
	defer grace.Stop()
	select {
	case err := <-revoked:
		if err == nil {
			return audit.RevocationRevoked
		}
		s.server.background.Go(func() { s.reportRevocation(err) }) // after the end event
	case <-grace.C:
		s.server.background.Go(func() { s.reportRevocation(<-revoked) })
		return audit.RevocationPending
	}
	return audit.RevocationPending
}

// reportRevocation writes what became of a revocation that the end event called pending.
func (s *session) reportRevocation(err error) {
	event := &audit.Revocation{Session: s.id, LeaseIDHash: s.lease.IDHash(), State: audit.RevocationRevoked}
	if err != nil {
		event.State, event.Error = audit.RevocationFailed, "unavailable"
		s.config.Metrics.RevocationFailures.Inc()
		s.logger.Error("lease could not be revoked; it ends by itself", "error", err)
	}
	s.record(event)
}

// count adds the session to the metrics and says in the log how it ended.
func (s *session) count(cause *sessionError, moved totals) {
	m := s.config.Metrics
	m.BytesIn.Add(float64(moved.bytesIn))
	m.BytesOut.Add(float64(moved.bytesOut))
	label := cause.reason.String()
	if s.backendNeverRelayed() {
		m.AdmissionFailures.Inc(label)
	} else {
		m.SessionEnds.Inc(label)
	}
	d := cause.reason.describe()
	args := []any{"reason", label, "fault", string(d.fault), "user", s.user, "client_address", hostOf(s.client), "error", cause.err}
	switch {
	case d.fault == faultNone, d.fault == faultClient, d.fault == faultPolicy && provenWrong(cause): // what strangers can cause
		s.logger.Debug("session ended", args...)
	default:
		s.logger.Warn("session ended", args...)
	}
}
