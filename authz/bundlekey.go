package authz

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// minRSABits is the least that RFC 7518 (3.3) has RS256 used with.
const minRSABits = 2048

// checkPublicKey finds out now whether a key can verify anything. The bundle's reader would only say so when there is something to verify,
// and would take a private key, which has no business on a gateway.
func checkPublicKey(text, algorithm string) error {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errors.New("bundle public key is not PEM")
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = certificate.PublicKey
		}
	default:
		return fmt.Errorf("bundle public key is a %s, not a PUBLIC KEY", strings.ToLower(block.Type))
	}
	if err != nil {
		return fmt.Errorf("bundle public key: %w", err)
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(algorithm, "ES") {
			return fmt.Errorf("bundle public key is RSA, and the algorithm is %s", algorithm)
		}
		if key.N.BitLen() < minRSABits {
			return fmt.Errorf("bundle public key has %d bits: it must have %d", key.N.BitLen(), minRSABits)
		}
	case *ecdsa.PublicKey:
		if !strings.HasPrefix(algorithm, "ES") {
			return fmt.Errorf("bundle public key is ECDSA, and the algorithm is %s", algorithm)
		}
	default:
		return errors.New("bundle public key is neither RSA nor ECDSA")
	}
	return nil
}
