package hosts

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport/sallyport/gateway/backend"
)

// A role that was made on the primary a moment ago is on a standby when that has replayed it: after milliseconds, as a rule. Whoever logs
// in earlier is refused as if by a wrong password. So a standby is asked again after firstLag, twice as long after each refusal, lagTries
// times: within three quarters of a second altogether, for a client that waits for its login. Then another host is asked.
const (
	firstLag = 50 * time.Millisecond
	lagTries = 4
)

// openPatiently opens a session at a host that may not know its role yet.
func (s *Set) openPatiently(ctx context.Context, host *backend.Config, want Target, o *Opening) (*backend.Session, error) {
	pause := firstLag
	for again := 0; ; again++ {
		session, err := backend.Open(ctx, *host, o.User, o.Credential, o.Parameters)
		failure, ok := errors.AsType[*backend.Error](err)
		if !ok || !refused(failure) || again == lagTries || !s.mayLag(host, want, o) {
			return session, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, err
		}
		pause *= 2
	}
}

// mayLag says whether a host may be a standby that is behind, and is worth waiting for.
func (s *Set) mayLag(host *backend.Config, want Target, o *Opening) bool {
	return o.Fresh && want != Primary && want != ReadWrite && s.cfg.Servers.mayBeStandby(host, len(s.cfg.Hosts) > 1 || want != Any)
}
