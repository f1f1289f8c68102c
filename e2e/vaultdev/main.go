// Command vaultdev is a development Vault: the real core of HashiCorp Vault
// over in-memory storage, initialised and unsealed at start, with the parts
// the tests and the demo of Sallyport need and nothing else: the secrets
// engines database (with its PostgreSQL plugin) and key/value, and logins
// by AppRole, certificate, JWT, Kubernetes and userpass.
//
// It is a module of its own because Vault is licensed under BUSL 1.1 and is
// never linked into Sallyport, and because its dependencies are many.
//
//	vaultdev -listen 127.0.0.1:8200 -token-file root.token
//	vaultdev -certificate server.crt -key server.key …      with TLS
//	vaultdev -plugins bin …                                 with plugins, such as e2e/vaultpki
//
// The root token is written to the token file (mode 0600) once the API
// answers, so that the file's appearance means that Vault is ready. Everything
// is lost when the process ends, which SIGINT and SIGTERM ask it to do.
package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
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
	keyFile := flags.String("unseal-key-file", "", "file that receives the key that opens it after somebody has sealed it")
	certificate := flags.String("certificate", "", "certificate to serve with TLS by")
	key := flags.String("key", "", "its key")
	plugins := flags.String("plugins", "", "directory of the plugins that may be registered")
	level := flags.String("log-level", "warn", "trace, debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *tokenFile == "" || (*certificate == "") != (*key == "") || flags.NArg() > 0 {
		flags.Usage()
		return 2
	}
	log := hclog.New(&hclog.LoggerOptions{Name: "vaultdev", Level: hclog.LevelFromString(*level), Output: stderr})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, listener{*listen, *certificate, *key}, files{*tokenFile, *keyFile, *plugins}, log); err != nil {
		log.Error("vaultdev ends", "error", err)
		return 1
	}
	return 0
}

// listener is where the API is served, with TLS if there is a certificate.
type listener struct{ address, certificate, key string }

func (l listener) open() (listening net.Listener, scheme string, err error) {
	listening, err = net.Listen("tcp", l.address)
	if err != nil || l.certificate == "" {
		return listening, "http://", err
	}
	pair, err := tls.LoadX509KeyPair(l.certificate, l.key)
	if err != nil {
		return nil, "", errors.Join(err, listening.Close())
	}
	// Clients are asked for a certificate, as Vault's own listener does: auth/cert judges it.
	return tls.NewListener(listening, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert,
	}), "https://", nil
}

// serve starts Vault, writes the token file and answers until ctx ends.
func serve(ctx context.Context, at listener, in files, log hclog.Logger) error {
	listener, scheme, err := at.open()
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer listener.Close()
	core, opens, err := newCore(ctx, scheme+listener.Addr().String(), in.plugins, log)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core:           core,
			ListenerConfig: &configutil.Listener{Type: "tcp", Address: at.address, TLSDisable: at.certificate == ""},
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := in.write(opens); err != nil {
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

// files are where what opens the server is written, and where its plugins are.
type files struct{ token, key, plugins string }

// write writes the token last.
func (f files) write(s secrets) error {
	if f.key != "" {
		if err := writeSecret(f.key, hex.EncodeToString(s.share)); err != nil {
			return err
		}
	}
	return writeSecret(f.token, s.token)
}

// writeSecret makes the file appear at once, complete and readable by its owner only.
func writeSecret(path, word string) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // mode 0600
	if err != nil {
		return fmt.Errorf("create secret file: %w", err)
	}
	_, err = temporary.WriteString(word + "\n")
	if err = errors.Join(err, temporary.Close()); err != nil {
		return errors.Join(fmt.Errorf("write secret file: %w", err), os.Remove(temporary.Name()))
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return errors.Join(fmt.Errorf("publish secret file: %w", err), os.Remove(temporary.Name()))
	}
	return nil
}
