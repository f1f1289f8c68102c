// Command vaultdev is a development Vault: the real core of HashiCorp Vault
// over in-memory storage, initialised and unsealed at start, with the parts
// the tests and the demo of Sallyport need and nothing else: the database
// secrets engine with its PostgreSQL plugin, key/value, AppRole and userpass.
//
// It is a module of its own because Vault is licensed under BUSL 1.1 and is
// never linked into Sallyport, and because its dependencies are many.
//
//	vaultdev -listen 127.0.0.1:8200 -token-file root.token
//
// The root token is written to the token file (mode 0600) once the API
// answers, so that the file's appearance means that Vault is ready. Everything
// is lost when the process ends, which SIGINT and SIGTERM ask it to do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/vault"
)

// shutdownTimeout bounds the wait for requests in flight: a revocation that
// talks to PostgreSQL takes milliseconds.
const shutdownTimeout = 3 * time.Second

func main() {
	os.Exit(run(os.Args[1:], os.Stderr))
}

func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("vaultdev", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:8200", "address to serve the API on")
	tokenFile := flags.String("token-file", "", "file that receives the root token")
	level := flags.String("log-level", "warn", "trace, debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *tokenFile == "" || flags.NArg() > 0 {
		flags.Usage()
		return 2
	}
	log := hclog.New(&hclog.LoggerOptions{Name: "vaultdev", Level: hclog.LevelFromString(*level), Output: stderr})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen, *tokenFile, log); err != nil {
		log.Error("vaultdev ends", "error", err)
		return 1
	}
	return 0
}

// serve starts Vault, writes the token file and answers until ctx ends.
func serve(ctx context.Context, listen, tokenFile string, log hclog.Logger) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer listener.Close()
	core, token, err := newCore(ctx, "http://"+listener.Addr().String(), log)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core:           core,
			ListenerConfig: &configutil.Listener{Type: "tcp", Address: listen, TLSDisable: true},
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := writeToken(tokenFile, token); err != nil {
		return errors.Join(err, server.Close(), core.Shutdown())
	}
	select {
	case err := <-served:
		return errors.Join(err, core.Shutdown())
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		log.Warn("requests were cut off", "error", err)
		_ = server.Close()
	}
	<-served
	return core.Shutdown()
}

// writeToken makes the file appear at once, complete and readable by its owner only.
func writeToken(path, token string) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".token-*") // mode 0600
	if err != nil {
		return fmt.Errorf("create token file: %w", err)
	}
	_, err = temporary.WriteString(token + "\n")
	if err = errors.Join(err, temporary.Close()); err != nil {
		return errors.Join(fmt.Errorf("write token file: %w", err), os.Remove(temporary.Name()))
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return errors.Join(fmt.Errorf("publish token file: %w", err), os.Remove(temporary.Name()))
	}
	return nil
}
