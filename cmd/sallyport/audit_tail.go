package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/gateway/audit/proof"
)

const (
	// followEvery is how often a log is looked at for more.
	followEvery = 200 * time.Millisecond
	// followBytes is read at once.
	followBytes = 64 << 10
)

// auditTail prints the last events of a log, and with -f those to come.
func auditTail(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("audit tail", flag.ContinueOnError)
	count := flags.Int("n", 10, "how many `events` of those that are there")
	follow := flags.Bool("f", false, "go on with what is written to the last file, and to the one that takes its name")
	files, status, ok := parseAround(flags, args, stderr)
	switch {
	case !ok:
		return status
	case len(files) == 0:
		return misused(flags, stderr, "give the files of the log, the oldest first")
	case *count < 0:
		return misused(flags, stderr, "-n must not be negative")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := printTail(ctx, files, *count, *follow, stdout); err != nil {
		fmt.Fprintf(stderr, "sallyport audit tail: %v\n", err)
		return exitFailure
	}
	return exitOK
}

func printTail(ctx context.Context, files []string, count int, follow bool, stdout io.Writer) error {
	show := func(e *recorded) error {
		_, err := fmt.Fprintln(stdout, e)
		return err
	}
	t := newTexts()
	var last []recorded
	keep := func(e *recorded) error {
		if count > 0 {
			last = append(last[max(0, len(last)-count+1):], *e)
		}
		return nil
	}
	var f *follower
	if follow { // the last file is read by whoever goes on with it: nothing comes between, and nothing twice
		name := files[len(files)-1]
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		f = &follower{name: name, file: file, found: keep, texts: t}
		defer f.close()
		files = files[:len(files)-1]
	}
	var e recorded
	var failed error
	err := eachLineOf(files, t.begin, func(line []byte) {
		if failed == nil && parseEvent(line, &e) {
			failed = errors.Join(t.complete(&e), keep(&e))
		}
	})
	err = errors.Join(err, failed)
	if err == nil && follow {
		t.begin(f.name)
		err = f.read()
	}
	for i := range last {
		err = errors.Join(err, show(&last[i]))
	}
	if err != nil || !follow {
		return err
	}
	f.found = show
	return f.run(ctx)
}

// follower reads a file, and what is written to it.
type follower struct {
	name  string
	file  *os.File
	line  []byte // the beginning of one
	found func(*recorded) error
	texts *texts
}

func (f *follower) close() { _ = f.file.Close() } // it was read only

func (f *follower) run(ctx context.Context) error {
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		if err := f.read(); err != nil {
			return err
		}
		if next := f.next(); next != nil {
			err := f.read() // what came since
			f.close()
			f.texts.begin(f.name)
			if f.file, f.line = next, nil; err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// next opens the file that has the name now, if it is another one.
func (f *follower) next() *os.File {
	named, err := os.Stat(f.name)
	if err != nil {
		return nil // not there yet
	}
	if current, err := f.file.Stat(); err != nil || os.SameFile(named, current) {
		return nil
	}
	next, err := os.Open(f.name)
	if err != nil {
		return nil
	}
	return next
}

// read takes what there is.
func (f *follower) read() error {
	buf := make([]byte, followBytes)
	for {
		n, err := f.file.Read(buf)
		f.line = append(f.line, buf[:n]...)
		if failed := f.lines(); failed != nil {
			return failed
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// lines takes the lines that are complete.
func (f *follower) lines() error {
	var e recorded
	for {
		line, rest, whole := bytes.Cut(f.line, []byte("\n"))
		if !whole {
			return nil
		}
		if err := proof.Readable(line); err != nil {
			return err
		}
		if parseEvent(line, &e) {
			if err := errors.Join(f.texts.complete(&e), f.found(&e)); err != nil {
				return err
			}
		}
		f.line = rest
	}
}
