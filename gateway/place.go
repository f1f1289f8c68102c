package gateway

import (
	"context"
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// defaultQueue is how long a client waits for a place at its database: less than drivers wait for a login, as a rule.
	defaultQueue = 5 * time.Second
	// goneCheck is how often it is looked whether a client that waits is still there. It is asked for nothing meanwhile, so nothing else tells.
	goneCheck = 100 * time.Millisecond
)

// errWentAway says that a client went away while it waited.
var errWentAway = errors.New("the client went away while it waited for a place")

// enterDatabase takes one of the places that a database has for sessions, or waits for one. It is given back when the session's backend
// session has ended.
func (s *session) enterDatabase(ctx context.Context, d Database) error {
	if !d.Places.Take() {
		if err := s.queue(ctx, d); err != nil {
			return err
		}
	}
	s.places = d.Places
	return nil
}

// queue waits for a place.
func (s *session) queue(ctx context.Context, d Database) error {
	patience := d.Queue
	if patience <= 0 {
		patience = defaultQueue
	}
	patience = min(patience, s.config.Timeouts.Connect/2) // the session is still to be opened
	waiting, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.server.background.Go(func() { s.watchClient(waiting, stop) })
	full := time.AfterFunc(patience, func() { stop(errNoPlace) })
	defer full.Stop()
	err := d.Places.Enter(waiting)
	if errors.Is(err, errNoPlace) {
		return &sessionError{reason: ReasonDatabaseFull, err: err, hint: "Try again later, or tell the gateway's operators; session " + s.id + "."}
	}
	if err != nil {
		return fail(ReasonClientGone, err)
	}
	return nil
}

// errNoPlace says that no place became free in time.
var errNoPlace = errors.New("no session of the database has ended in time")

// leaveDatabase gives the place back.
func (s *session) leaveDatabase() {
	if s.places != nil {
		s.places.Leave()
		s.places = nil
	}
}

// watchClient looks whether the client is still there until ctx ends, and says so if it is not.
func (s *session) watchClient(ctx context.Context, gone context.CancelCauseFunc) {
	conn, ok := s.conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	tick := time.NewTicker(goneCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if hungUp(raw) {
				gone(errWentAway)
				return
			}
		}
	}
}

// hungUp says whether the other end has closed the connection, or it broke. What it has sent before is not read.
func hungUp(raw syscall.RawConn) (gone bool) {
	err := raw.Control(func(fd uintptr) {
		polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}} // #nosec G115 -- a descriptor fits
		_, err := unix.Poll(polled, 0)
		gone = err == nil && polled[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone || err != nil
}
