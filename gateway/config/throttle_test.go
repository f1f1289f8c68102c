package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestThrottle(t *testing.T) {
	local := []string{"127.0.0.0/8", "::1/128"}
	tests := map[string]struct {
		keys    string
		shared  []string
		made    bool
		problem string
	}{
		"left out":       {"", local, true, ""},
		"empty":          {"throttle: {}", local, true, ""},
		"disabled":       {"throttle: {disabled: true}", local, false, ""},
		"proxies":        {"throttle: {shared_sources: [192.0.2.7, 10.0.0.0/24]}", append(local, "192.0.2.7/32", "10.0.0.0/24"), true, ""},
		"no network":     {"throttle: {shared_sources: [proxy]}", nil, false, `sallyport.yaml:4: authentication.throttle.shared_sources[1]: is "proxy": must be a network`},
		"bits behind":    {"throttle: {shared_sources: [10.0.0.1/8]}", nil, false, "has bits behind its length, write 10.0.0.0/8"},
		"no bool":        {"throttle: {disabled: 1}", nil, false, "authentication.throttle.disabled: "},
		"an unknown key": {"throttle: {enabled: true}", nil, false, "authentication.throttle.enabled: is not a key that exists here: these are disabled, shared_sources"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, strings.Replace(small, "  userlist", "  "+tt.keys+"\n  userlist", 1))
			if tt.problem != "" {
				if err == nil || !strings.Contains(err.Error(), tt.problem) {
					t.Errorf("got %v, want %s", err, tt.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var want []netip.Prefix
			for _, prefix := range tt.shared {
				want = append(want, netip.MustParsePrefix(prefix))
			}
			if diff := cmp.Diff(want, c.Authentication.Throttle.Shared, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			throttler, err := c.Throttler()
			if err != nil || (throttler != nil) != tt.made {
				t.Errorf("got %v, %v", throttler, err)
			}
		})
	}
}
