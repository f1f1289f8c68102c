package main

import (
	"flag"
	"fmt"
	"io"

	"github.com/sallyport/sallyport/authz/statement"
)

// workerCommand is the hidden command that serve runs this program with: a process that reads SQL texts and writes facts.
const workerCommand = "statement-worker"

func worker(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(workerCommand, flag.ContinueOnError)
	if status, ok := parse(flags, args, stderr); !ok {
		return status
	}
	if err := harden(); err != nil { // its memory holds texts, and it may crash on one of them
		fmt.Fprintln(stderr, "sallyport:", err)
		return exitFailure
	}
	return statement.WorkerMain(stdin, stdout)
}
