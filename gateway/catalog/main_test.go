package catalog

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/authz/statement"
)

// TestMain makes the test binary a statement worker when it is started as one. Otherwise it ends the servers that tests have started.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "statement-worker" {
		os.Exit(statement.WorkerMain(os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		stopServers()
		os.Exit(code)
	}))
}

// startPool runs statement workers for the length of a test.
func startPool(t testing.TB) *statement.Pool {
	t.Helper()
	pool, err := statement.NewPool(statement.Config{Command: []string{os.Args[0], "statement-worker"}, Workers: 1, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	background(t, pool.Run)
	return pool
}

// background runs a part until the test ends, and waits for its end.
func background(t testing.TB, run func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Error("it did not stop")
		}
	})
}

// eventually tries until check has nothing to complain of.
func eventually(t testing.TB, within time.Duration, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %v: %v", within, err)
		}
	}
}
