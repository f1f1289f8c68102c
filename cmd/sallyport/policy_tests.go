package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/sallyport/sallyport/authz"
)

// policyTest runs the tests of a policy, as it would be compiled for use.
func policyTest(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("policy test", flag.ContinueOnError)
	verbose := flags.Bool("v", false, "show the tests that pass too, and the whole trace of those that do not")
	var cfg authz.TestConfig
	flags.StringVar(&cfg.Run, "run", "", "only tests whose name matches this regular `expression`")
	flags.BoolVar(&cfg.Coverage, "coverage", false, "say which lines of the policy were not evaluated")
	flags.BoolVar(&cfg.InsecureAllowNetwork, "insecure-allow-network", false, "as policy.insecure_allow_network")
	given, status, ok := parseAround(flags, args, stderr)
	if !ok {
		return status
	}
	if len(given) != 1 {
		return misused(flags, stderr, "give the policy's directory")
	}
	if _, err := regexp.Compile(cfg.Run); err != nil {
		return misused(flags, stderr, "--run: %v", err)
	}
	cfg.Directory = given[0]
	report, err := authz.Test(ctx, cfg)
	if err != nil {
		if errors.Is(err, authz.ErrNoTests) {
			err = fmt.Errorf("%s: %w", cfg.Directory, err)
		}
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	return printTests(report, *verbose, stdout)
}

// printTests prints the results, and says how the command ends.
func printTests(report authz.TestReport, verbose bool, w io.Writer) int {
	counts := make(map[string]int)
	for i := range report.Tests {
		test := &report.Tests[i]
		counts[test.Outcome]++
		if verbose || test.Outcome != "PASS" {
			printTest(test, verbose, w)
		}
	}
	printCoverage(report.Coverage, w)
	failed := counts["FAIL"] + counts["ERROR"]
	fmt.Fprintf(w, "%d tests: %d passed, %d failed", len(report.Tests), counts["PASS"], failed)
	if skipped := counts["SKIPPED"]; skipped > 0 {
		fmt.Fprintf(w, ", %d skipped", skipped)
	}
	fmt.Fprintln(w)
	if failed > 0 {
		return exitFailure
	}
	return exitOK
}

func printTest(test *authz.PolicyTest, verbose bool, w io.Writer) {
	fmt.Fprintf(w, "%-7s %s:%d: %s\n", test.Outcome, test.File, test.Line, test.Name)
	for _, name := range test.Cases {
		fmt.Fprintf(w, "        case %s\n", name)
	}
	if test.FailedAt != "" {
		fmt.Fprintf(w, "        at %s\n", test.FailedAt)
	}
	if test.Err != nil {
		fmt.Fprintf(w, "        %v\n", test.Err)
	}
	for line := range strings.Lines(test.Output) {
		fmt.Fprintf(w, "        print: %s\n", strings.TrimRight(line, "\n"))
	}
	if test.Outcome == "FAIL" {
		test.WriteTrace(w, verbose)
	}
}

func printCoverage(files []authz.FileCoverage, w io.Writer) {
	if len(files) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	covered, all := 0, 0
	for _, f := range files {
		covered, all = covered+f.Covered, all+f.Covered+f.NotCovered
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.File, percent(f.Covered, f.Covered+f.NotCovered), strings.Join(f.Missing, " "))
	}
	fmt.Fprintf(table, "coverage\t%s\t\n", percent(covered, all))
	_ = table.Flush()
}

func percent(part, whole int) string {
	if whole == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(whole))
}
