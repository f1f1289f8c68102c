// Command bench compares ways to PostgreSQL on this machine, in one run: TLS
// straight to it, through Sallyport and through PgBouncer.
//
//	            ┌──────────────── TLS ────────────────┐
//	pgbench ────┼── TLS ── Sallyport ── TLS ──────────┼──▶ PostgreSQL
//	            └── TLS ── PgBouncer ── TLS ──────────┘
//
// It starts all of it on private ports and ends it again. Every leg speaks the
// same TLS version and cipher suite, which is verified; Sallyport judges and
// audits every statement, which is verified too. The targets take turns on
// every workload, the rounds repeat that in another order, and what is
// reported are medians with their spread, and ratios within a round: a machine
// that gets slower meanwhile slows all of them.
//
// A plan (plan.go) is a list of rows (rows.go). How a row is run is an exercise:
// a script for pgbench, a transfer (bulk.go) or a listener. What idle sessions
// take (idle.go), and what judging costs by itself (judge.go), come last.
//
// The tables go to standard output as Markdown, with the goals and whether
// they are met; everything that was measured to bench/results.json, from which
// the chart is drawn.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/e2e/stack"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == bareCommand {
		return status(bare(args[1:], stdin, stdout), stderr)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("plan", "quick", "what to run: "+strings.Join(planNames(), ", "))
	repeat := flags.Int("rounds", 0, "how often to repeat it; 0: as the plan says")
	duration := flags.Duration("duration", 0, "how long one run takes, whole seconds; 0: as the plan says")
	rows := flags.String("rows", "", "run only the rows whose names match this regular expression")
	targets := flags.String("targets", strings.Join(targetKeys(), ","), "what to compare")
	profile := flags.String("profile", "", "take profiles of the gateway and write them, merged, to this file, and no results")
	kind := flags.String("kind", "profile", "the kind of profile, if not of CPU time: mutex or block, of who waits for whom")
	limit := flags.Duration("limit", 3*time.Hour, "how long all of it may take")
	chart := flags.String("chart", "", "draw the results there are to this SVG file, and run nothing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *chart != "" {
		return status(drawResults(*chart), stderr)
	}
	var p plan
	if *name != judgePlan {
		var err error
		if p, err = planNamed(*name, *repeat, *duration); err == nil {
			p, err = p.only(*rows)
		}
		if err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			return 2
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, *limit, fmt.Errorf("it takes longer than %v", *limit))
	defer cancel()
	began := time.Now()
	if code := status(measureAll(ctx, p, options{strings.Split(*targets, ","), *profile, *kind}, stdout, stderr), stderr); code != 0 {
		return code
	}
	fmt.Fprintf(stderr, "Took %v.\n", time.Since(began).Round(time.Second))
	return 0
}

// status says what went wrong, and what the program's exit status is.
func status(err error, stderr io.Writer) int {
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// measureAll runs a plan, and what judging takes by itself if the plan says so
// or is no other.
func measureAll(ctx context.Context, p plan, o options, stdout, stderr io.Writer) error {
	if p.Name != "" {
		if err := compare(ctx, p, o, stdout, stderr); err != nil || !p.judging {
			return err
		}
		fmt.Fprintln(stdout)
	}
	root, err := stack.Root()
	if err != nil {
		return err
	}
	return judging(ctx, root, stdout)
}
