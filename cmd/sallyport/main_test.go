package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
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
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"certificates": certificates, "await": await, "signal": sendSignal, "publish": publish, "receive": receive},
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

// publish packs and signs the policy of a directory, serves it until the script ends, and puts its address in the place of BUNDLE in a
// configuration, and the signer's key into signer.pub. With "!" the server answers 503.
func publish(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: publish directory configuration")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	ts.Check(err)
	b := bundle.Bundle{Data: map[string]any{}}
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, entry := range entries {
		text, name := ts.ReadFile(args[0]+"/"+entry.Name()), "/"+entry.Name()
		b.Modules = append(b.Modules, bundle.ModuleFile{URL: name, Path: name, RelativePath: name, Raw: []byte(text)})
	}
	signing := bundle.NewSigningConfig(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), "ES256", "")
	ts.Check(b.GenerateSignature(signing, "", false))
	var packed bytes.Buffer
	ts.Check(bundle.NewWriter(&packed).DisableFormat(true).Write(b))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if neg {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write(packed.Bytes())
	}))
	ts.Defer(server.Close)
	config := strings.ReplaceAll(ts.ReadFile(args[1]), "BUNDLE", server.URL)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(config), 0o600))
	if !neg {
		ts.Check(os.WriteFile(ts.MkAbs("signer.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600))
	}
}

// receive keeps the bodies that are posted to it in a file until the script ends, and puts its address in the place of RECEIVER in a
// configuration.
func receive(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: receive file configuration")
	}
	kept, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(kept, r.Body); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	ts.Defer(func() {
		server.Close()
		ts.Check(kept.Close())
	})
	config := strings.ReplaceAll(ts.ReadFile(args[1]), "RECEIVER", server.URL)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(config), 0o600))
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
