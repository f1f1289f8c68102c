package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/sallyport/sallyport/gateway/config"
)

// check says everything that is wrong with a configuration.
func check(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	path := flags.String("config", defaultConfig, "the configuration `file`")
	strict := flags.Bool("strict", false, "fail on warnings, and on files that could not be checked, too")
	if status, ok := parse(flags, args, stderr); !ok {
		return status
	}
	c, err := config.Load(*path, os.Environ())
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	report := c.Check()
	for _, p := range report.Problems {
		fmt.Fprintln(stderr, p)
	}
	for _, p := range report.Warnings {
		fmt.Fprintf(stderr, "%s (warning)\n", p)
	}
	for _, p := range report.Unchecked {
		fmt.Fprintf(stderr, "%s (not checked)\n", p)
	}
	bad := len(report.Problems)
	if *strict {
		bad += len(report.Warnings) + len(report.Unchecked)
	}
	if bad > 0 {
		return exitFailure
	}
	for _, in := range placesOf(c) {
		if line := in.line(); line != "" {
			fmt.Fprintln(stdout, line)
		}
	}
	fmt.Fprintf(stdout, "%s: ok\n", *path)
	return exitOK
}
