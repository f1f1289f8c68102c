package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/sallyport/sallyport/authn/md5"
	"github.com/sallyport/sallyport/authn/scram"
	"github.com/sallyport/sallyport/authn/userlist"
	"github.com/sallyport/sallyport/gateway/config"
)

const userUsage = `usage: sallyport user <command> [flags] [name]

  add       add a user with a password
  passwd    give a user another password
  rm        remove a user
  list      list the users and what is kept of their passwords

The users are those of --userlist, or of the userlist that the configuration names. A running gateway reads the file again when it
changes. Passwords are asked for on the terminal; they are never arguments, which everybody on this machine can see.

sallyport user <command> -h prints the flags of a command.
`

// userCommand is one call of "sallyport user".
type userCommand struct {
	name           string // of the command
	flags          *flag.FlagSet
	config         string
	userlist       string
	iterations     int
	source         passwordSource
	md5            bool
	stdin          io.Reader
	stdout, stderr io.Writer
}

// user changes the userlist.
func user(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, userUsage)
		return exitUsage
	}
	u := &userCommand{name: args[0], stdin: stdin, stdout: stdout, stderr: stderr}
	run := u.remove
	names := 1
	switch u.name {
	case "add":
		run = func(user string) error { return u.setPassword(user, false) }
	case "passwd":
		run = func(user string) error { return u.setPassword(user, true) }
	case "rm":
	case "list":
		run, names = func(string) error { return u.list() }, 0
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, userUsage)
		return exitOK
	default:
		fmt.Fprintf(stderr, "sallyport user: there is no command %q\n\n%s", u.name, userUsage)
		return exitUsage
	}
	u.define()
	given, status, ok := u.parse(args[1:], names)
	if !ok {
		return status
	}
	if err := u.find(); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	if err := run(given); err != nil {
		fmt.Fprintf(stderr, "sallyport user %s: %v\n", u.name, err)
		return exitFailure
	}
	return exitOK
}

// define defines the flags of the command.
func (u *userCommand) define() {
	u.flags = flag.NewFlagSet("user "+u.name, flag.ContinueOnError)
	u.flags.SetOutput(u.stderr)
	u.flags.StringVar(&u.config, "config", defaultConfig, "the configuration `file` that names the userlist")
	u.flags.StringVar(&u.userlist, "userlist", "", "the userlist `file`, instead of --config")
	if u.name != "add" && u.name != "passwd" {
		return
	}
	u.flags.BoolVar(&u.source.stdin, "stdin", false, "read the password from standard input: one line")
	u.flags.BoolVar(&u.source.generate, "generate", false, "make a random password and print it, once")
	u.flags.BoolVar(&u.md5, "md5", false, "keep an MD5 secret, for drivers that know nothing better; the user cannot use scram-sha-256")
	u.flags.IntVar(&u.iterations, "iterations", 0, "`count` of the SCRAM verifier (default: the configuration's, else 4096)")
}

// parse takes the flags, before and behind the name. An argument that is too many is not repeated: it may be a password.
func (u *userCommand) parse(args []string, names int) (name string, status int, ok bool) {
	var given []string
	for {
		switch err := u.flags.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return "", exitOK, false
		case err != nil:
			return "", exitUsage, false
		}
		if u.flags.NArg() == 0 {
			break
		}
		given, args = append(given, u.flags.Arg(0)), u.flags.Args()[1:]
	}
	set := make(map[string]bool)
	u.flags.Visit(func(f *flag.Flag) { set[f.Name] = true })
	problem := ""
	switch {
	case len(given) < names:
		problem = "the user's name is missing"
	case len(given) > names && names == 1:
		problem = "more than one argument: a password is never one, for everybody on this machine can see it"
	case len(given) > names:
		problem = "takes no arguments"
	case set["config"] && set["userlist"]:
		problem = "--config and --userlist exclude each other"
	case u.source.stdin && u.source.generate:
		problem = "--stdin and --generate exclude each other"
	case u.md5 && set["iterations"]:
		problem = "--iterations means nothing to --md5"
	case set["iterations"] && (u.iterations < minIterations || u.iterations > maxIterations):
		problem = fmt.Sprintf("--iterations must be %d to %d", minIterations, maxIterations)
	}
	if problem != "" {
		fmt.Fprintf(u.stderr, "sallyport user %s: %s\n", u.name, problem)
		return "", exitUsage, false
	}
	if names == 1 {
		name = given[0]
	}
	return name, exitOK, true
}

// The counts that authentication.scram.iterations may have.
const (
	minIterations = 4096
	maxIterations = 1_000_000
)

// find asks the configuration for what the flags do not say.
func (u *userCommand) find() error {
	if u.userlist == "" {
		c, err := config.Load(u.config, os.Environ())
		if err != nil {
			return err
		}
		if c.Authentication.Userlist == "" {
			return c.Problem("authentication.userlist", errors.New("is not set: there is no file to keep users in"))
		}
		u.userlist = c.Authentication.Userlist
		if u.iterations == 0 {
			u.iterations = c.Authentication.Iterations
		}
	}
	if u.iterations == 0 {
		u.iterations = scram.DefaultIterations
	}
	return nil
}

// setPassword adds a user, or changes one. It looks before it asks, so that nobody types a password for nothing, and again when the
// file is locked.
func (u *userCommand) setPassword(user string, exists bool) error {
	fits := func(e *userlist.Entries) error {
		switch {
		case exists && !e.Has(user):
			return fmt.Errorf("there is no user %q in %s: add it", user, u.userlist)
		case !exists && e.Has(user):
			return fmt.Errorf("user %q is already in %s: change its password with passwd", user, u.userlist)
		}
		return nil
	}
	if err := userlist.Update(u.userlist, fits); err != nil {
		return err
	}
	password, err := u.source.read(user, u.stdin)
	if err != nil {
		return err
	}
	set, err := u.secret(user, password)
	if err != nil {
		return err
	}
	if err := userlist.Update(u.userlist, func(e *userlist.Entries) error { return errors.Join(fits(e), set(e)) }); err != nil {
		return err
	}
	if u.md5 {
		fmt.Fprintf(u.stderr, "warning: whoever reads %s can log in as %q with its MD5 secret, without knowing the password\n", u.userlist, user)
	}
	if u.source.generate {
		fmt.Fprintln(u.stdout, password)
	}
	return nil
}

// secret makes what is kept of a password.
func (u *userCommand) secret(user, password string) (set func(*userlist.Entries) error, err error) {
	if u.md5 {
		secret, err := md5.NewSecret(user, password)
		return func(e *userlist.Entries) error { return e.SetMD5(user, secret) }, err
	}
	verifier, err := scram.NewVerifier(password, u.iterations)
	return func(e *userlist.Entries) error { return e.SetVerifier(user, verifier) }, err
}

func (u *userCommand) remove(user string) error {
	return userlist.Update(u.userlist, func(e *userlist.Entries) error {
		if !e.Remove(user) {
			return fmt.Errorf("there is no user %q in %s", user, u.userlist)
		}
		return nil
	})
}

func (u *userCommand) list() error {
	users, err := userlist.Users(u.userlist)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(u.stdout, 0, 0, 2, ' ', 0)
	for _, user := range users {
		fmt.Fprintf(w, "%s\t%s\n", user.Name, user.Secret)
	}
	return w.Flush()
}
