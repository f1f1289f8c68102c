package statement

import (
	"bytes"
	"context"
	"io"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain makes the test binary a worker when it is started as one: "statement-worker", or "saboteur", a worker that dies of certain
// texts; "inspect" reports what a confined process is left with, "gateway" starts a worker and waits to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "statement-worker":
			os.Exit(WorkerMain(os.Stdin, os.Stdout))
		case "saboteur":
			os.Exit(saboteur())
		case "inspect":
			os.Exit(inspect())
		case "gateway":
			os.Exit(gateway())
		}
	}
	goleak.VerifyTestMain(m)
}

// What a saboteur does to a worker's process when it sees these in a text.
var (
	crashMark = []byte("crash here")
	hangMark  = []byte("hang here")
	hogMark   = []byte("hog here")
)

// saboteur is a worker that reads its input through a reader that acts on marks.
func saboteur() int {
	if err := confine(); err != nil {
		return exitConfine
	}
	return serveTexts(sabotage{os.Stdin}, os.Stdout, true)
}

type sabotage struct{ io.Reader }

var hog []byte

func (s sabotage) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	switch {
	case bytes.Contains(p[:n], crashMark):
		_ = syscall.Kill(os.Getpid(), syscall.SIGSEGV)
		select {}
	case bytes.Contains(p[:n], hangMark):
		select {}
	case bytes.Contains(p[:n], hogMark):
		hog = bytes.Repeat([]byte{1}, 3<<30)
	}
	return n, err
}

// startPool runs a pool for the length of a test.
func startPool(t testing.TB, config Config) *Pool {
	t.Helper()
	sound := config.Command == nil
	if sound {
		config.Command = []string{os.Args[0], "statement-worker"}
	}
	pool, err := NewPool(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pool.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("pool did not stop")
		}
	})
	if sound { // the texts of a test do not have to outlast the start of a process
		ready, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := pool.Wait(ready); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}
