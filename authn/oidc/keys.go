package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
)

const (
	// maxKeys: issuers publish a handful; a list of hundreds is not a key set.
	maxKeys = 100
	// minRSABits is the floor of RFC 7518 section 3.3.
	minRSABits = 2048
	// maxRSABits bounds the work of one verification: 8192 bits take about a millisecond.
	maxRSABits = 8192
)

// keyKind is what an algorithm needs of a key.
type keyKind int

const (
	keyRSA keyKind = iota + 1
	keyP256
	keyP384
	keyP521
	keyEd25519
)

// kindFor maps an algorithm (RFC 7518 section 3.1, RFC 8037) to the kind of its keys; zero: unknown. All are asymmetric: with an
// HMAC in the list, the issuer's public key would be the secret.
func kindFor(algorithm string) keyKind {
	switch jose.SignatureAlgorithm(algorithm) {
	case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
		return keyRSA
	case jose.ES256:
		return keyP256
	case jose.ES384:
		return keyP384
	case jose.ES512:
		return keyP521
	case jose.EdDSA:
		return keyEd25519
	}
	return 0
}

func knownAlgorithm(algorithm string) bool { return kindFor(algorithm) != 0 }

// publicKey is one usable key of an issuer.
type publicKey struct {
	id        string // kid; "": none
	algorithm string // "": any that fits its kind
	kind      keyKind
	key       crypto.PublicKey
}

// fits is false for a key of no kind, which would otherwise fit every algorithm that we do not know.
func (k publicKey) fits(algorithm string) bool {
	return k.kind != 0 && k.kind == kindFor(algorithm) && (k.algorithm == "" || k.algorithm == algorithm)
}

// errAmbiguous says that a header fits more than one key.
var errAmbiguous = errors.New("ambiguous key")

// choose finds the one key that a header names: by kid and by what the algorithm needs; without a kid, only if just one fits. The
// key is nil when none does. Trying several keys in turn would let a token choose the weakest.
func choose(keys []publicKey, h header) (crypto.PublicKey, error) {
	var found crypto.PublicKey
	for _, k := range keys {
		if !k.fits(h.algorithm) || (h.keyID != "" && k.id != h.keyID) {
			continue
		}
		if found != nil {
			return nil, errAmbiguous
		}
		found = k.key
	}
	return found, nil
}

// parseKeySet reads a JWK Set (RFC 7517 section 5) and keeps the keys that can verify a signature by one of the algorithms. A key it
// cannot use is left out, as the RFC asks; an empty set is an answer, a set without keys is not.
func parseKeySet(body []byte, algorithms []string) ([]publicKey, error) {
	var set struct {
		Keys *[]josejson.RawMessage `json:"keys"`
	}
	if err := josejson.Unmarshal(body, &set); err != nil || set.Keys == nil {
		return nil, errors.New("decode key set: not a JWK Set")
	}
	if len(*set.Keys) > maxKeys {
		return nil, fmt.Errorf("decode key set: more than %d keys", maxKeys)
	}
	var keys []publicKey
	for _, raw := range *set.Keys {
		if key, ok := parseKey(raw, algorithms); ok {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func parseKey(raw josejson.RawMessage, algorithms []string) (publicKey, bool) {
	var usage struct {
		Operations *[]string `json:"key_ops"`
	}
	var jwk jose.JSONWebKey
	if josejson.Unmarshal(raw, &usage) != nil || jwk.UnmarshalJSON(raw) != nil || !jwk.Valid() || !jwk.IsPublic() {
		return publicKey{}, false
	}
	if (jwk.Use != "" && jwk.Use != "sig") || (usage.Operations != nil && !slices.Contains(*usage.Operations, "verify")) {
		return publicKey{}, false
	}
	key := publicKey{id: jwk.KeyID, algorithm: jwk.Algorithm, kind: kindOf(jwk.Key), key: jwk.Key}
	return key, slices.ContainsFunc(algorithms, key.fits)
}

// kindOf is zero for keys that no algorithm of ours can use.
func kindOf(key crypto.PublicKey) keyKind {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits >= minRSABits && bits <= maxRSABits {
			return keyRSA
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return keyP256
		case elliptic.P384():
			return keyP384
		case elliptic.P521():
			return keyP521
		}
	case ed25519.PublicKey:
		return keyEd25519
	}
	return 0
}
