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
// What judging costs by itself, when nothing else runs, is measured last.
//
// The tables go to standard output as Markdown, everything that was measured
// to bench/results.json.
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
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	name := flags.String("plan", "quick", "what to run: "+strings.Join(append(planNames(), judgePlan), ", "))
	rounds := flags.Int("rounds", 0, "how often to repeat it; 0: as the plan says")
	duration := flags.Duration("duration", 0, "how long one run takes, whole seconds; 0: as the plan says")
	targets := flags.String("targets", strings.Join(targetNames(), ","), "what to compare")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	var p plan
	if *name != judgePlan {
		var err error
		if p, err = planNamed(*name, *rounds, *duration); err != nil {
			fmt.Fprintln(stderr, "bench:", err)
			return 2
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	began := time.Now()
	if err := measure(ctx, p, strings.Split(*targets, ","), stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	fmt.Fprintf(stderr, "Took %v.\n", time.Since(began).Round(time.Second))
	return 0
}

// measure runs a plan, if it is not that of judging alone, and then that.
func measure(ctx context.Context, p plan, targets []string, stdout, stderr io.Writer) error {
	if p.Name != "" {
		if err := compare(ctx, p, targets, stdout, stderr); err != nil {
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
