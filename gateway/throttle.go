package gateway

import (
	"context"
	"net/netip"
	"time"
)

// throttle lets a login wait as long as the failures before it are worth, or refuses it. Whether the user exists makes no difference,
// nor is anybody told by words that others have failed: whoever waits is then asked as ever.
func (s *session) throttle(ctx context.Context, source netip.Addr, user string) error {
	if s.config.Throttle == nil {
		return nil
	}
	delay, ok := s.config.Throttle.Wait(source, user)
	if !ok {
		s.config.Metrics.LoginsThrottled.Inc("refused")
		return fail(ReasonThrottled, nil)
	}
	if delay <= 0 {
		return nil
	}
	s.config.Metrics.LoginsThrottled.Inc("delayed")
	delay = min(delay, s.config.Timeouts.Authentication/2) // or failures of strangers would lock out everybody where the phase is short
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fail(ReasonClientGone, ctx.Err())
	}
}

// tell lets the throttle know how a login ended. Only a proof that was given and found wrong is a failure: not a client that goes away,
// is too slow or does not speak the protocol, nor one whose proof cannot be looked at now.
func (s *session) tell(source netip.Addr, user string, err error) {
	switch {
	case s.config.Throttle == nil:
	case err == nil:
		s.config.Throttle.Succeeded(source, user)
	case provenWrong(asSessionError(err)):
		s.config.Throttle.Failed(source, user)
	}
}

// provenWrong also counts who heard that the password is wrong and was refused for another reason, which nobody may tell from that.
func provenWrong(e *sessionError) bool {
	return e.code() == "28P01" || e.reason == ReasonAuthentication && e.code() == "28000"
}
