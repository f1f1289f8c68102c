package credentials

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
)

// Account is a database user that is there already.
type Account struct {
	User         string
	PasswordFile string // read at each login; nobody but its owner and group may read it
}

// Static gives sessions the credentials of database users that an operator has made, and that all sessions of a role share. Nothing is
// issued, renewed or revoked: who learns one has it until somebody changes the password.
type Static struct {
	accounts map[string]Account
	unleased
}

// NewStatic makes a Static of the accounts, by the role that Take is asked for. It reads no file.
func NewStatic(accounts map[string]Account) *Static {
	return &Static{maps.Clone(accounts), unleased{SourceStatic}}
}

// Take reads the account's password. The lease has no id and no end.
func (s *Static) Take(_ context.Context, role string) (Lease, error) {
	const op = "read static credential"
	account, ok := s.accounts[role]
	if !ok {
		return Lease{}, &Error{Source: SourceStatic, Kind: Refused, Op: op, Err: fmt.Errorf("there is no account for %q", role)}
	}
	password, err := account.password()
	if err != nil {
		return Lease{}, &Error{Source: SourceStatic, Kind: Refused, Op: op, Err: err}
	}
	return Lease{Source: SourceStatic, Username: account.User, Password: password}, nil
}

// Issue is Take.
func (s *Static) Issue(ctx context.Context, role string) (Lease, error) { return s.Take(ctx, role) }

// Ready returns nil if every account's password can be read.
func (s *Static) Ready() error {
	var errs []error
	for _, role := range slices.Sorted(maps.Keys(s.accounts)) {
		_, err := s.accounts[role].password()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (a Account) password() (string, error) {
	info, err := os.Stat(a.PasswordFile)
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return "", fmt.Errorf("%s is open to every user of this machine (mode %04o): chmod 0600", a.PasswordFile, mode)
	}
	return readSecret(a.PasswordFile)
}
