package oidc

import "testing"

// TestTakes: a configuration takes the tokens that logins were made with under the one before, or takes them no more.
func TestTakes(t *testing.T) {
	plain, party, several := object{"aud": "sallyport"}, object{"aud": "sallyport", "azp": "cli"}, object{"aud": []string{"other", "sallyport"}, "client_id": "cli"}
	withParty := func(c *Config) { c.AuthorizedParties = []string{"cli"} }
	for name, test := range map[string]struct {
		claims       object
		before, then func(*Config)
		want         bool
	}{
		"as before":                  {plain, nil, nil, true},
		"another audience":           {plain, nil, func(c *Config) { c.Audiences = []string{"another"} }, false},
		"one more audience":          {plain, nil, func(c *Config) { c.Audiences = []string{"another", "sallyport"} }, true},
		"the other of its audiences": {several, withParty, func(c *Config) { withParty(c); c.Audiences = []string{"other"} }, true},
		"another issuer":             {plain, nil, func(c *Config) { c.Issuer = "https://id.example/another" }, false},
		"its party, as before":       {party, withParty, withParty, true},
		"another party":              {party, withParty, func(c *Config) { c.AuthorizedParties = []string{"web"} }, false},
		"another client":             {several, withParty, nil, false},
		"a party that it has not":    {plain, nil, withParty, true},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := verifierOf(t, newIssuer(), test.before).Verify(t.Context(), token(goodHeader(), goodClaims().with(test.claims)), "ana")
			if err != nil {
				t.Fatal(err)
			}
			if got := verifierOf(t, newIssuer(), test.then).Takes(id); got != test.want {
				t.Errorf("it takes the token: %t", got)
			}
		})
	}
}
