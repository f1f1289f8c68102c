package gateway

import (
	"slices"
	"strings"
)

// asPinned says whether a search_path that a client wants is the one it gets: the same schemas in the same order, with or without the
// pg_temp that the gateway puts last. The client is given the gateway's own form of it, so a temporary table shadows nothing either way.
func asPinned(value string, schemas []string) bool {
	wanted, ok := splitIdentifiers(value)
	return ok && (slices.Equal(wanted, schemas) || slices.Equal(wanted, append(slices.Clone(schemas), "pg_temp")))
}

// splitIdentifiers reads a list of identifiers as PostgreSQL reads the value of search_path: parted by commas, with white space around
// them, in lower case unless quoted (SplitIdentifierString in utils/adt/varlena.c). It does not cut what is too long for a name, which is no
// schema's then.
func splitIdentifiers(list string) (names []string, ok bool) {
	rest := strings.TrimLeft(list, identifierSpace)
	if rest == "" {
		return nil, true
	}
	for {
		var name string
		if name, rest, ok = cutIdentifier(rest); !ok {
			return nil, false
		}
		names = append(names, name)
		rest = strings.TrimLeft(rest, identifierSpace)
		if rest == "" {
			return names, true
		}
		if rest, ok = strings.CutPrefix(rest, ","); !ok {
			return nil, false
		}
		rest = strings.TrimLeft(rest, identifierSpace)
	}
}

// identifierSpace is scanner_isspace (parser/scansup.c). PostgreSQL 16 added the vertical tab: what is white space to one release only is
// part of a name here, and of none that is configured.
const identifierSpace = " \t\n\r\f"

// cutIdentifier takes the name off the front. A quoted one ends at a quote that is not doubled.
func cutIdentifier(text string) (name, rest string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text+",", ","+identifierSpace)
		return lowerASCII(text[:end]), text[end:], end > 0
	}
	for rest = text[1:]; ; {
		part, after, closed := strings.Cut(rest, `"`)
		if !closed {
			return "", "", false
		}
		name += part
		if rest, ok = strings.CutPrefix(after, `"`); !ok {
			return name, after, name != ""
		}
		name += `"`
	}
}

// lowerASCII folds a name as PostgreSQL does where a character may have several bytes (downcase_identifier in parser/scansup.c).
func lowerASCII(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}
