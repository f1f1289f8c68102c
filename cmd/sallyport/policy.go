package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/config"
)

const policyUsage = `usage: sallyport policy <command> [flags]

  check     say everything that is wrong with a policy
  test      run the tests of a policy
  explain   say what a policy decides about a text, and by which rule
  replay    decide what is in an audit log again, by another policy

sallyport policy <command> -h prints the flags of a command.
`

// policy serves the people who write policies. None of its commands touches what a running gateway uses; explain and replay read catalogs
// over sessions of their own.
func policy(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, policyUsage)
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch name, args := args[0], args[1:]; name {
	case "check":
		return policyCheck(ctx, args, stdout, stderr)
	case "test":
		return policyTest(ctx, args, stdout, stderr)
	case "explain":
		return policyExplain(ctx, args, stdin, stdout, stderr)
	case "replay":
		return policyReplay(ctx, args, stdin, stdout, stderr)
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, policyUsage)
		return exitOK
	default:
		fmt.Fprintf(stderr, "sallyport policy: there is no command %q\n\n%s", name, policyUsage)
		return exitUsage
	}
}

// parseAround parses flags before, between and behind the arguments; what follows "--" are arguments.
func parseAround(flags *flag.FlagSet, args []string, stderr io.Writer) (given []string, status int, ok bool) {
	flags.SetOutput(stderr)
	for {
		switch err := flags.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return nil, exitOK, false
		case err != nil:
			return nil, exitUsage, false
		}
		rest := flags.Args()
		if parsed := len(args) - len(rest); parsed > 0 && args[parsed-1] == "--" {
			return append(given, rest...), exitOK, true
		}
		if len(rest) == 0 {
			return given, exitOK, true
		}
		given, args = append(given, rest[0]), rest[1:]
	}
}

// misused says what is wrong with the arguments of a command.
func misused(flags *flag.FlagSet, stderr io.Writer, format string, args ...any) int {
	fmt.Fprintf(stderr, "sallyport %s: %s\n", flags.Name(), fmt.Sprintf(format, args...))
	return exitUsage
}

// policySource is where a policy is: in a directory, or where a configuration says.
type policySource struct {
	directory string
	file      string         // of the configuration; "" for none
	config    *config.Config // of file
}

// load reads the configuration, if there is one, and says what an engine needs.
func (s *policySource) load() (authz.Config, error) {
	engine := authz.Config{Directory: s.directory}
	if s.file == "" {
		return engine, nil
	}
	c, err := config.Load(s.file, os.Environ())
	if err != nil {
		return engine, err
	}
	s.config = c
	if engine, err = c.PolicyConfig(slog.New(slog.DiscardHandler), nil); err != nil {
		return engine, err
	}
	if s.directory != "" {
		engine.Directory, engine.Bundle = s.directory, nil
	}
	if engine.Bundle != nil {
		engine.Bundle.Cache = "" // is the gateway's
	}
	return engine, nil
}

// policyCheck says everything that is wrong with a policy.
func policyCheck(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("policy check", flag.ContinueOnError)
	var source policySource
	flags.StringVar(&source.file, "config", "", "check the policy that this configuration `file` names")
	given, status, ok := parseAround(flags, args, stderr)
	if !ok {
		return status
	}
	if len(given) > 1 || (len(given) == 1) == (source.file != "") {
		return misused(flags, stderr, "give the policy's directory, or --config")
	}
	if len(given) == 1 {
		source.directory = given[0]
	}
	engine, err := source.load()
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	if engine.Bundle != nil {
		fmt.Fprintln(stderr, source.config.Problem("policy.bundle", errors.New("is made elsewhere: check the directory that it is made of")))
		return exitFailure
	}
	report := authz.Check(ctx, engine)
	for _, problem := range report.Problems {
		fmt.Fprintln(stderr, problem)
	}
	if len(report.Problems) > 0 {
		return exitFailure
	}
	fmt.Fprintf(stdout, "%s: ok, revision %s, %d tests\n", engine.Directory, report.Revision, report.Tests)
	return exitOK
}
