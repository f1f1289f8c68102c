// Package userlist reads the users that log in with a password from a file in the format of PgBouncer's userlist.txt
// (https://www.pgbouncer.org/config.html#authentication-file-format).
package userlist

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/sallyport/sallyport/authn/scram"
)

// maxFileBytes bounds what is read: some hundred thousand verifiers.
const maxFileBytes = 32 << 20

// Config is what turns secrets into verifiers.
type Config struct {
	// MockSecret is the scram.Server's: it makes the salts of passwords kept in plain text, so that they are the ones shown if
	// the user did not exist.
	MockSecret []byte
	// Iterations is the scram.Server's: the count for passwords kept in plain text. Zero: scram.DefaultIterations.
	Iterations int
}

// Userlist is what a file said, when it was loaded. It never changes and is safe for concurrent use.
type Userlist struct {
	verifiers map[string]scram.Verifier
	warnings  []string
}

// Load reads a file. Anything malformed is an error that names the file and the line, and nothing of the secret.
func Load(path string, cfg Config) (*Userlist, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load userlist: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("load userlist: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("load userlist: %w", err)
	}
	list, err := parse(text, cfg)
	if err != nil {
		return nil, fmt.Errorf("load userlist %s: %w", path, err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		list.warnings = append(list.warnings, fmt.Sprintf("file is open to every user of this machine (mode %04o)", info.Mode().Perm()))
	}
	return list, nil
}

// Lookup finds a user's verifier: the Lookup of scram.Config. Names are compared byte for byte.
func (list *Userlist) Lookup(user string) (scram.Verifier, bool) {
	verifier, ok := list.verifiers[user]
	return verifier, ok
}

// Len is the number of users that can log in.
func (list *Userlist) Len() int { return len(list.verifiers) }

// Warnings tell of entries that were read and cannot be used, and of what weakens the others. They hold no secret.
func (list *Userlist) Warnings() []string { return append([]string(nil), list.warnings...) }

func parse(text []byte, cfg Config) (*Userlist, error) {
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("file is larger than %d bytes", maxFileBytes)
	}
	if cfg.Iterations == 0 {
		cfg.Iterations = scram.DefaultIterations
	}
	list := &Userlist{verifiers: make(map[string]scram.Verifier)}
	seen := make(map[string]int)
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		entry, ok, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if !ok {
			continue
		}
		// PgBouncer takes one of the two; which one is not for chance to decide.
		if first, twice := seen[entry.user]; twice {
			return nil, fmt.Errorf("line %d: user %q is already on line %d", number, entry.user, first)
		}
		seen[entry.user] = number
		if err := list.add(entry, cfg); err != nil {
			return nil, fmt.Errorf("line %d: user %q: %w", number, entry.user, err)
		}
	}
	return list, nil
}

func (list *Userlist) add(entry entry, cfg Config) error {
	switch kindOf(entry.secret) {
	case kindEmpty:
		list.warn(entry, "has no password and cannot log in with one")
		return nil
	case kindMD5:
		list.warn(entry, "has an MD5 secret, which cannot serve scram-sha-256")
		return nil
	case kindPlain:
		verifier, err := scram.NewStableVerifier(cfg.MockSecret, entry.user, entry.secret, cfg.Iterations)
		if err != nil {
			return err
		}
		list.verifiers[entry.user] = verifier
		return nil
	case kindSCRAM:
		verifier, err := scram.ParseVerifier(entry.secret)
		if err != nil {
			return err
		}
		if verifier.Iterations != cfg.Iterations || len(verifier.Salt) != scram.SaltBytes {
			list.warn(entry, "has "+strconv.Itoa(verifier.Iterations)+" iterations and a salt of "+strconv.Itoa(len(verifier.Salt))+
				" bytes, unlike what is shown for users that do not exist: a stranger can tell that this one does")
		}
		list.verifiers[entry.user] = verifier
		return nil
	}
	return errors.New("unknown kind of secret")
}

func (list *Userlist) warn(entry entry, what string) {
	list.warnings = append(list.warnings, fmt.Sprintf("user %q %s", entry.user, what))
}
