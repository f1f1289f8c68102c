// Package operators says who may use the gateway's control API, and for what: holders of a token of an OpenID issuer that says the right
// thing of them, of a client certificate with the right name, or of the one token that the configuration names. No sockets.
//
// Whoever fits no rule is nobody here, whatever it has proved.
package operators

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/authn/certificate"
	"github.com/sallyport/sallyport/authn/oidc"
)

var (
	// ErrUnknown says that nothing was shown, or nothing that is good. Nobody hears why.
	ErrUnknown = errors.New("a valid bearer token or client certificate is required")
	// ErrForbidden says that somebody is known, and is no operator.
	ErrForbidden = errors.New("no operator")
	// ErrUnavailable says that a token cannot be judged now.
	ErrUnavailable = oidc.ErrUnavailable
)

// Role is what an operator may do. The greater one may do what the lesser may.
type Role uint8

// The roles.
const (
	RoleNone Role = iota
	RoleRead      // see who is connected and who is refused
	RoleAct       // end sessions, refuse identities
)

// Method is how an operator has proved who it is.
type Method string

// The methods.
const (
	MethodOIDC        Method = "oidc"
	MethodCertificate Method = "cert"
	MethodToken       Method = "token" // the shared one: whoever has it
)

// Operator is somebody who may use the control API. Of the shared token's holders nothing is known but that they hold it.
type Operator struct {
	Role    Role
	Method  Method
	Issuer  string // the token's, or the certificate's
	Subject string // the token's, or the name in the certificate
	Name    string // for people to read: the token's user claim or name, or the name in the certificate; may be ""
}

// Rule lets somebody in. Either Issuer is set, or Certificate.
type Rule struct {
	Role   Role
	Issuer string   // the name of an issuer; then Groups, Claim or both say who of its people
	Groups []string // one of these must be among the token's
	Claim  string   // a claim that must be Value, or a list with it
	Value  string

	Certificate certificate.Kind // where the name is; "": no certificate
	CertName    string           // to the byte; in a SPIFFE ID a segment of the path may be *
}

// Config is what New needs. It is copied.
type Config struct {
	Token   string                    // the shared token, whose role is RoleRead; "": there is none
	Rules   []Rule                    // any of them will do; the greatest role counts
	Issuers map[string]*oidc.Verifier // by the names that rules use: verifiers of tokens for this very purpose
}

// Authority knows the operators. It is safe for concurrent use.
type Authority struct {
	token  [sha256.Size]byte
	shared bool
	rules  []rule
	asked  []*oidc.Verifier // each once
}

// rule is a Rule made ready.
type rule struct {
	Rule
	verifier *oidc.Verifier
	mapper   *certificate.Mapper
}

// account is what a certificate's name is mapped to: any word will do.
const account = "operator"

// New checks cfg, reports everything that is wrong with it at once, and returns an Authority.
func New(cfg Config) (*Authority, error) {
	a := &Authority{token: sha256.Sum256([]byte(cfg.Token)), shared: cfg.Token != ""}
	var errs []error
	for i, r := range cfg.Rules {
		compiled, err := compile(r, cfg.Issuers)
		if err != nil {
			errs = append(errs, fmt.Errorf("operator %d: %w", i+1, err))
			continue
		}
		a.rules = append(a.rules, compiled)
		if v := compiled.verifier; v != nil && !slices.Contains(a.asked, v) {
			a.asked = append(a.asked, v)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return a, nil
}

func compile(r Rule, issuers map[string]*oidc.Verifier) (c rule, err error) {
	c = rule{Rule: r, verifier: issuers[r.Issuer]}
	switch {
	case r.Role != RoleRead && r.Role != RoleAct:
		return c, errors.New("no role")
	case (r.Issuer == "") == (r.Certificate == ""):
		return c, errors.New("either issuer, or the kind and name of a certificate")
	case (r.Claim == "") != (r.Value == ""):
		return c, errors.New("claim and value go together")
	case strings.ContainsAny(r.CertName, "{}"):
		return c, fmt.Errorf("name %q: an operator is named in full, {user} stands for nobody", r.CertName)
	case r.Certificate != "":
		c.mapper, err = certificate.New(certificate.Config{
			Mappings: []certificate.Mapping{{Kind: r.Certificate, Name: r.CertName, Users: []string{account}}},
		})
		return c, err
	case c.verifier == nil:
		return c, fmt.Errorf("unknown issuer %q", r.Issuer)
	case len(r.Groups) == 0 && r.Claim == "":
		return c, errors.New("neither groups nor claim: everybody of the issuer would be an operator")
	case slices.Contains(r.Groups, ""):
		return c, errors.New("empty group")
	}
	return c, nil
}

// ByToken is who holds a bearer token.
func (a *Authority) ByToken(ctx context.Context, token string) (Operator, error) {
	sum := sha256.Sum256([]byte(token)) // digests have one length: comparing them tells nothing about the token's
	if same := subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1; same && a.shared {
		return Operator{Role: RoleRead, Method: MethodToken}, nil
	}
	for _, v := range a.asked {
		if !v.Issued(token) {
			continue
		}
		bearer, err := v.Identify(ctx, token)
		if errors.Is(err, oidc.ErrRejected) {
			err = errors.Join(ErrUnknown, err)
		}
		if err != nil {
			return Operator{}, err
		}
		return a.bearer(v, bearer)
	}
	return Operator{}, ErrUnknown
}

// bearer gives the holder of a good token the greatest role of the rules that fit.
func (a *Authority) bearer(v *oidc.Verifier, b oidc.Bearer) (Operator, error) {
	o := Operator{Method: MethodOIDC, Issuer: b.Issuer, Subject: b.Subject, Name: b.User}
	if o.Name == "" {
		o.Name = b.Name
	}
	for _, r := range a.rules {
		if r.verifier == v && r.fits(b) {
			o.Role = max(o.Role, r.Role)
		}
	}
	return o.known()
}

func (r Rule) fits(b oidc.Bearer) bool {
	inGroup := len(r.Groups) == 0 || slices.ContainsFunc(r.Groups, func(g string) bool { return slices.Contains(b.Groups, g) })
	return inGroup && (r.Claim == "" || b.Has(r.Claim, r.Value))
}

// ByCertificate is who has shown a certificate. chains is tls.ConnectionState's VerifiedChains and nothing else.
func (a *Authority) ByCertificate(chains [][]*x509.Certificate) (Operator, error) {
	var o Operator
	for _, r := range a.rules {
		if r.mapper == nil {
			continue
		}
		identity, err := r.mapper.Verify(chains, account)
		if err == nil && r.Role > o.Role {
			o = Operator{
				Role: r.Role, Method: MethodCertificate, Issuer: identity.Issuer, Subject: identity.Certificate, Name: identity.Certificate,
			}
		}
	}
	if len(chains) == 0 {
		return o, ErrUnknown
	}
	if o.Role == RoleNone && len(chains[0]) > 0 {
		o = Operator{Method: MethodCertificate, Issuer: chains[0][0].Issuer.String(), Subject: chains[0][0].Subject.String()}
	}
	return o.known()
}

// known says whether an operator may do anything. Who may not is returned all the same, for the log.
func (o Operator) known() (Operator, error) {
	if o.Role == RoleNone {
		return o, ErrForbidden
	}
	return o, nil
}
