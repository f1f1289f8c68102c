package credentials

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

const (
	// heartbeat is how often Vault is asked after our token when nothing else happens: a token that was revoked has taken the roles
	// of all sessions with it, and these should end soon.
	heartbeat = 30 * time.Second
	// faultyHeartbeat is how often it is asked while it is out of reach, so that Ready says soon that it is back.
	faultyHeartbeat = 5 * time.Second
	// A login that fails is tried again after loginBackoff, twice as long each time up to maxLoginBackoff: an AppRole may lock a
	// client out that tries too often.
	loginBackoff    = time.Second
	maxLoginBackoff = 30 * time.Second
)

// verdict is what is to be done with a login.
type verdict uint8

const (
	keep    verdict = iota
	replace         // it still works, but another must be obtained
	dead
)

// keepLogin logs in, again and again as it becomes necessary, until ctx ends.
func (v *Vault) keepLogin(ctx context.Context) error {
	backoff := loginBackoff
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
		l, err := v.logIn(attempt)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				v.note(err)
				v.log.Warn("vault login failed", "error", err, "retry", backoff)
			}
			pause(ctx, jitter(backoff), nil)
			backoff = min(2*backoff, maxLoginBackoff)
			continue
		}
		backoff = loginBackoff
		l = v.adopt(l)
		v.log.Info("logged in to vault", "expires", l.expires, "renewable", l.renewable)
		v.tend(ctx, l)
	}
	return nil
}

// tend looks after a login until it has to be replaced.
func (v *Vault) tend(ctx context.Context, l *login) {
	for {
		pause(ctx, v.untilLook(l), v.poke)
		if ctx.Err() != nil {
			return
		}
		switch v.look(ctx, l) {
		case keep:
		case replace:
			v.log.Info("vault token is to be replaced", "expires", l.expires)
			if !l.expires.IsZero() {
				time.AfterFunc(time.Until(l.expires), func() { v.dropExpired(l) })
			}
			return
		case dead:
			v.log.Error("vault token has ended, its leases with it")
			v.drop(l)
			return
		}
	}
}

// untilLook is how long to wait before the next look.
func (v *Vault) untilLook(l *login) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	wait := heartbeat
	if v.fault != nil {
		wait = faultyHeartbeat
	}
	now := time.Now()
	for _, at := range []time.Time{l.renewAt, l.expires} {
		if at.After(now) {
			wait = min(wait, at.Sub(now))
		}
	}
	return wait
}

// look renews the token if it is time, and otherwise asks whether it is still good.
func (v *Vault) look(ctx context.Context, l *login) verdict {
	started := time.Now()
	if v.forgotten(l) || l.expired(started) {
		return dead
	}
	due := !l.renewAt.IsZero() && !started.Before(l.renewAt)
	attempt, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	var failure *Error
	if due && l.renewable {
		failure = v.renewSelf(attempt, l, started)
	} else {
		failure = v.lookupSelf(attempt, l)
	}
	switch {
	case ctx.Err() != nil:
		return keep
	case failure != nil && failure.Status == http.StatusForbidden && v.ended(attempt, l):
		return dead
	case failure != nil:
		v.setFault(failure)
	default:
		v.setFault(nil)
		v.lookAfterRetired(attempt)
	}
	if v.replaceable(l, due) {
		return replace
	}
	return keep
}

// renewSelf renews the token. One that can be renewed no further, or may not be, is left to end.
func (v *Vault) renewSelf(ctx context.Context, l *login, started time.Time) *Error {
	secret, err := l.client.Auth().Token().RenewSelfWithContext(ctx, 0)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err == nil {
		err = l.describe(started, secret)
	}
	if err != nil {
		failure := classify("renew own token", err, l.token)
		if failure.Kind == Refused {
			l.renewable = false
		}
		l.renewAt = started.Add(faultyHeartbeat)
		return failure
	}
	if l.expires.Sub(started) < l.full/2 {
		l.renewable = false
	}
	return nil
}

func (v *Vault) lookupSelf(ctx context.Context, l *login) *Error {
	if _, err := l.client.Auth().Token().LookupSelfWithContext(ctx); err != nil {
		return classify("look up own token", err, l.token)
	}
	return nil
}

// lookAfterRetired finds out whether somebody revoked a token that is ours no longer but that leases still belong to.
func (v *Vault) lookAfterRetired(ctx context.Context) {
	now := time.Now()
	v.mu.Lock()
	v.retired = slices.DeleteFunc(v.retired, func(l *login) bool { return l.expired(now) })
	retired := slices.Clone(v.retired)
	v.mu.Unlock()
	for _, l := range retired {
		if v.ended(ctx, l) {
			v.drop(l)
		}
	}
}

// forgotten reports whether somebody found out before us that the token has ended.
func (v *Vault) forgotten(l *login) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.current != l
}

// replaceable reports whether a better token can be had than one that is to end, or that Vault Agent has replaced.
func (v *Vault) replaceable(l *login, due bool) bool {
	switch {
	case v.cfg.TokenFile != "":
		token, err := readSecret(v.cfg.TokenFile)
		return err == nil && token != l.token
	case l.own:
		return due && !l.renewable
	}
	return false
}

// pause waits for some time, for ctx to end, or for a poke.
func pause(ctx context.Context, wait time.Duration, poke <-chan struct{}) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-poke:
	case <-timer.C:
	}
}

// jitter takes up to a tenth off, so that a fleet started together does not stay together.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/10+1)) // #nosec -- spreads load, guards nothing
}
