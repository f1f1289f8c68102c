package config

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestProxyProtocol(t *testing.T) {
	const at = "sallyport.yaml:1: proxy_protocol."
	tests := map[string]struct {
		section string
		trusted []string
		problem string
	}{
		"left out":                {"", nil, ""},
		"empty":                   {"proxy_protocol: {}", nil, ""},
		"nobody":                  {"proxy_protocol: {trusted: []}", nil, ""},
		"an address":              {"proxy_protocol: {trusted: [192.0.2.7]}", []string{"192.0.2.7/32"}, ""},
		"networks":                {`proxy_protocol: {trusted: [198.51.100.0/28, "2001:db8::/64"]}`, []string{"198.51.100.0/28", "2001:db8::/64"}, ""},
		"everybody":               {"proxy_protocol: {trusted: [0.0.0.0/0]}", nil, at + "trusted[1]: trusts everybody"},
		"everybody by IPv6":       {`proxy_protocol: {trusted: [192.0.2.7, "::/0"]}`, nil, at + "trusted[2]: trusts everybody"},
		"IPv4 in IPv6":            {`proxy_protocol: {trusted: ["::ffff:192.0.2.7"]}`, nil, at + "trusted[1]: is ::ffff:192.0.2.7/128, an IPv4 address within IPv6"},
		"IPv4 network in IPv6":    {`proxy_protocol: {trusted: ["::ffff:192.0.2.0/120"]}`, nil, at + "trusted[1]: is ::ffff:192.0.2.0/120, an IPv4 address within IPv6"},
		"bits behind the length":  {"proxy_protocol: {trusted: [192.0.2.7/24]}", nil, at + "trusted[1]: is 192.0.2.7/24: has bits behind its length, write 192.0.2.0/24"},
		"a name":                  {"proxy_protocol: {trusted: [balancer]}", nil, at + `trusted[1]: is "balancer": must be a network`},
		"a zone":                  {`proxy_protocol: {trusted: ["fe80::1%eth0"]}`, nil, at + `trusted[1]: is "fe80::1%eth0": must be a network`},
		"no list":                 {"proxy_protocol: {trusted: 192.0.2.7}", nil, at + "trusted: must be a list"},
		"no value":                {"proxy_protocol: {trusted: }", nil, at + "trusted: has no value"},
		"no mapping":              {"proxy_protocol: [192.0.2.7]", nil, "sallyport.yaml:1: proxy_protocol: must be a mapping"},
		"a key that is not there": {"proxy_protocol: {version: 2}", nil, at + "version: is not a key that exists here: these are trusted"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, tt.section+"\n"+small)
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
			for _, prefix := range tt.trusted {
				want = append(want, netip.MustParsePrefix(prefix))
			}
			if got := c.ProxyProtocol.Trusted; !slices.Equal(got, want) {
				t.Errorf("trusts %v, want %v", got, want)
			}
		})
	}
}
