package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/certs"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == workerCommand { // started by a pool of this test
		main()
	}
	testscript.Main(m, map[string]func(){"sallyport": main})
}

// TestScripts runs testdata/script: one file a feature of the command line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			example, err := os.ReadFile("../../deploy/sallyport.example.yaml")
			if err != nil {
				return err
			}
			return os.WriteFile(env.WorkDir+"/example.yaml", example, 0o600)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"certificates": certificates, "await": await, "signal": sendSignal},
	})
}

// await waits until a file holds a text: a process in the background has come so far.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await file text")
	}
	deadline := time.Now().Add(time.Minute)
	for {
		content, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(content), args[1]) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s never held %s: %s", args[0], args[1], content)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// sendSignal sends a signal to what runs in the background.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM}
	if neg || len(args) != 1 || signals[args[0]] == nil {
		ts.Fatalf("usage: signal HUP|TERM")
	}
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(signals[args[0]]))
	}
}

// certificates makes ca.crt, server.crt and server.key in a directory, which it creates.
func certificates(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: certificates directory")
	}
	authority, err := certs.New("Test CA")
	ts.Check(err)
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(authority.WriteFiles(dir, "server", certs.Request{CommonName: "localhost", DNSNames: []string{"localhost"}, Server: true}))
}
