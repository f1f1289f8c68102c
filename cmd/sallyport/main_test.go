package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/certs"
)

func TestMain(m *testing.M) {
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
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"certificates": certificates},
	})
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
