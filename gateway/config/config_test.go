package config

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/backend"
	"github.com/sallyport/sallyport/gateway/backend/hosts"
	"github.com/sallyport/sallyport/gateway/credentials"
	"github.com/sallyport/sallyport/tlsutil"
)

// load writes text to sallyport.yaml in a directory of its own and loads it.
func load(t *testing.T, text string, environ ...string) (*Config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile("sallyport.yaml", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load("sallyport.yaml", environ)
}

const small = `listen: 127.0.0.1:6432
tls: {certificate: server.crt, key: server.key}
authentication:
  userlist: userlist.txt
  rules: [{method: scram-sha-256}]
policy: {directory: policies}
vault: {address: "http://127.0.0.1:8200", auth: {method: token, token_file: token}}
databases:
  app: {host: db, tls: {ca_file: ca.crt}, vault_roles: {readonly: ro}, catalog: {vault_role: looker}}
audit: {file: audit.log}
`

func TestLoadSmall(t *testing.T) {
	c, err := load(t, small)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Database{"app": {
		Hosts: []Host{{"db", 5432}}, Target: hosts.Any, Name: "app", TLS: tlsutil.ClientFiles{CA: "ca.crt"}, VaultRoles: map[string]string{"readonly": "ro"}, Credentials: credentials.SourceVault,
		Authentication: backend.MethodSCRAM, Catalog: &Catalog{VaultRole: "looker", Poll: time.Second, MaxAge: 10 * time.Second},
	}}
	if diff := cmp.Diff(want, c.Databases); diff != "" {
		t.Error(diff)
	}
	if c.Limits != (gateway.Limits{}) || c.Timeouts != (gateway.Timeouts{Drain: defaultDrain}) {
		t.Errorf("what is not set is not left to the gateway: %+v %+v", c.Limits, c.Timeouts)
	}
	if c.Audit.MaxTextBytes != 64<<10 || c.Statements.Workers != 2 || !c.Log.JSON || c.Vault.Mount != "database" {
		t.Errorf("defaults: %+v", c)
	}
}

func TestLoadTails(t *testing.T) {
	c, err := load(t, strings.Replace(small, "audit.log", `audit.log, tails: {directory: d, syslog: {address: "tls://a:1", format: ocsf}, otlp: {url: "https://a/"}}`, 1))
	if err != nil {
		t.Fatal(err)
	}
	want := Tails{Directory: "d", Syslog: Receiver{Address: "tls://a:1", OCSF: true}, OTLP: Receiver{Address: "https://a/"}}
	if diff := cmp.Diff(want, c.Audit.Tails); diff != "" {
		t.Error(diff)
	}
}

func TestLoadJournal(t *testing.T) {
	for text, want := range map[string]string{
		"":                            audit.JournalAnywhere,
		"journal: none":               "",
		"journal: /run/sallyport":     "/run/sallyport",
		"journal: shm":                "shm",
		"mode: strict, journal: none": "",
	} {
		c, err := load(t, strings.Replace(small, "audit.log", "audit.log, "+text, 1))
		if err != nil {
			t.Fatal(err)
		}
		if c.Audit.Journal != want {
			t.Errorf("%q: %q", text, c.Audit.Journal)
		}
	}
	_, err := load(t, strings.Replace(small, "audit.log", `audit.log, journal: ""`, 1))
	if err == nil || !strings.Contains(err.Error(), "sallyport.yaml:10: audit.journal: is empty: set a directory") {
		t.Errorf("got %v", err)
	}
}

func TestLoadExample(t *testing.T) {
	c, err := Load("../../deploy/sallyport.example.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	rules := authn.Rules{
		{Method: authn.MethodSCRAM, Users: []string{"svc_report"}, Databases: []string{"app"}, Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		{Method: authn.MethodReject, Users: []string{"svc_report"}},
		{Method: authn.MethodOIDC, Issuer: "company"},
	}
	if diff := cmp.Diff(rules, c.Authentication.Rules, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
	if c.Timeouts.Session != 12*time.Hour || c.Limits.TextBytes != 1<<20 {
		t.Errorf("%+v %+v", c.Timeouts, c.Limits)
	}
	if report := c.Check(); len(report.Problems) > 0 {
		t.Error(report.Problems)
	}
}

// TestExampleIsComplete finds keys that the example does not show.
func TestExampleIsComplete(t *testing.T) {
	example, err := os.ReadFile("../../deploy/sallyport.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = load(t, "x: 1\nproxy_protocol: {x: 1}\ntls: {x: 1}\nadmin: {x: 1, tls: {x: 1}}\nauthentication: {x: 1, scram: {x: 1}, issuers: [{x: 1}], rules: [{x: 1}]}\npolicy: {x: 1}\n"+
		"vault: {x: 1, auth: {x: 1, method: approle}}\ndatabases: {a: {x: 1, tls: {x: 1}, catalog: {x: 1}, routes: {r: {x: 1}}}, b: {credentials: minted, minted: {x: 1}, catalog: {x: 1}}, c: {credentials: static, static: {x: 1, accounts: {r: {x: 1}}}, catalog: {x: 1}}}\naudit: {x: 1}\nstatements: {x: 1}\nlimits: {x: 1}\ntimeouts: {x: 1}\nlog: {x: 1}\n")
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatal(err)
	}
	unknown := 0
	for _, p := range problems {
		_, keys, ok := strings.Cut(p.Message, "is not a key that exists here: these are ")
		if !ok {
			continue
		}
		unknown++
		for key := range strings.SplitSeq(keys, ", ") {
			if !strings.Contains(string(example), key+":") {
				t.Errorf("%s: the example does not show %s", p.Path, key)
			}
		}
	}
	if unknown != 26 {
		t.Errorf("%d sections refused the key x, want 26", unknown)
	}
}

var update = flag.Bool("update", false, "write what is wrong with them into the files of testdata")

// TestProblems runs the files of testdata: a configuration, and all that is wrong with it.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no test data", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		abs, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		var environ []string
		parts := make(map[string]string)
		for _, f := range archive.Files {
			parts[f.Name] = string(f.Data)
		}
		for line := range strings.Lines(parts["environ"]) {
			environ = append(environ, strings.TrimSuffix(line, "\n"))
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			_, err := load(t, parts["sallyport.yaml"], environ...)
			if err == nil {
				t.Fatal("no error")
			}
			if *update {
				archive.Files[len(archive.Files)-1].Data = []byte(err.Error() + "\n")
				if err := os.WriteFile(abs, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(parts["problems"], err.Error()+"\n"); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLoadRefusesFiles(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"missing": filepath.Join(dir, "none"), "directory": dir, "too large": big} {
		t.Run(name, func(t *testing.T) {
			if _, err := Load(path, nil); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestEnvironmentNamesFiles(t *testing.T) {
	c, err := load(t, strings.Replace(small, ", key: server.key", "", 1),
		"PATH=/bin", "SALLYPORT_TLS_KEY_FILE=/run/key", "SALLYPORT_VAULT_TOKEN_FILE=/run/token", "SALLYPORT_ADMIN_TOKEN_FILE=")
	if err != nil {
		t.Fatal(err)
	}
	if c.TLS.Key != "/run/key" || c.Vault.TokenFile != "/run/token" || c.Admin.TokenFile != "" {
		t.Errorf("%+v %+v %+v", c.TLS, c.Vault.TokenFile, c.Admin)
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sallyport.yaml")
	if err := os.WriteFile(path, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "server.crt"); c.TLS.Certificate != want {
		t.Errorf("%s, want %s", c.TLS.Certificate, want)
	}
}

func TestRecheck(t *testing.T) {
	with := func(recheck string) string {
		return strings.Replace(small, "  rules: [{method: scram-sha-256}]",
			"  issuers: [{name: a, issuer: \"https://a\", audiences: [a], recheck: "+recheck+"}]\n  rules: [{method: oidc, issuer: a}]", 1)
	}
	c, err := load(t, with("{interval: 1m}"))
	if err != nil || c.Authentication.Issuers[0].Recheck.Interval != time.Minute {
		t.Fatalf("%+v, %v", c, err)
	}
	for recheck, want := range map[string]string{
		"{}":                                    "recheck.interval: is missing",
		"{interval: 1s}":                        "recheck.interval: is 1s: must be 5s to 1h",
		"{interval: 1m, x: 1}":                  "recheck.x: is not a key",
		"{interval: 1m, client_id: a}":          "recheck.client_secret_file: is missing",
		"{interval: 1m, client_secret_file: a}": "recheck.client_id: is missing",
	} {
		if _, err := load(t, with(recheck)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", recheck, err, want)
		}
	}
	c, err = load(t, with("{interval: 1m, client_id: a, client_secret_file: /nowhere/secret}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Issuers(nil); err == nil || !strings.Contains(err.Error(), "recheck.client_secret_file") {
		t.Errorf("without the file: %v", err)
	}
	c, err = load(t, with("{interval: 1m, max_stale: 30s}"))
	if err == nil {
		_, err = c.Issuers(nil)
	}
	if err == nil || !strings.Contains(err.Error(), "max stale") {
		t.Errorf("max_stale below the interval: %v", err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("a: &a {b: *a}\n"))
	f.Add([]byte("<<: {listen: x}\n? [a]\n: b\n"))
	path := filepath.Join(f.TempDir(), "sallyport.yaml")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path, nil)
		for line := range strings.SplitSeq(errorText(err), "\n") {
			if err != nil && !strings.HasPrefix(line, path) {
				t.Errorf("%q does not say where", line)
			}
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
