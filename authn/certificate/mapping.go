package certificate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	spiffeScheme = "spiffe://"
	placeholder  = "{user}"
	anySegment   = "*"
	// maxUserBytes is NAMEDATALEN-1: no startup packet with a longer user is let in.
	maxUserBytes = 63
)

// Kind says where in a certificate a name is.
type Kind string

// The kinds. All but the first are subject alternative names (RFC 5280 section 4.2.1.6).
const (
	CommonName Kind = "cn"     // of the subject; must be the only one
	Email      Kind = "email"  // rfc822Name
	DNS        Kind = "dns"    // dNSName
	URI        Kind = "uri"    // uniformResourceIdentifier, to the byte
	SPIFFE     Kind = "spiffe" // the one URI of an X.509-SVID
)

// Mapping lets a name in a certificate log in as some users: a line of pg_ident.conf.
//
// All authorities that may sign client certificates are trusted for all names. Two SPIFFE trust domains whose authorities do not trust
// each other therefore need a listener each.
type Mapping struct {
	Kind Kind
	// Name is the name, to the byte. With {user} once in its place it is every name of that shape, and the user is what stands there:
	// "{user}", "{user}@example.com", "spiffe://example.com/engineer/{user}". There the user has no @ in an e-mail address, no dot
	// in a DNS name, and is one whole segment of a SPIFFE ID and part of one in another URI. In a SPIFFE ID a segment of the path may
	// be *: any one.
	Name string
	// Users are the accounts. Needed without {user}; with it they narrow whom it may stand for, and empty means anybody.
	Users []string
}

// rule is a Mapping made ready. Its match is called with names of its kind.
type rule struct {
	kind  Kind
	match func(name string) (account func(user string) bool, ok bool)
}

func (m Mapping) compile() (rule, error) {
	errs := []error{m.validateUsers()}
	if err := m.validateName(); err != nil {
		errs = append(errs, err)
	}
	users := slices.Clone(m.Users)
	r := rule{kind: m.Kind}
	r.match = func(name string) (func(string) bool, bool) {
		found, ok := m.user(name)
		return func(user string) bool {
			if user == "" || (found != "" && user != found) {
				return false
			}
			return slices.Contains(users, user) || (found != "" && len(users) == 0)
		}, ok
	}
	return r, errors.Join(errs...)
}

// user compares a certificate's name with the mapping's. found is what stands for {user}; "" without it.
func (m Mapping) user(name string) (found string, ok bool) {
	if m.Kind == SPIFFE {
		return matchSPIFFE(m.Name, name)
	}
	before, after, open := strings.Cut(m.Name, placeholder)
	if !open {
		return "", name == m.Name
	}
	rest, ok1 := strings.CutPrefix(name, before)
	found, ok2 := strings.CutSuffix(rest, after)
	if !ok1 || !ok2 || found == "" || strings.ContainsAny(found, m.Kind.delimiters()) {
		return "", false
	}
	return found, true
}

// delimiters are what {user} does not reach across: behind them begins what the name's issuer meant as something else.
func (k Kind) delimiters() string {
	switch k {
	case Email:
		return "@"
	case DNS:
		return ".*"
	case URI:
		return ":/?#[]@%"
	case CommonName, SPIFFE:
	}
	return ""
}

// matchSPIFFE compares segment by segment. name is a SPIFFE ID.
func matchSPIFFE(pattern, name string) (found string, ok bool) {
	patterns := strings.Split(strings.TrimPrefix(pattern, spiffeScheme), "/")
	segments := strings.Split(strings.TrimPrefix(name, spiffeScheme), "/")
	if len(patterns) != len(segments) {
		return "", false
	}
	for i, segment := range segments {
		switch patterns[i] {
		case placeholder:
			found = segment
		case anySegment:
		case segment:
		default:
			return "", false
		}
	}
	return found, true
}

func (m Mapping) validateUsers() error {
	var errs []error
	if len(m.Users) == 0 && !strings.Contains(m.Name, placeholder) {
		errs = append(errs, fmt.Errorf("no users, and no %s in the name", placeholder))
	}
	for _, user := range m.Users {
		switch {
		case user == "" || len(user) > maxUserBytes || plain(user) == "":
			errs = append(errs, fmt.Errorf("user %q is no name of a user", user))
		case user == "all":
			// In pg_ident.conf it is a keyword. Here a certificate that opens every account is nothing to write by habit.
			errs = append(errs, errors.New(`user "all": name the users`))
		}
	}
	return errors.Join(errs...)
}

func (m Mapping) validateName() error {
	shape := strings.Replace(m.Name, placeholder, "u", 1)
	switch {
	case m.Name == "" || len(m.Name) > maxNameBytes || plain(m.Name) == "":
		return errors.New("name is empty, too long or does not print")
	case strings.ContainsAny(shape, "{}"):
		return fmt.Errorf("name %q: only %s, once, may stand in braces", m.Name, placeholder)
	case strings.Contains(shape, anySegment) && m.Kind != SPIFFE:
		return fmt.Errorf("name %q: %s is for SPIFFE IDs only", m.Name, anySegment)
	}
	switch m.Kind {
	case CommonName:
		return nil
	case Email:
		local, domain, ok := strings.Cut(m.Name, "@")
		if !ok || local == "" || domain == "" || strings.Contains(domain, "@") || strings.Contains(domain, placeholder) {
			return fmt.Errorf("name %q is no e-mail address of a known domain", m.Name)
		}
	case DNS:
		if shape != strings.ToLower(shape) || strings.ContainsAny(shape, " /@:") || strings.HasSuffix(m.Name, placeholder) {
			return fmt.Errorf("name %q is no lower-case DNS name of a known domain", m.Name)
		}
	case URI:
		if before, _, _ := strings.Cut(m.Name, placeholder); !strings.Contains(before, ":") {
			return fmt.Errorf("name %q is no URI of a known scheme", m.Name)
		}
	case SPIFFE:
		return m.validateSPIFFE()
	default:
		return fmt.Errorf("unknown kind %q", m.Kind)
	}
	return nil
}

// validateSPIFFE checks the id that is left when every wildcard stands for something. The trust domain has none: it says who vouches.
func (m Mapping) validateSPIFFE() error {
	segments := strings.Split(strings.TrimPrefix(m.Name, spiffeScheme), "/")
	for i, segment := range segments {
		if i > 0 && (segment == placeholder || segment == anySegment) {
			segments[i] = "x"
		}
	}
	if !strings.HasPrefix(m.Name, spiffeScheme) || !isSPIFFE(spiffeScheme+strings.Join(segments, "/")) {
		return fmt.Errorf("name %q is no SPIFFE ID, with whole segments of its path as %s or %s", m.Name, placeholder, anySegment)
	}
	return nil
}
