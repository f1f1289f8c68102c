package credentials

import (
	"context"
	"errors"
	"time"
)

const (
	// maxSweepInterval is how often roles are looked for whose time is over and that nobody has dropped.
	maxSweepInterval = time.Minute
	// sweepMargin is for those who drop a role themselves, at its end.
	sweepMargin = 2 * time.Second
)

// mintedRole is a role that some gateway has made, and how long it still holds by the backend's clock.
type mintedRole struct {
	name  string
	until string // VALID UNTIL, as it is
	left  time.Duration
}

// sightings are when the roles are over that were seen, by our own clock, which is not set: not the backend's, which may be. To a clock
// that jumps an hour ahead every role looks as if its time were over, and its sessions with it.
type sightings map[sighting]time.Time

type sighting struct{ name, until string }

// over takes what is there now, and gives the roles whose time is over. A role that was seen before its end is over when that time has
// passed since, and its end was not moved meanwhile. One that was over when it was seen first must stay as it is for ttl: whoever has
// it, another gateway perhaps, would have renewed it or given it back by then.
func (s sightings) over(roles []mintedRole, now time.Time, ttl time.Duration) (names []string) {
	there := make(map[sighting]bool, len(roles))
	for _, role := range roles {
		key := sighting{role.name, role.until}
		there[key] = true
		end, seen := s[key]
		if !seen {
			end = now.Add(role.left)
			if role.left < 0 {
				end = now.Add(ttl)
			}
			s[key] = end
		}
		if now.Sub(end) > sweepMargin {
			names = append(names, role.name)
		}
	}
	for key := range s {
		if !there[key] {
			delete(s, key)
		}
	}
	return names
}

// sweep drops roles whose time is over and that nobody drops: of gateways that were killed and whose journal is lost, and those whose
// revocation was given up. A session ends before its role's time does, so nobody uses them.
func (m *Minted) sweep(ctx context.Context) error {
	seen := make(sightings)
	for ctx.Err() == nil {
		if err := m.sweepOnce(ctx, seen); err != nil && ctx.Err() == nil && m.pool.ready() == nil {
			m.log.Warn("roles that were left behind could not be dropped", "error", err)
		}
		pause(ctx, jitter(min(maxSweepInterval, m.cfg.TTL)), nil)
	}
	return nil
}

func (m *Minted) sweepOnce(ctx context.Context, seen sightings) error {
	const op = "look for roles that were left behind"
	var roles []mintedRole
	err := m.pool.use(ctx, op, func(ctx context.Context, c *provisioner) (err error) {
		roles, err = c.mintedRoles(ctx, m.cfg.Groups)
		return err
	})
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range seen.over(roles, time.Now(), m.cfg.TTL) {
		if ctx.Err() != nil {
			break
		}
		err := m.Revoke(ctx, Lease{ID: name, Username: name})
		if errs = append(errs, err); err == nil {
			m.log.Warn("role of an earlier run is dropped", "username", name)
			m.ledger.settled(Lease{ID: name})
		}
	}
	return errors.Join(errs...)
}
