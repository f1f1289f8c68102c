// Package authn says who the client is: the identity a mechanism proved, and the ordered rules that choose the mechanism.
//
// Mechanisms live below it, one package each: bytes in, bytes out, no sockets. The session (package gateway) speaks the protocol.
package authn

import (
	"errors"
	"time"
)

// Method names a way to authenticate, in pg_hba.conf's words where it has one.
type Method string

// The methods.
const (
	MethodSCRAM       Method = "scram-sha-256" // with channel binding too
	MethodMD5         Method = "md5"           // for drivers that know no SCRAM
	MethodOIDC        Method = "oidc"          // an OIDC token sent as the password
	MethodOAUTHBEARER Method = "oauthbearer"   // an OIDC token sent by its own SASL mechanism; pg_hba.conf's oauth
	MethodCertificate Method = "cert"          // a client certificate and nothing else
	MethodReject      Method = "reject"

	// Pass-through: the client's own PostgreSQL credential, which the backend checks. Each is a method of its own, so that a rule, a
	// policy and the audit log mean the same by one word.
	MethodPassPassword Method = "pass-through-password"      // the gateway is sent the password, and proves it to the backend
	MethodPassSCRAM    Method = "pass-through-scram-sha-256" // the client proves it, through the gateway
	MethodPassMD5      Method = "pass-through-md5"           // the same by MD5
)

// PassesThrough says that the backend decides whether the client is who it says.
func (m Method) PassesThrough() bool {
	return m == MethodPassPassword || m == MethodPassSCRAM || m == MethodPassMD5
}

// Identity is who a client proved to be. It is a value, complete once returned by a mechanism.
type Identity struct {
	User        string    // the startup user: the account's name
	Method      Method    // how it was proved
	Issuer      string    // the token's issuer, or the certificate's; "" for passwords
	Subject     string    // the token's subject, or the name in the certificate; the user for passwords and in pass-through
	Name        string    // a display name from the token; may be ""
	Groups      []string  // from the token; may be nil
	Certificate string    // the name in the client certificate, if one was part of the proof; "" if none was
	Expires     time.Time // the identity's own end; zero: none
	Token       Token     // what else the token said that its being accepted rests on
	Standing    Standing  // nil: nothing is heard of the identity after its proof
}

// Token says whom a token is for, and whom it was issued to: who takes tokens may come to take others.
type Token struct {
	Audiences []string // aud
	Parties   []string // azp and client_id, as far as they are named
}

// Standing is where to hear what becomes of an identity after its proof.
type Standing interface {
	// Follow has told called, until stop returns: with the groups whenever they are others than the identity's, or than those it was told
	// last; and with an error, once and last, when the identity has come to its end. Calls do not overlap, and must not call stop.
	Follow(told func(groups []string, err error)) (stop func())
}

// WithCertificate is id, proved by another method, and a certificate's identity together: for a Rule that requires both. It ends
// when the first of them ends. Two proofs for two users prove nothing.
func (id Identity) WithCertificate(certificate Identity) (Identity, error) {
	if certificate.Method != MethodCertificate || certificate.Certificate == "" || certificate.User != id.User {
		return Identity{}, errors.New("combine identities: the certificate is not this user's")
	}
	id.Certificate = certificate.Certificate
	if !certificate.Expires.IsZero() && (id.Expires.IsZero() || certificate.Expires.Before(id.Expires)) {
		id.Expires = certificate.Expires
	}
	return id, nil
}
