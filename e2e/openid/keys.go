package openid

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// keyring holds the keys published in the JWKS; the last one signs.
type keyring struct {
	mu   sync.Mutex
	keys []*key
}

// key is both of what the library asks for: the private half to sign with and
// the public half to publish.
type key struct {
	id      string
	private *ecdsa.PrivateKey
}

func (k *keyring) rotate(keep bool) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !keep {
		k.keys = nil
	}
	k.keys = append(k.keys, &key{id: rand.Text(), private: private})
	return nil
}

func (k *keyring) signing() op.SigningKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	return signingKey{k.keys[len(k.keys)-1]}
}

func (k *keyring) published() []op.Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]op.Key, len(k.keys))
	for i, key := range k.keys {
		out[i] = publicKey{key}
	}
	return out
}

type signingKey struct{ *key }

func (k signingKey) ID() string                                  { return k.id }
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k signingKey) Key() any                                    { return k.private }

type publicKey struct{ *key }

func (k publicKey) ID() string                         { return k.id }
func (k publicKey) Algorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k publicKey) Use() string                        { return "sig" }
func (k publicKey) Key() any                           { return &k.private.PublicKey }
