// Package userlist reads, and changes, the users that log in with a password: a file in the format of PgBouncer's userlist.txt
// (https://www.pgbouncer.org/config.html#authentication-file-format).
package userlist

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"github.com/sallyport/sallyport/authn/md5"
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
	md5       map[string]md5.Secret
	warnings  []string
}

// Load reads a file. Anything malformed is an error that names the file and the line, and nothing of the secret.
func Load(path string, cfg Config) (*Userlist, error) {
	list, _, err := load(path, cfg)
	return list, err
}

// load also returns what was read, which is nil if there was nothing to read.
func load(path string, cfg Config) (*Userlist, fs.FileInfo, error) {
	text, info, err := readFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("load userlist: %w", err)
	}
	list, err := parse(text, cfg)
	if err != nil {
		return nil, info, fmt.Errorf("load userlist %s: %w", path, err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		list.warnings = append(list.warnings, fmt.Sprintf("file is open to every user of this machine (mode %04o)", info.Mode().Perm()))
	}
	return list, info, nil
}

// readFile reads a file and what it is.
func readFile(path string) ([]byte, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	return text, info, err
}

// Lookup finds a user's verifier: the Lookup of scram.Config. Names are compared byte for byte.
func (list *Userlist) Lookup(user string) (scram.Verifier, bool) {
	verifier, ok := list.verifiers[user]
	return verifier, ok
}

// MD5 finds a user's MD5 secret: the Lookup of md5.Config. Users with a SCRAM verifier have none.
func (list *Userlist) MD5(user string) (md5.Secret, bool) {
	secret, ok := list.md5[user]
	return secret, ok
}

// Len is the number of users that can log in by scram-sha-256.
func (list *Userlist) Len() int { return len(list.verifiers) }

// Warnings tell of entries that were read and cannot be used, and of what weakens the others. They hold no secret.
func (list *Userlist) Warnings() []string { return append([]string(nil), list.warnings...) }

func parse(text []byte, cfg Config) (*Userlist, error) {
	entries, err := parseEntries(text)
	if err != nil {
		return nil, err
	}
	if cfg.Iterations == 0 {
		cfg.Iterations = scram.DefaultIterations
	}
	list := &Userlist{verifiers: make(map[string]scram.Verifier), md5: make(map[string]md5.Secret)}
	for i, line := range entries.lines {
		if line.entry.user == "" {
			continue
		}
		if err := list.add(line.entry, cfg); err != nil {
			return nil, fmt.Errorf("line %d: user %q: %w", i+1, line.entry.user, err)
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
		secret, err := md5.ParseSecret(entry.secret)
		if err != nil {
			return err
		}
		list.warn(entry, "has an MD5 secret, which serves md5 and cannot serve scram-sha-256")
		list.md5[entry.user] = secret
		return nil
	case kindPlain:
		return list.addPlain(entry, cfg)
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

// addPlain makes what every method needs of a password.
func (list *Userlist) addPlain(entry entry, cfg Config) error {
	verifier, err := scram.NewStableVerifier(cfg.MockSecret, entry.user, entry.secret, cfg.Iterations)
	if err != nil {
		return err
	}
	secret, err := md5.NewSecret(entry.user, entry.secret)
	if err != nil {
		return err
	}
	list.verifiers[entry.user], list.md5[entry.user] = verifier, secret
	return nil
}

func (list *Userlist) warn(entry entry, what string) {
	list.warnings = append(list.warnings, fmt.Sprintf("user %q %s", entry.user, what))
}
