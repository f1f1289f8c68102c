// Command demo runs Sallyport on this machine with everything around it: a
// private PostgreSQL cluster, Vault, an OpenID provider and the gateway, until
// it is interrupted. Then it stops and removes all of it.
//
//	demo        start, write .demo/demo.env, print what to try
//	demo down   end a demo that was started elsewhere
//
// With VAULT=off there is no Vault: the gateway makes the roles of its sessions
// itself. DEMO_PORT is the port of the gateway (6432), PG_BIN the directory of another
// PostgreSQL's programs.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/sallyport/sallyport/e2e/stack"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	slog.SetLogLoggerLevel(slog.LevelWarn) // the OpenID provider would tell of every poll
	root, err := stack.Root()
	if err == nil {
		dir := filepath.Join(root, ".demo")
		switch {
		case len(args) == 0:
			err = up(ctx, root, dir, stdout)
		case len(args) == 1 && args[0] == "down":
			err = down(ctx, dir, stdout)
		default:
			fmt.Fprintln(stderr, "usage: demo [down]")
			return 2
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}
