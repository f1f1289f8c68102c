package authn

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"unicode/utf8"
)

// anyone is pg_hba.conf's keyword for every user or every database.
const anyone = "all"

// maxNameBytes is NAMEDATALEN-1. PostgreSQL truncates longer names, so a rule about one could never mean what it says.
const maxNameBytes = 63

// Rule chooses the method for the connections it matches, as a line of pg_hba.conf does
// (https://www.postgresql.org/docs/current/auth-pg-hba-conf.html). Names are compared byte for byte; there are no groups,
// no patterns and no case folding.
type Rule struct {
	Method    Method
	Users     []string       // empty or "all": any
	Databases []string       // empty or "all": any
	Sources   []netip.Prefix // empty: any
	Issuer    string         // of the tokens accepted; only for MethodOIDC and MethodOAUTHBEARER

	// Certificate demands a client certificate that maps to the user, besides what the method demands: pg_hba.conf's
	// clientcert=verify-full.
	Certificate bool
}

// Rules are tried in order; the first that matches decides, and no other is tried after it fails.
type Rules []Rule

// Match returns the first rule for a connection. ok is false when none matches, which means: refuse, as pg_hba.conf does.
//
// The source is the peer's address. An IPv4 address in IPv6 clothes counts as IPv4 and a zone is ignored; both would otherwise
// slip past a rule that rejects their prefix. The zero Addr matches nothing, not even a rule for any source: who cannot be
// placed must not pass by the rules that reject a place.
func (rules Rules) Match(user, database string, source netip.Addr) (rule Rule, ok bool) {
	if !source.IsValid() {
		return Rule{}, false
	}
	source = source.Unmap().WithZone("")
	for _, rule := range rules {
		if names(rule.Users, user) && names(rule.Databases, database) && contains(rule.Sources, source) {
			return rule, true
		}
	}
	return Rule{}, false
}

// Validate reports everything that is wrong with the rules at once: an unknown method, a name or prefix that cannot match,
// an issuer or a certificate where none belongs, a rule that is never reached, or no rule at all.
func (rules Rules) Validate() error {
	if len(rules) == 0 {
		return errors.New("no authentication rules: nobody could connect")
	}
	var errs []error
	catchAll := 0 // one-based; 0: none yet
	for i, rule := range rules {
		if err := rule.validate(); err != nil {
			errs = append(errs, fmt.Errorf("rule %d: %w", i+1, err))
		}
		// A reject line written below a line for everyone looks like protection and is none.
		if catchAll != 0 {
			errs = append(errs, fmt.Errorf("rule %d: never reached: rule %d matches every connection", i+1, catchAll))
		} else if rule.matchesEverything() {
			catchAll = i + 1
		}
	}
	return errors.Join(errs...)
}

// besides is what else is to be said of a way to pass a credential through.
func besides(method Method) string {
	switch method {
	case MethodPassPassword:
		return "; the gateway sees it"
	case MethodPassMD5:
		return "; what PostgreSQL stores for it is all that a login needs"
	}
	return ""
}

// Warnings tell of rules that do what they say and had better not.
func (rules Rules) Warnings() []string {
	var warnings []string
	for i, rule := range rules {
		switch {
		case rule.Method == MethodMD5:
			warnings = append(warnings, fmt.Sprintf("rule %d: method %q: what the userlist stores for it is all that a login needs, "+
				"and PostgreSQL is giving it up: use %q for every driver that knows it", i+1, MethodMD5, MethodSCRAM))
		case rule.Method.PassesThrough():
			warnings = append(warnings, fmt.Sprintf("rule %d: method %q is the weakest there is: people keep a database password, which works "+
				"without the gateway wherever pg_hba.conf lets it, and no lease ends what it opens%s", i+1, rule.Method, besides(rule.Method)))
		}
	}
	return warnings
}

func (rule Rule) validate() error {
	errs := []error{validateMethod(rule), validateNames("user", rule.Users), validateNames("database", rule.Databases)}
	for _, prefix := range rule.Sources {
		errs = append(errs, validateSource(prefix))
	}
	return errors.Join(errs...)
}

func validateMethod(rule Rule) error {
	switch rule.Method {
	case MethodSCRAM, MethodMD5, MethodCertificate, MethodReject, MethodPassPassword, MethodPassSCRAM, MethodPassMD5:
		if rule.Issuer != "" {
			return fmt.Errorf("method %q takes no issuer", rule.Method)
		}
	case MethodOIDC, MethodOAUTHBEARER:
		if rule.Issuer == "" {
			return fmt.Errorf("method %q needs an issuer", rule.Method)
		}
	default:
		return fmt.Errorf("unknown method %q", rule.Method)
	}
	// A rule that says twice what it means may have been meant to say something else.
	if rule.Certificate && (rule.Method == MethodCertificate || rule.Method == MethodReject) {
		return fmt.Errorf("method %q takes no certificate requirement", rule.Method)
	}
	return nil
}

func validateNames(kind string, list []string) error {
	var errs []error
	for _, name := range list {
		switch {
		case name == "":
			errs = append(errs, fmt.Errorf("empty %s name", kind))
		case len(name) > maxNameBytes:
			errs = append(errs, fmt.Errorf("%s name %q is longer than %d bytes", kind, name, maxNameBytes))
		case !utf8.ValidString(name) || slices.Contains([]byte(name), 0):
			errs = append(errs, fmt.Errorf("%s name %q is not valid text", kind, name))
		case name == anyone && len(list) > 1:
			errs = append(errs, fmt.Errorf("%q beside other %s names", anyone, kind))
		}
	}
	return errors.Join(errs...)
}

// validateSource refuses prefixes that never match, or match other than what they look like.
func validateSource(prefix netip.Prefix) error {
	switch {
	case !prefix.IsValid():
		return errors.New("invalid source prefix")
	case prefix.Addr().Is4In6():
		return fmt.Errorf("source %s: write an IPv4 prefix as IPv4", prefix)
	case prefix != prefix.Masked():
		return fmt.Errorf("source %s has bits set beyond its length: write %s", prefix, prefix.Masked())
	}
	return nil
}

func (rule Rule) matchesEverything() bool {
	return matchesAnyName(rule.Users) && matchesAnyName(rule.Databases) && len(rule.Sources) == 0
}

func matchesAnyName(list []string) bool {
	return len(list) == 0 || (len(list) == 1 && list[0] == anyone)
}

func names(list []string, name string) bool {
	return matchesAnyName(list) || slices.Contains(list, name)
}

func contains(prefixes []netip.Prefix, address netip.Addr) bool {
	if len(prefixes) == 0 {
		return true
	}
	return slices.ContainsFunc(prefixes, func(prefix netip.Prefix) bool { return prefix.Contains(address) })
}
