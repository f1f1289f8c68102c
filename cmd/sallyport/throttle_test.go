package main

import (
	"net/netip"
	"strings"
	"testing"
)

// TestReloadKeepsTheThrottle: a guesser does not begin afresh with each SIGHUP.
func TestReloadKeepsTheThrottle(t *testing.T) {
	deploy(t)
	p, _ := newProcess(t)
	defer p.close()
	source := netip.MustParseAddr("127.0.0.1")
	for range 6 {
		p.throttle.throttle.Failed(source, "ana")
	}
	p.reload()
	if delay, ok := p.throttle.throttle.Wait(source, "ana"); !ok || delay == 0 {
		t.Errorf("delay %v, %v", delay, ok)
	}
	if delay, ok := p.throttle.throttle.Wait(source, "bob"); !ok || delay != 0 {
		t.Errorf("somebody else at the same address waits %v, %v", delay, ok)
	}
	for _, keys := range []string{"{disabled: true}", "{disabled: false}"} {
		write(t, "sallyport.yaml", strings.Replace(configuration, "  rules", "  throttle: "+keys+"\n  rules", 1))
		p.reload()
		if disabled := p.throttle.throttle == nil; disabled != strings.Contains(keys, "true") {
			t.Errorf("%s: disabled is %v", keys, disabled)
		}
	}
}
