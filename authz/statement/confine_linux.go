package statement

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// workerStack is the stack of every thread of a worker: four times the one on which the limits were measured. Only pages that are
	// touched take memory.
	workerStack = 32 << 20

	// workerThreads is how many threads a worker may still start, once it is ready: their stacks count as data.
	workerThreads = 4

	// confinedMark is all the environment a worker has, once it has replaced itself.
	confinedMark = "SALLYPORT_STATEMENT_WORKER=confined"
)

// confine replaces the process by itself, once, with a stack limit that its threads take over at their start (glibc reads it then) and
// with nothing inherited left open.
func confine() error {
	if environ := os.Environ(); len(environ) == 1 && environ[0] == confinedMark {
		return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	}
	if err := limit(unix.RLIMIT_STACK, workerStack); err != nil {
		return fmt.Errorf("set stack limit: %w", err)
	}
	if err := limit(unix.RLIMIT_CORE, 0); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close what was inherited: %w", err)
	}
	return fmt.Errorf("replace the process: %w", unix.Exec("/proc/self/exe", os.Args, []string{confinedMark}))
}

// limit sets a soft limit, as far as the hard one allows.
func limit(resource int, value uint64) error {
	var current unix.Rlimit
	if err := unix.Getrlimit(resource, &current); err != nil {
		return err
	}
	current.Cur = min(value, current.Max)
	return unix.Setrlimit(resource, &current)
}

// limitData bounds what the process may take from now on. RLIMIT_DATA counts what can be written; RLIMIT_AS would count the address space
// that Go only reserves.
func limitData(memory int64) error {
	taken := statm(5)
	if taken == 0 {
		return errors.New("read /proc/self/statm")
	}
	if err := limit(unix.RLIMIT_DATA, uint64(taken+memory+workerThreads*workerStack)); err != nil { // #nosec G115 -- sizes, none below zero
		return fmt.Errorf("set data limit: %w", err)
	}
	return nil
}

// resident is the process's resident memory in bytes; 0 when it cannot be told.
func resident() int64 { return statm(1) }

// statm returns a field of /proc/self/statm in bytes; 0 when it cannot be read.
func statm(field int) int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) <= field {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[field]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
