package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport/sallyport/e2e/stack"
)

// world is what all tests share: the services and one gateway. A test that
// wants to break or change a gateway starts one of its own.
type world struct {
	root     string
	dir      string
	binary   string // the gateway's
	services *stack.Services
	gateway  *stack.Gateway
	tokens   map[string]string // by account
}

// shared is set by TestMain before the tests run and not changed after.
var shared *world

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	slog.SetLogLoggerLevel(slog.LevelWarn) // the OpenID provider would tell of every poll
	w, err := assemble(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	shared = w
	code := m.Run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, "e2e: the log of the shared gateway ends with\n"+stack.Tail(w.gateway.Log))
	}
	if err := w.end(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return max(code, 1)
	}
	return code
}

func assemble(ctx context.Context) (_ *world, err error) {
	w := &world{tokens: make(map[string]string)}
	if w.root, err = stack.Root(); err != nil {
		return nil, err
	}
	if w.dir, err = os.MkdirTemp("", "sallyport-e2e-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.end())
		}
	}()
	if err := w.build(ctx); err != nil {
		return nil, err
	}
	if w.services, err = stack.Start(ctx, stack.Config{Root: w.root, Dir: w.dir}); err != nil {
		return nil, err
	}
	for _, account := range []string{stack.Analyst, stack.Engineer, stack.DBA, stack.OAuth} {
		tokens, err := w.services.Login(ctx, account)
		if err != nil {
			return nil, err
		}
		w.tokens[account] = tokens.ID
	}
	w.gateway, err = w.services.StartGateway(ctx, stack.GatewayOptions{Dir: w.dir, Binary: w.binary})
	return w, err
}

// build makes the gateway under test out of the working tree: one that lies
// in bin may be older.
func (w *world) build(ctx context.Context) error {
	w.binary = filepath.Join(w.dir, "sallyport")
	// Without the profile that the shipped program is optimised for: its packages are then those that the tests are built of.
	args := []string{"build", "-pgo=off", "-o", w.binary}
	if raceDetector {
		args = append(args, "-race")
		if os.Getenv("GORACE") == "" {
			// Every gateway would sleep for a second at its end, so that other threads may report what they found by then.
			os.Setenv("GORACE", "atexit_sleep_ms=20")
		}
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/sallyport")...)
	cmd.Dir = w.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	return nil
}

// end stops everything and looks at what the gateway left behind.
func (w *world) end() error {
	var errs []error
	if w.gateway != nil {
		errs = append(errs, w.gateway.Stop(), checkLog(w.gateway.Log, lostToken), checkSecrets(w))
	}
	if w.services != nil {
		errs = append(errs, w.services.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// accident is what must never be in a gateway's log.
var accident = regexp.MustCompile(`DATA RACE|panic:|goroutine \d+ \[|fatal error:|"level":"ERROR"`)

// Lines with one of the expected messages are what the test provoked.
func checkLog(path string, expected ...string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, message := range expected {
		line := regexp.MustCompile(`(?m)^.*"msg":"` + regexp.QuoteMeta(message) + `.*$`)
		data = line.ReplaceAll(data, nil)
	}
	if at := accident.FindIndex(data); at != nil {
		return fmt.Errorf("in the log of the gateway:\n%s", data[at[0]:min(at[0]+4000, len(data))])
	}
	return nil
}

// checkSecrets looks for what no log may hold after all the tests.
func checkSecrets(w *world) error {
	var errs []error
	for _, path := range []string{w.gateway.Log, w.gateway.Audit} {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := string(data)
		secrets := map[string]string{
			"the service's password": w.gateway.ServicePassword, "the MD5 password": w.gateway.LegacyPassword,
			"the admin token": w.gateway.AdminToken, "Vault's root token": w.services.Vault.Token,
		}
		for account, token := range w.tokens {
			secrets["the token of "+account] = token
		}
		for name, secret := range secrets {
			if strings.Contains(text, secret) {
				errs = append(errs, fmt.Errorf("%s is in %s", name, filepath.Base(path)))
			}
		}
	}
	return errors.Join(errs...)
}
