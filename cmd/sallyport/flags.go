package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// defaultConfig is where a package would put it.
const defaultConfig = "/etc/sallyport/sallyport.yaml"

// parse parses the flags of a command that takes no other arguments. ok is false when the command ends here, with status.
func parse(flags *flag.FlagSet, args []string, stderr io.Writer) (status int, ok bool) {
	flags.SetOutput(stderr)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK, false
	case err != nil:
		return exitUsage, false
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "sallyport %s: unexpected argument %q\n", flags.Name(), flags.Arg(0))
		return exitUsage, false
	}
	return exitOK, true
}
