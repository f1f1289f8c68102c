// Package authn says who the client is: the identity a mechanism proved, and the ordered rules that choose the mechanism.
//
// Mechanisms live below it, one package each: bytes in, bytes out, no sockets. The session (package gateway) speaks the protocol.
package authn

import "time"

// Method names a way to authenticate, in pg_hba.conf's words where it has one.
type Method string

// The methods.
const (
	MethodSCRAM  Method = "scram-sha-256"
	MethodOIDC   Method = "oidc" // an OIDC token sent as the password
	MethodReject Method = "reject"
)

// Identity is who a client proved to be. It is a value, complete once returned by a mechanism.
type Identity struct {
	User    string    // the startup user: the account's name
	Method  Method    // how it was proved
	Issuer  string    // the token's issuer; "" for passwords
	Subject string    // the token's subject; the user for passwords
	Name    string    // a display name from the token; may be ""
	Groups  []string  // from the token; may be nil
	Expires time.Time // the identity's own end; zero: none
}
