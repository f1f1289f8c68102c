package gateway

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/authn"
)

// TestPassThroughDeniedIsSlow: who is refused by policy waits for as long as a backend took.
func TestPassThroughDeniedIsSlow(t *testing.T) {
	const pace = 300 * time.Millisecond
	p := pass(t, authn.MethodPassSCRAM, asked(authn.MethodPassSCRAM, greets), nil)
	p.server.unproven.took(time.Now().Add(-pace), time.Now())
	began := time.Now()
	p.login("eve", passPassword)
	if took := time.Since(began); took < pace {
		t.Errorf("took %v, where a backend takes %v", took, pace)
	}
}

// TestUnprovenPlaces: few backends wait for strangers at once.
func TestUnprovenPlaces(t *testing.T) {
	u := newUnproven()
	var leave func()
	for range maxUnproven {
		var err error
		if leave, err = u.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := u.enter(ctx)
	checkReason(t, err, ReasonTooManyConnections)
	leave()
	if _, err := u.enter(t.Context()); err != nil {
		t.Errorf("a place that was left is not taken: %v", err)
	}
}

// TestPassThroughWaitsForAPlace: a login that finds none asks no backend.
func TestPassThroughWaitsForAPlace(t *testing.T) {
	p := pass(t, authn.MethodPassPassword, asked(authn.MethodPassPassword, greets), func(cfg *Config) {
		byMD5(cfg)
		cfg.Timeouts.Authentication = time.Second
	})
	for range maxUnproven {
		if _, err := p.server.unproven.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	heard := p.login("ana", passPassword)
	if last := heard[len(heard)-1]; !strings.HasPrefix(last, "FATAL|53300|") || p.postgres.dialled.Load() != 0 {
		t.Errorf("the client hears %q; dialled %d times", heard, p.postgres.dialled.Load())
	}
}
