package oidc

import (
	"errors"
	"strings"
	"testing"
)

// TestIdentify: whosever the token is, every other gate is Verify's.
func TestIdentify(t *testing.T) {
	good := goodClaims()
	tests := map[string]struct {
		claims object
		user   string
		reason Reason
	}{
		"somebody":                {good, "ana", ""},
		"nobody":                  {good.with(object{"preferred_username": nil}), "", ""},
		"one who cannot be shown": {good.with(object{"preferred_username": "ana\u202e"}), "", ""},
		"a long one":              {good.with(object{"preferred_username": strings.Repeat("a", maxNameBytes+1)}), "", ""},
		"no text":                 {good.with(object{"preferred_username": 7}), "", ""},
		"another audience":        {good.with(object{"aud": "other"}), "", ReasonAudience},
		"another party":           {good.with(object{"azp": "other"}), "", ReasonParty},
		"expired":                 {good.with(object{"exp": 1}), "", ReasonExpired},
		"another issuer":          {good.with(object{"iss": "https://id.example"}), "", ReasonSignature},
		"no subject":              {good.with(object{"sub": nil}), "", ReasonSubject},
		"groups elsewhere":        {good.with(object{"hasgroups": true}), "", ReasonGroups},
		"bound to a key":          {good.with(object{"cnf": object{"jkt": "x"}}), "", ReasonKind},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, err := verifierOf(t, newIssuer(), nil).Identify(t.Context(), token(goodHeader(), test.claims))
			var rejected *RejectedError
			switch {
			case test.reason == "" && (err != nil || b.User != test.user || b.Subject != "1234"):
				t.Errorf("got %+v, %v", b.Identity, err)
			case test.reason != "" && (!errors.As(err, &rejected) || rejected.Reason != test.reason || b.Subject != ""):
				t.Errorf("got %+v, %v, want %s", b.Identity, err, test.reason)
			}
		})
	}
	forged := token(goodHeader(), good)
	if _, err := verifierOf(t, newIssuer(), nil).Identify(t.Context(), forged[:len(forged)-4]+"AAAA"); !errors.Is(err, ErrRejected) {
		t.Errorf("a forged signature: %v", err)
	}
}

func TestBearerHas(t *testing.T) {
	b, err := verifierOf(t, newIssuer(), nil).Identify(t.Context(), token(goodHeader(), goodClaims().with(object{
		"department": "security", "roles": []string{"a", "b"}, "level": 3, "empty": "", "mixed": []any{"a", 1},
	})))
	if err != nil {
		t.Fatal(err)
	}
	for _, has := range [][2]string{{"department", "security"}, {"roles", "b"}, {"email", "ana@example.org"}} {
		if !b.Has(has[0], has[1]) {
			t.Errorf("has no %s %s", has[0], has[1])
		}
	}
	for _, no := range [][2]string{
		{"department", "Security"},
		{"department", "securit"},
		{"roles", "c"},
		{"roles", ""},
		{"level", "3"},
		{"empty", ""},
		{"mixed", "a"},
		{"missing", "x"},
		{"missing", ""},
		{"email", "eve@example.org"},
	} {
		if b.Has(no[0], no[1]) {
			t.Errorf("has %s %q", no[0], no[1])
		}
	}
	b, err = verifierOf(t, newIssuer(), nil).Identify(t.Context(), token(goodHeader(), goodClaims().with(object{"email_verified": false})))
	if err != nil || b.Has("email", "ana@example.org") {
		t.Errorf("an address that nobody has verified counts (%v)", err)
	}
}

func TestIssued(t *testing.T) {
	v := verifierOf(t, newIssuer(), nil)
	good := token(goodHeader(), goodClaims())
	for text, want := range map[string]bool{
		good: true, token(goodHeader(), goodClaims().with(object{"iss": "https://other.example"})): false, "": false, "a.b.c": false,
		"a-shared-token": false, good + ".x": false, token(goodHeader(), goodClaims().with(object{"iss": nil})): false,
	} {
		if got := v.Issued(text); got != want {
			t.Errorf("%.40q: %v, want %v", text, got, want)
		}
	}
}
