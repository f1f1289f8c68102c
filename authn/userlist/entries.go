package userlist

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/authn/scram"
)

// Entries are the lines of a file while Update changes it. Comments, blank lines and the order stay as they are.
type Entries struct {
	lines   []line
	changed bool
}

// line is one line as it stands in the file, and what it says; entry is zero for a comment or a blank line.
type line struct {
	raw   string // with its line break, if it has one
	entry entry
}

// User is what may be shown of an entry.
type User struct {
	Name   string
	Secret string // its kind: "scram-sha-256", "md5", "plain text" or "none"
	Line   int    // one-based
}

// parseEntries reads a file's lines. A user may appear once: PgBouncer takes one of two, and which one is not for chance to decide.
func parseEntries(text []byte) (*Entries, error) {
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("file is larger than %d bytes", maxFileBytes)
	}
	entries := &Entries{}
	seen := make(map[string]int)
	number := 0
	for raw := range strings.Lines(string(text)) {
		number++
		entry, ok, err := parseLine(raw)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if first, twice := seen[entry.user]; ok && twice {
			return nil, fmt.Errorf("line %d: user %q is already on line %d", number, entry.user, first)
		}
		if ok {
			seen[entry.user] = number
		}
		entries.lines = append(entries.lines, line{raw: raw, entry: entry})
	}
	return entries, nil
}

// Users lists the entries in the file's order.
func (e *Entries) Users() []User {
	var users []User
	for i, line := range e.lines {
		if line.entry.user != "" {
			users = append(users, User{Name: line.entry.user, Secret: kindOf(line.entry.secret).String(), Line: i + 1})
		}
	}
	return users
}

// Has tells whether a user has an entry.
func (e *Entries) Has(user string) bool { return e.find(user) >= 0 }

// SetVerifier gives a user a SCRAM verifier in place of whatever it had, or adds it at the end.
func (e *Entries) SetVerifier(user string, verifier scram.Verifier) error {
	secret := verifier.Encode()
	if _, err := scram.ParseVerifier(secret); err != nil {
		return err
	}
	return e.set(entry{user: user, secret: secret})
}

// SetMD5 gives a user an MD5 secret in place of whatever it had, or adds it at the end. It must have been made for this user.
func (e *Entries) SetMD5(user string, secret md5.Secret) error {
	if _, err := md5.ParseSecret(secret.Encode()); err != nil {
		return err
	}
	return e.set(entry{user: user, secret: secret.Encode()})
}

// Remove removes a user's line. It reports whether there was one.
func (e *Entries) Remove(user string) bool {
	i := e.find(user)
	if i < 0 {
		return false
	}
	e.lines = append(e.lines[:i], e.lines[i+1:]...)
	e.changed = true
	return true
}

func (e *Entries) set(entry entry) error {
	if err := entry.validate(); err != nil {
		return err
	}
	if strings.ContainsAny(entry.secret, "\r\n") {
		return errors.New("secret: has a line break")
	}
	text := quote(entry.user) + " " + quote(entry.secret)
	e.changed = true
	if i := e.find(entry.user); i >= 0 {
		e.lines[i] = line{raw: text + lineBreak(e.lines[i].raw), entry: entry}
		return nil
	}
	if last := len(e.lines) - 1; last >= 0 && !strings.HasSuffix(e.lines[last].raw, "\n") {
		e.lines[last].raw += "\n"
	}
	e.lines = append(e.lines, line{raw: text + "\n", entry: entry})
	return nil
}

func (e *Entries) find(user string) int {
	for i, line := range e.lines {
		if user != "" && line.entry.user == user {
			return i
		}
	}
	return -1
}

func (e *Entries) text() []byte {
	var b strings.Builder
	for _, line := range e.lines {
		b.WriteString(line.raw)
	}
	return []byte(b.String())
}

// lineBreak is how a line ends: "\n", "\r\n", or, at the end of the file, without "\n".
func lineBreak(raw string) string { return raw[len(strings.TrimRight(raw, "\r\n")):] }
