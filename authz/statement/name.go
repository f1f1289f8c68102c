package statement

import (
	"strings"
	"unicode/utf8"
)

// splitName splits a dotted name in a string constant as SplitIdentifierString does (src/backend/utils/adt/varlena.c): white space around
// parts, quoted parts as they are, others folded to lower case, all cut to what a name may be long. Not ok: an oid, or not a name.
func splitName(text string) (parts []string, ok bool) {
	rest := strings.TrimLeft(text, spaces)
	if rest == "" || rest == "-" || strings.Trim(rest, "0123456789") == "" {
		return nil, false
	}
	for {
		var part string
		if part, rest, ok = namePart(rest); !ok {
			return nil, false
		}
		parts = append(parts, truncate(part))
		rest = strings.TrimLeft(rest, spaces)
		if rest == "" {
			return parts, true
		}
		if rest[0] != '.' {
			return nil, false
		}
		rest = strings.TrimLeft(rest[1:], spaces)
	}
}

// spaces are what PostgreSQL's scanner_isspace takes for white space.
const spaces = " \t\n\r\f\v"

func namePart(text string) (part, rest string, ok bool) {
	if strings.HasPrefix(text, `"`) {
		return quotedPart(text[1:])
	}
	end := strings.IndexAny(text, "."+spaces)
	if end < 0 {
		end = len(text)
	}
	if end == 0 {
		return "", "", false
	}
	return fold(text[:end]), text[end:], true
}

// quotedPart reads to the closing quote; a doubled one stands for itself.
func quotedPart(text string) (part, rest string, ok bool) {
	var b strings.Builder
	for {
		end := strings.IndexByte(text, '"')
		if end < 0 {
			return "", "", false
		}
		b.WriteString(text[:end])
		text = text[end+1:]
		if !strings.HasPrefix(text, `"`) {
			return b.String(), text, true
		}
		b.WriteByte('"')
		text = text[1:]
	}
}

// fold lowers ASCII letters, as PostgreSQL does with names in a multi-byte encoding (downcase_identifier in scansup.c).
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// truncate cuts a name to NAMEDATALEN - 1 bytes at a character's boundary.
func truncate(name string) string {
	if len(name) < nameLength {
		return name
	}
	end := nameLength - 1
	for !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}
