package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

const auditUsage = `usage: sallyport audit <command> [flags] [file ...]

  keygen    make the key that signs the checkpoints of a log
  verify    find what was changed, removed, added or put elsewhere in a log
  prove     print a proof that a log has an event
  search    print the events that match
  export    print the events in another format
  tail      print the last events, and with -f those to come

Files are given in the order they were written in, the oldest first; they may be compressed with gzip.

sallyport audit <command> -h prints the flags of a command.
`

// auditCommand serves the people who read audit logs. None of its commands touches what a running gateway uses.
func auditCommand(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, auditUsage)
		return exitUsage
	}
	switch name, args := args[0], args[1:]; name {
	case "keygen":
		return auditKeygen(args, stdout, stderr)
	case "verify":
		return auditVerify(args, stdout, stderr)
	case "prove":
		return auditProve(args, stdout, stderr)
	case "search":
		return auditSearch(args, stdout, stderr)
	case "export":
		return auditExport(args, stdout, stderr)
	case "tail":
		return auditTail(args, stdout, stderr)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, auditUsage)
		return exitOK
	default:
		fmt.Fprintf(stderr, "sallyport audit: there is no command %q\n\n%s", name, auditUsage)
		return exitUsage
	}
}

// auditKeygen makes a key. The private half goes into a file that is not there yet, the public one to standard output.
func auditKeygen(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("audit keygen", flag.ContinueOnError)
	name := flags.String("name", "", "the log's `name`, which no other log should have (default: this machine's name and /audit)")
	files, status, ok := parseAround(flags, args, stderr)
	switch {
	case !ok:
		return status
	case len(files) != 1:
		return misused(flags, stderr, "give one file, for the private key")
	}
	if err := keygen(*name, files[0], stdout); err != nil {
		fmt.Fprintf(stderr, "sallyport audit keygen: %v\n", err)
		return exitFailure
	}
	return exitOK
}

func keygen(name, path string, stdout io.Writer) error {
	if name == "" {
		host, err := os.Hostname()
		if err != nil {
			return err
		}
		name = host + "/audit"
	}
	private, public, err := proof.GenerateKey(name)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // a key that exists has signed something
	if err != nil {
		return err
	}
	_, err = io.WriteString(file, private+"\n")
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, public)
	return err
}

// keysFlag gathers public keys, each given as it is or as the file that holds it.
type keysFlag struct{ keys []string }

func (k *keysFlag) set(value string) error {
	if strings.Contains(value, "+") { // which no key lacks
		k.keys = append(k.keys, value)
		return nil
	}
	content, err := os.ReadFile(value)
	if err != nil {
		return err
	}
	k.keys = append(k.keys, string(content))
	return nil
}

// define adds the flag.
func (k *keysFlag) define(flags *flag.FlagSet) {
	flags.Func("key", "the public `key` that checkpoints must be signed by, or the file that holds it; may be repeated", k.set)
}

// verifiers are nil when no key was given.
func (k *keysFlag) verifiers() (*proof.Verifiers, error) {
	if len(k.keys) == 0 {
		return nil, nil
	}
	return proof.NewVerifiers(k.keys...)
}
