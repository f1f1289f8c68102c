// Command sallyport is a zero-trust gateway for PostgreSQL.
package main

import (
	"fmt"
	"io"
	"os"
)

const usage = `usage: sallyport <command> [flags]

  serve     serve clients until SIGTERM
  check     say everything that is wrong with a configuration
  policy    check, test and explain policies, and try them on an audit log
  audit     search, follow, verify and prove audit logs, and make the key that signs them
  backend   look at PostgreSQL for what lets people past the gateway
  sessions  list and end sessions, refuse people and let them in again
  leases    list open leases, and roles that were left behind
  user      add, change, remove and list the users that have a password
  version   print the version

sallyport <command> -h prints the flags of a command.
`

// Exit statuses.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	// exitInterrupted is what shells give a program that SIGINT has ended: 128 + 2.
	exitInterrupted = 130
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return exitUsage
	}
	switch name, args := args[0], args[1:]; name {
	case "serve":
		return serve(args, stderr)
	case "check":
		return check(args, stdout, stderr)
	case "policy":
		return policy(args, stdin, stdout, stderr)
	case "audit":
		return auditCommand(args, stdout, stderr)
	case "backend":
		return backendCommand(args, stdout, stderr)
	case "sessions":
		return sessions(args, stdout, stderr)
	case "leases":
		return leases(args, stdout, stderr)
	case "user":
		return user(args, stdin, stdout, stderr)
	case "version":
		return version(args, stdout, stderr)
	case workerCommand:
		return worker(args, stdin, stdout, stderr)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return exitOK
	default:
		fmt.Fprintf(stderr, "sallyport: there is no command %q\n\n%s", name, usage)
		return exitUsage
	}
}
