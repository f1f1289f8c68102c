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

	"github.com/sallyport/sallyport/gateway/config"
)

// serve serves clients until SIGTERM or SIGINT, then drains; a second one ends what is left at once. SIGHUP reloads.
func serve(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	path := flags.String("config", defaultConfig, "the configuration `file`")
	if status, ok := parse(flags, args, stderr); !ok {
		return status
	}
	if err := serveConfig(*path, stderr); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailure
	}
	return exitOK
}

func serveConfig(path string, stderr io.Writer) error {
	if err := harden(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 8) // before anything takes time: a signal that comes early counts
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	c, err := config.Load(path, os.Environ())
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	logger := newLogger(c.Log, level, stderr)
	p, err := assemble(c, level, logger)
	if err != nil {
		return err
	}
	err = p.run(context.Background(), signals)
	return errors.Join(err, p.close())
}

func newLogger(c config.Log, level *slog.LevelVar, w io.Writer) *slog.Logger {
	level.Set(c.Level)
	options := &slog.HandlerOptions{Level: level}
	if c.JSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
