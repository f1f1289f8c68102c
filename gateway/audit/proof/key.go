package proof

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// maxKeyBytes bounds a file with a key.
const maxKeyBytes = 4 << 10

// Key signs checkpoints. Its name is the log's origin: it should be one that no other log has.
type Key struct{ signer note.Signer }

// Name is the name of the key and the origin of its log.
func (k *Key) Name() string { return k.signer.Name() }

// ID tells keys of one name apart: the name, "+" and the hash, with which the public half begins.
func (k *Key) ID() string { return fmt.Sprintf("%s+%08x", k.signer.Name(), k.signer.KeyHash()) }

// GenerateKey makes a key and returns its encodings: what Key reads, and what Verifiers read.
func GenerateKey(name string) (private, public string, err error) {
	if err := checkName(name); err != nil {
		return "", "", err
	}
	return note.GenerateKey(rand.Reader, name)
}

// checkName keeps what JSON would escape out of names, beside what notes exclude.
func checkName(name string) error {
	if name == "" {
		return errors.New("a key needs a name")
	}
	for _, c := range name {
		if c <= ' ' || c > '~' || strings.ContainsRune(`"\+<>&`, c) {
			return fmt.Errorf("a key's name cannot have %q in it", c)
		}
	}
	return nil
}

// ReadKey reads a key from the file that holds it. Errors do not show what is in the file.
func ReadKey(path string) (*Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular() || info.Size() > maxKeyBytes:
		return nil, fmt.Errorf("%s is not a file with a key", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s is open to others (mode %#o): chmod 0600", path, info.Mode().Perm())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(content)))
	if err != nil || checkName(signer.Name()) != nil {
		return nil, fmt.Errorf("%s does not hold a key that signs checkpoints", path)
	}
	return &Key{signer}, nil
}

// Verifiers are the public keys that checkpoints may be signed by.
type Verifiers struct {
	list   note.Verifiers
	hashes []uint32 // in the order of the keys
}

// NewVerifiers makes Verifiers of public keys as GenerateKey encodes them, of one log after the other: once a key has signed, those before
// it sign nothing any more.
func NewVerifiers(keys ...string) (*Verifiers, error) {
	var list []note.Verifier
	var hashes []uint32
	for _, key := range keys {
		v, err := note.NewVerifier(strings.TrimSpace(key))
		if err != nil {
			return nil, fmt.Errorf("%q is not a public key: %w", key, err)
		}
		list, hashes = append(list, v), append(hashes, v.KeyHash())
	}
	return &Verifiers{note.VerifierList(list...), hashes}, nil
}
