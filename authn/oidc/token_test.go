package oidc

import (
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
)

func TestSplitTokenAtTheBounds(t *testing.T) {
	tests := map[string]struct {
		token string
		want  Reason
	}{
		"longest token":      {"a.b." + strings.Repeat("c", maxTokenBytes-4), ""},
		"one byte more":      {"a.b." + strings.Repeat("c", maxTokenBytes-3), ReasonShape},
		"longest header":     {strings.Repeat("a", maxHeaderSegment) + ".b.c", ""},
		"one byte of header": {strings.Repeat("a", maxHeaderSegment+1) + ".b.c", ReasonShape},
		"smallest":           {"a.b.c", ""},
		"all characters":     {"abcdefghijklmnopqrstuvwxyz.ABCDEFGHIJKLMNOPQRSTUVWXYZ.0123456789-_", ""},
		"slash":              {"a.b/.c", ReasonShape},
		"brace":              {"{.b.c", ReasonShape},
		"high byte":          {"a.b\x80.c", ReasonShape},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, got := splitToken(tt.token); got != tt.want {
				t.Errorf("splitToken = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestShapeCostsNothing: what is refused by its shape is refused before memory is spent on it.
func TestShapeCostsNothing(t *testing.T) {
	dots := strings.Repeat(".", maxTokenBytes)
	if allocations := testing.AllocsPerRun(10, func() { _, _, _ = splitToken(dots) }); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// FuzzToken: no text panics, and what passes by its shape is a compact JWS in go-jose's eyes, never its JSON form.
func FuzzToken(f *testing.F) {
	f.Add("a.b.c")
	f.Add(strings.Repeat(".", 100))
	f.Add(signed(`{"alg":"RS256","kid":"rsa","typ":"JWT"}`, `{"aud":["sallyport"],"exp":1e9,"groups":[1]}`, []byte("x")))
	f.Add(signed(`{"alg":"none"}`, `{"_claim_names":{"groups":"s"}}`, []byte("x")))
	f.Add(signed(`{"alg":"EdDSA","crit":["b64"],"b64":false}`, `null`, []byte("x")))
	f.Add(`{"payload":"","signatures":[]}`)
	cfg := Config{Issuer: "https://id.example", Audiences: []string{"sallyport"}}.withDefaults()
	f.Fuzz(func(t *testing.T, token string) {
		headerSegment, payloadSegment, reason := splitToken(token)
		if reason != "" {
			return
		}
		if strings.Count(token, ".") != 2 || strings.ContainsAny(token, " \t\r\n{}\"=") || len(token) > maxTokenBytes {
			t.Fatalf("splitToken passes %q", token)
		}
		h, reason := cfg.parseHeader(headerSegment)
		if reason == "" && kindFor(h.algorithm) == 0 {
			t.Fatalf("parseHeader passes algorithm %q", h.algorithm)
		}
		if reason == "" {
			// What we read in a header is what go-jose, which checks the signature, reads in it.
			jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(h.algorithm)})
			if err == nil && (jws.Signatures[0].Header.Algorithm != h.algorithm || jws.Signatures[0].Header.KeyID != h.keyID) {
				t.Fatalf("read %+v, go-jose reads %+v", h, jws.Signatures[0].Header)
			}
		}
		payload, ok := decodeObject(payloadSegment)
		if !ok {
			return
		}
		c := claims(payload)
		_, _ = c.audience(cfg.Audiences)
		_ = c.checkParty(cfg.AuthorizedParties)
		_, _ = c.groups(cfg.GroupsClaim)
		_ = c.displayName(cfg.NameClaim)
	})
}

// FuzzKeySet: no answer of an issuer panics or leaves a key that could not have been meant for signatures.
func FuzzKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AAAA"},{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"RSA","n":"AQ","e":"AQ"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := parseKeySet(body, defaultAlgorithms())
		if err != nil {
			return
		}
		for _, key := range list {
			if key.kind == 0 || key.key == nil {
				t.Fatalf("kept %+v", key)
			}
		}
	})
}
