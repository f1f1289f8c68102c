package certificate

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxNames bounds what a login compares: a certificate has a handful, and the handshake would let in some ten thousand.
	maxNames = 100
	// maxNameBytes is the X509-SVID standard's bound on a SPIFFE ID (section 2.3 of SPIFFE-ID); others are shorter.
	maxNameBytes = 2048

	tagURI = 6 // uniformResourceIdentifier in GeneralName, RFC 5280 section 4.2.1.6
)

// namesOf lists a certificate's names of a kind. What could mean more than it shows is no name: an ambiguous subject, a name with
// characters that do not print, too many of them.
func namesOf(leaf *x509.Certificate, kind Kind) []string {
	var names []string
	switch kind {
	case CommonName:
		names = commonNames(leaf)
	case Email:
		names = leaf.EmailAddresses
	case DNS:
		names = leaf.DNSNames
	case URI:
		names = uris(leaf)
	case SPIFFE:
		// An X.509-SVID has one URI and it is the id (X509-SVID section 2).
		if names = uris(leaf); len(names) != 1 || !isSPIFFE(names[0]) {
			return nil
		}
	}
	if len(names) > maxNames {
		return nil
	}
	var usable []string
	for _, name := range names {
		if len(name) <= maxNameBytes && plain(name) != "" {
			usable = append(usable, name)
		}
	}
	return usable
}

// commonNames lists the subject's common names, unless there are several: which of them counts is for no library to decide.
func commonNames(leaf *x509.Certificate) []string {
	var names []string
	for _, attribute := range leaf.Subject.Names {
		if attribute.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
			name, _ := attribute.Value.(string)
			names = append(names, name)
		}
	}
	if len(names) != 1 {
		return nil
	}
	return names
}

// uris lists the URIs as they are written. leaf.URIs are parsed: printed again, two that differ may look the same.
func uris(leaf *x509.Certificate) []string {
	var names []string
	for _, extension := range leaf.Extensions {
		if !extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var general []asn1.RawValue
		if rest, err := asn1.Unmarshal(extension.Value, &general); err != nil || len(rest) != 0 {
			return nil
		}
		for _, name := range general {
			if name.Class == asn1.ClassContextSpecific && name.Tag == tagURI && !name.IsCompound {
				names = append(names, string(name.Bytes))
			}
		}
	}
	return names
}

// plain returns text if all of it prints, else "": it ends up in logs and audit events.
func plain(text string) string {
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return text
}

// isSPIFFE tells whether a URI is a workload's SPIFFE ID (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md,
// section 2): spiffe://trust-domain/path, and nothing that a URI may have besides. A trust domain without a path is an authority's.
func isSPIFFE(uri string) bool {
	rest, ok := strings.CutPrefix(uri, spiffeScheme)
	if !ok || len(uri) > maxNameBytes {
		return false
	}
	segments := strings.Split(rest, "/")
	if len(segments) < 2 || !isTrustDomain(segments[0]) {
		return false
	}
	for _, segment := range segments[1:] {
		if !isPathSegment(segment) {
			return false
		}
	}
	return true
}

// isTrustDomain is section 2.1: lower-case letters, digits, dots, dashes and underscores, at most 255.
func isTrustDomain(text string) bool {
	return text != "" && len(text) <= 255 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}

// isPathSegment is section 2.2: letters, digits, dots, dashes and underscores, but no segment that climbs.
func isPathSegment(text string) bool {
	return text != "" && text != "." && text != ".." &&
		strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == ""
}
