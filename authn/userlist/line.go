package userlist

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// maxUserBytes is NAMEDATALEN-1: no startup packet with a longer user is let in, so a longer one here is a mistake.
	maxUserBytes = 63
	// maxSecretBytes is PgBouncer's MAX_PASSWORD less its NUL; libpq and PostgreSQL cut nothing shorter than that.
	maxSecretBytes = 2047
)

// entry is one line. It holds a secret and is never printed.
type entry struct {
	user   string
	secret string
}

// parseLine reads `"user" "secret"`. ok is false for a blank line and for a comment, which begins with a semicolon. A quote inside
// the quotes is written twice. PgBouncer ignores what follows the second field; here it is an error, for it is most often the
// rest of a password with a quote in it.
func parseLine(line string) (e entry, ok bool, err error) {
	line = strings.TrimRight(line, "\r\n")
	rest := strings.TrimLeft(line, " \t")
	if rest == "" || rest[0] == ';' {
		return entry{}, false, nil
	}
	if e.user, rest, err = quoted(rest); err != nil {
		return entry{}, false, fmt.Errorf("user: %w", err)
	}
	trimmed := strings.TrimLeft(rest, " \t")
	if len(trimmed) == len(rest) {
		return entry{}, false, errors.New("no blank between user and secret")
	}
	if e.secret, rest, err = quoted(trimmed); err != nil {
		return entry{}, false, fmt.Errorf("secret: %w", err)
	}
	if strings.Trim(rest, " \t") != "" {
		return entry{}, false, errors.New("unexpected text after the secret")
	}
	return e, true, e.validate()
}

func (e entry) validate() error {
	switch {
	case e.user == "":
		return errors.New("user: empty")
	case len(e.user) > maxUserBytes:
		return fmt.Errorf("user: longer than %d bytes", maxUserBytes)
	case len(e.secret) > maxSecretBytes:
		return fmt.Errorf("secret: longer than %d bytes", maxSecretBytes)
	case !isText(e.user):
		return errors.New("user: not valid text")
	case strings.IndexByte(e.secret, 0) >= 0:
		return errors.New("secret: has a NUL")
	}
	return nil
}

// quoted takes a field in double quotes off the beginning of text.
func quoted(text string) (field, rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		return "", "", errors.New("must be in double quotes")
	}
	text = text[1:]
	var b strings.Builder
	for {
		end := strings.IndexByte(text, '"')
		if end < 0 {
			return "", "", errors.New("closing quote missing")
		}
		b.WriteString(text[:end])
		text = text[end+1:]
		if !strings.HasPrefix(text, `"`) {
			return b.String(), text, nil
		}
		b.WriteByte('"')
		text = text[1:]
	}
}

// quote is quoted's inverse.
func quote(field string) string { return `"` + strings.ReplaceAll(field, `"`, `""`) + `"` }

func isText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

type kind int

const (
	kindEmpty kind = iota
	kindPlain
	kindMD5
	kindSCRAM
)

func (k kind) String() string {
	switch k {
	case kindSCRAM:
		return "scram-sha-256"
	case kindMD5:
		return "md5"
	case kindPlain:
		return "plain text"
	case kindEmpty:
	}
	return "none"
}

// kindOf tells what a secret is, as get_password_type does (src/backend/libpq/crypt.c), but for a broken SCRAM verifier:
// PostgreSQL takes that for a password in plain text, which would let in whoever read the file.
func kindOf(secret string) kind {
	switch {
	case secret == "":
		return kindEmpty
	case strings.HasPrefix(secret, "SCRAM-SHA-256$"):
		return kindSCRAM
	case len(secret) == 35 && strings.HasPrefix(secret, "md5") && strings.Trim(secret[3:], "0123456789abcdef") == "":
		return kindMD5
	default:
		return kindPlain
	}
}
