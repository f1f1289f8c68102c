package gateway

import (
	"cmp"
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/credentials"
)

const (
	// leaseMargin is how long before its lease's end a session ends: the role must not be dropped under a running statement. Of a very
	// short lease it is a fourth.
	leaseMargin = 5 * time.Second
	// renewTime bounds one renewal.
	renewTime = 10 * time.Second
	// minRenewal is the least time between two attempts to renew.
	minRenewal = time.Second
)

// clock ends a session when its time has come: the earliest of the identity's end, the lease's, and the session's longest life; and
// when nothing happens in it for too long. It renews the lease meanwhile. Its timers hold no goroutine while they wait.
type clock struct {
	session *session
	issuer  issuer // of the lease
	relay   *relay
	margin  time.Duration
	began   time.Time

	mu     sync.Mutex
	lease  credentials.Lease
	idle   time.Duration // 0: no limit
	timers [alarms]*time.Timer
	over   bool
}

// alarm is what a timer is for; there is one of each.
type alarm int

const (
	alarmLife alarm = iota
	alarmIdentity
	alarmLease
	alarmIdle
	alarms
)

// startClock sets the timers. stop must be called when the relay has ended.
func startClock(s *session, r *relay, id authn.Identity, g grant, lease credentials.Lease) *clock {
	s.ends = clock{session: s, relay: r, issuer: g.database.Credentials, lease: lease, began: time.Now()}
	c := &s.ends
	c.margin = min(leaseMargin, time.Until(lease.Expires)/4)
	if !id.Expires.IsZero() {
		c.after(alarmIdentity, time.Until(id.Expires), func() { r.end(fail(ReasonIdentityExpired, nil)) })
	}
	if !lease.Expires.IsZero() {
		c.after(alarmLease, c.renewal(), c.renew)
	}
	c.limit(g.MaxSession, g.IdleTimeout)
	return c
}

// limit holds the session to what policy gives, where it does: the longest life counts from the session's beginning, whenever it is given.
func (c *clock) limit(maxSession, idleTimeout time.Duration) {
	life := c.session.config.Timeouts.Session
	if maxSession > 0 {
		life = min(life, maxSession)
	}
	c.after(alarmLife, life-time.Since(c.began), func() { c.relay.end(fail(ReasonLifetime, nil)) })
	idle := cmp.Or(idleTimeout, c.session.config.Timeouts.Idle)
	c.mu.Lock()
	c.idle = idle
	c.mu.Unlock()
	if idle > 0 {
		c.after(alarmIdle, idle, c.checkIdle)
	}
}

// after sets a timer, in the place of the one there was for the same.
func (c *clock) after(a alarm, d time.Duration, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	if old := c.timers[a]; old != nil {
		old.Stop()
	}
	c.timers[a] = time.AfterFunc(max(d, 0), f)
}

// stop ends the clock; nothing of it happens afterwards but a renewal that is on its way. The session has the lease as it was renewed: the
// Revoker gives up at its end.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.session.lease != nil {
		*c.session.lease = c.lease
	}
	for _, t := range c.timers {
		if t != nil {
			t.Stop()
		}
	}
}

// renewal is when to renew.
func (c *clock) renewal() time.Duration { return renewal(c.lease, c.margin) }

// renewal is when to renew a lease: at half-life, give or take a tenth, so that the sessions of one morning do not renew as one. One that
// cannot be renewed is looked at when its margin begins.
func renewal(lease credentials.Lease, margin time.Duration) time.Duration {
	left := time.Until(lease.Expires)
	if !lease.Renewable {
		return left - margin
	}
	jitter := 0.9 + 0.2*rand.Float64() // #nosec -- not a secret
	return max(minRenewal, min(time.Duration(float64(left/2)*jitter), left-margin))
}

// renew renews the lease, or ends the session when that is past hope.
func (c *clock) renew() {
	c.mu.Lock()
	lease, over := c.lease, c.over
	c.mu.Unlock()
	if over {
		return
	}
	if time.Until(lease.Expires) <= c.margin {
		c.relay.end(fail(ReasonLeaseExpired, nil))
		return
	}
	if lease.Renewable {
		ctx, cancel := context.WithTimeout(context.Background(), min(renewTime, time.Until(lease.Expires)-c.margin))
		defer cancel()
		renewed, err := c.issuer.Renew(ctx, lease)
		if err != nil {
			c.session.logger.Warn("lease could not be renewed; the session lives until it ends", "error", err, "lease_expires", lease.Expires)
		} else {
			lease = renewed
		}
	}
	c.mu.Lock()
	c.lease = lease
	next := c.renewal()
	c.mu.Unlock()
	c.after(alarmLease, next, c.renew)
}

// checkIdle ends the session if nothing happened since the timer was set, or sets it anew.
func (c *clock) checkIdle() {
	c.mu.Lock()
	limit := c.idle
	c.mu.Unlock()
	busy, status := c.relay.queue.busy()
	quiet := time.Since(time.Unix(0, c.relay.lastActive.Load()))
	switch {
	case limit == 0: // no longer
	case busy:
		c.after(alarmIdle, limit, c.checkIdle)
	case quiet < limit:
		c.after(alarmIdle, limit-quiet, c.checkIdle)
	case status == 'I':
		c.relay.end(fail(ReasonIdle, nil))
	default:
		c.relay.end(fail(ReasonIdleInTransaction, nil))
	}
}
