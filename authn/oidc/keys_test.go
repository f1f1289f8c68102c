package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
)

func TestParseKeySet(t *testing.T) {
	publicText := func(key jose.JSONWebKey) string { return string(must(json.Marshal(key))) }
	rsaText := publicText(published("rsa", "RS256", &keys().rsa.PublicKey))
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	tests := map[string]struct {
		key  string
		kept bool
	}{
		"RSA":                    {rsaText, true},
		"no alg":                 {strings.Replace(rsaText, `"alg":"RS256",`, "", 1), true},
		"no use":                 {strings.Replace(rsaText, `"use":"sig",`, "", 1), true},
		"no kid":                 {strings.Replace(rsaText, `"kid":"rsa",`, "", 1), true},
		"operation verify":       {strings.Replace(rsaText, "{", `{"key_ops":["verify"],`, 1), true},
		"P-256":                  {publicText(published("ec", "", &keys().ec.PublicKey)), true},
		"Ed25519":                {publicText(published("ed", "", keys().ed.Public())), true},
		"for encryption":         {strings.Replace(rsaText, `"use":"sig"`, `"use":"enc"`, 1), false},
		"operation encrypt":      {strings.Replace(rsaText, "{", `{"key_ops":["encrypt"],`, 1), false},
		"no operation":           {strings.Replace(rsaText, "{", `{"key_ops":[],`, 1), false},
		"operations not a list":  {strings.Replace(rsaText, "{", `{"key_ops":"verify",`, 1), false},
		"alg not configured":     {strings.Replace(rsaText, `"RS256"`, `"RS512"`, 1), false},
		"alg of encryption":      {strings.Replace(rsaText, `"RS256"`, `"RSA-OAEP"`, 1), false},
		"alg of another kind":    {strings.Replace(rsaText, `"RS256"`, `"ES256"`, 1), false},
		"alg HMAC":               {strings.Replace(rsaText, `"RS256"`, `"HS256"`, 1), false},
		"symmetric":              {`{"kty":"oct","kid":"rsa","alg":"HS256","k":"c2VjcmV0"}`, false},
		"symmetric in disguise":  {`{"kty":"oct","kid":"rsa","alg":"RS256","k":"c2VjcmV0"}`, false},
		"private":                {publicText(published("rsa", "RS256", keys().rsa)), false},
		"curve not configured":   {publicText(published("p384", "", &p384.PublicKey)), false},
		"RSA of 64 bits":         {`{"kty":"RSA","kid":"rsa","alg":"RS256","n":"AAAAAAAAAAE","e":"AQAB"}`, false},
		"RSA without a modulus":  {`{"kty":"RSA","kid":"rsa","alg":"RS256","e":"AQAB"}`, false},
		"RSA of 16384 bits":      {`{"kty":"RSA","kid":"rsa","alg":"RS256","n":"_` + strings.Repeat("_", 2730) + `","e":"AQAB"}`, false},
		"point not on the curve": {`{"kty":"EC","crv":"P-256","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"}`, false},
		"short Ed25519":          {`{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, false},
		"unknown kind":           {`{"kty":"XYZ"}`, false},
		"unknown curve":          {`{"kty":"OKP","crv":"X25519","x":"AAAA"}`, false},
		"empty":                  {`{}`, false},
		"null":                   {`null`, false},
		"a string":               {`"x"`, false},
		"member twice":           {strings.Replace(rsaText, "{", `{"kid":"evil",`, 1), false},
		"certificate of another": {strings.Replace(rsaText, "{", `{"x5c":["AAAA"],`, 1), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			// A key that cannot be used is left out; the one beside it stays.
			got, err := parseKeySet([]byte(`{"keys":[`+tt.key+`,`+rsaText+`]}`), defaultAlgorithms())
			if err != nil {
				t.Fatal(err)
			}
			if kept := len(got) == 2; kept != tt.kept || len(got) == 0 {
				t.Errorf("%d keys, want kept %v", len(got), tt.kept)
			}
		})
	}
}

func TestAlgorithmsAndKeys(t *testing.T) {
	kinds := map[string]keyKind{
		"RS256": keyRSA, "RS384": keyRSA, "RS512": keyRSA, "PS256": keyRSA, "PS384": keyRSA, "PS512": keyRSA,
		"ES256": keyP256, "ES384": keyP384, "ES512": keyP521, "EdDSA": keyEd25519,
		"HS256": 0, "HS384": 0, "HS512": 0, "none": 0, "": 0, "rs256": 0, "ES256K": 0, "RSA-OAEP": 0, "dir": 0,
	}
	for algorithm, want := range kinds {
		if got := kindFor(algorithm); got != want {
			t.Errorf("kindFor(%q) = %d, want %d", algorithm, got, want)
		}
		if fits := (publicKey{}).fits(algorithm); fits && want == 0 {
			t.Errorf("a key of no kind fits %q", algorithm)
		}
	}
	if kindOf([]byte("secret")) != 0 || kindOf(keys().rsa) != 0 || kindOf(nil) != 0 {
		t.Error("kindOf takes what is no public key")
	}
}
