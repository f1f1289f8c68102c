package main

import (
	"reflect"

	"github.com/sallyport/sallyport/authn/throttle"
	"github.com/sallyport/sallyport/gateway/config"
)

// throttled keeps what is known of failed logins over reloads, as long as what they say of it is the same.
type throttled struct {
	config   config.Throttle
	throttle *throttle.Throttle // nil: disabled, or not made yet
}

func (t *throttled) of(c *config.Config) (*throttle.Throttle, error) {
	next := c.Authentication.Throttle
	if t.throttle != nil && reflect.DeepEqual(t.config, next) {
		return t.throttle, nil
	}
	throttler, err := c.Throttler()
	if err == nil {
		t.config, t.throttle = next, throttler
	}
	return throttler, err
}
