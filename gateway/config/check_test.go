package config

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/certs"
)

const (
	connectPolicy = `package sallyport.connect

decision := {"allow": input.identity.user != "", "reasons": [], "role": "readonly"}
`
	statementPolicy = `package sallyport.statement

decision := {"allow": input.statement.complete, "reasons": []}
`
)

// deploy makes all that small refers to, in the current directory.
func deploy(t *testing.T) {
	t.Helper()
	authority, err := certs.New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.WriteFiles(".", "server", certs.Request{CommonName: "localhost", DNSNames: []string{"localhost"}, Server: true}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("policies", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"ca.crt": string(authority.CertPEM()), "userlist.txt": `"ana" "secret"` + "\n", "token": "hvs.token\n", "policies/connect.rego": connectPolicy, "policies/policy.rego": statementPolicy,
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// withShadow is small with a second policy.
func withShadow(directory string) string {
	return strings.Replace(small, "{directory: policies}", "{directory: policies, shadow: "+directory+"}", 1)
}

// shadowOf makes the second policy.
func shadowOf(statement string) func() error {
	return func() error {
		return errors.Join(os.Mkdir("shadow", 0o700), os.WriteFile("shadow/connect.rego", []byte(connectPolicy), 0o600),
			os.WriteFile("shadow/policy.rego", []byte(statement), 0o600))
	}
}

func withJournal(dir string) string {
	return strings.Replace(small, "audit.log", "audit.log, journal: "+dir, 1)
}

func TestCheck(t *testing.T) {
	write := func(name, content string) func() error {
		return func() error { return os.WriteFile(name, []byte(content), 0o600) }
	}
	tests := map[string]struct {
		change    func() error // nil: none
		config    string       // "": small
		problem   string       // a part of the only problem; "": none
		warning   string
		unchecked string
	}{
		"good":                 {},
		"no certificate":       {change: func() error { return os.Remove("server.crt") }, problem: "sallyport.yaml:2: tls.certificate: server.crt does not exist"},
		"bad certificate":      {change: write("server.crt", "x"), problem: "sallyport.yaml:2: tls: "},
		"other key":            {change: func() error { deployOther(t); return os.Rename("other.key", "server.key") }, problem: "sallyport.yaml:2: tls: "},
		"a directory":          {change: func() error { return replaceByDirectory("token") }, problem: "sallyport.yaml:7: vault.auth.token_file: token is a directory"},
		"a file":               {change: func() error { return replaceByFile("policies") }, problem: "sallyport.yaml:6: policy.directory: policies is not a directory"},
		"no token":             {change: write("token", " \n"), problem: "sallyport.yaml:7: vault.auth.token_file: token is empty"},
		"bad userlist":         {change: write("userlist.txt", "ana secret\n"), problem: "sallyport.yaml:4: authentication.userlist: "},
		"bad policy":           {change: write("policies/policy.rego", "package"), problem: "sallyport.yaml:6: policy.directory: "},
		"no policy":            {change: func() error { return os.Remove("policies/policy.rego") }, problem: "sallyport.yaml:6: policy.directory: "},
		"no shadow":            {config: withShadow("other"), problem: "sallyport.yaml:6: policy.shadow: other does not exist"},
		"bad shadow":           {change: shadowOf("package"), config: withShadow("shadow"), problem: "sallyport.yaml:6: policy.shadow: "},
		"good shadow":          {change: shadowOf(statementPolicy), config: withShadow("shadow")},
		"bad CA":               {change: write("ca.crt", ""), problem: "sallyport.yaml:9: databases.app.tls: "},
		"open secret":          {change: func() error { return os.Chmod("server.key", 0o604) }, warning: "sallyport.yaml:2: tls.key: server.key is open to every user"},
		"unusable password":    {change: write("userlist.txt", `"ana" "md5`+strings.Repeat("0", 32)+`"`+"\n"), warning: "sallyport.yaml:4: authentication.userlist: "},
		"old method":           {config: strings.Replace(small, "scram-sha-256", "md5", 1), warning: `sallyport.yaml:5: authentication.rules: rule 1: method "md5"`},
		"passed through":       {config: strings.Replace(small, "method: scram-sha-256", "method: pass-through-password", 1), warning: `rule 1: method "pass-through-password" is the weakest`},
		"old backend":          {config: strings.Replace(small, "host: db", "host: db, authentication: md5", 1), warning: "sallyport.yaml:9: databases.app.authentication: md5 proves nothing"},
		"no catalog":           {config: strings.Replace(small, ", catalog: {vault_role: looker}", "", 1), warning: "sallyport.yaml:9: databases.app: has no catalog"},
		"elsewhere":            {config: strings.Replace(small, "server.crt", "/nowhere/server.crt", 1), unchecked: "sallyport.yaml:2: tls.certificate: /nowhere/server.crt"},
		"a rule never reached": {config: strings.Replace(small, "[{method: scram-sha-256}]", "[{method: scram-sha-256}, {method: reject}]", 1), problem: "sallyport.yaml:5: authentication.rules: rule 2: never reached"},
		"no journal":           {config: withJournal("none")},
		"a journal":            {config: withJournal("/dev/shm")},
		"a journal on a disk":  {config: withJournal("/proc"), problem: "sallyport.yaml:10: audit.journal: /proc is not memory-backed"},
		"a journal elsewhere":  {config: withJournal("/nowhere"), unchecked: "sallyport.yaml:10: audit.journal: /nowhere does not exist"},
		"short admin token":    {config: small + "admin: {listen: \"127.0.0.1:1\", token_file: token}\n", problem: "sallyport.yaml:11: admin.token_file: "},
		"short mock secret":    {config: strings.Replace(small, "  rules", "  scram: {mock_secret_file: token}\n  rules", 1), problem: "authentication.scram"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			config := test.config
			if config == "" {
				config = small
			}
			c, err := load(t, config)
			if err != nil {
				t.Fatal(err)
			}
			deploy(t)
			if test.change != nil {
				if err := test.change(); err != nil {
					t.Fatal(err)
				}
			}
			report := c.Check()
			wantOne(t, "problems", report.Problems, test.problem)
			wantOne(t, "warnings", report.Warnings, test.warning)
			wantOne(t, "unchecked", report.Unchecked, test.unchecked)
			if _, err := os.Stat("audit.log"); err == nil {
				t.Error("the audit log was created")
			}
		})
	}
}

func wantOne(t *testing.T, what string, got Problems, want string) {
	t.Helper()
	if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || !strings.Contains(got[0].Error(), want)) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func deployOther(t *testing.T) {
	t.Helper()
	authority, err := certs.New("Other CA")
	if err != nil {
		t.Fatal(err)
	}
	if err := authority.WriteFiles(".", "other", certs.Request{CommonName: "localhost", Server: true}); err != nil {
		t.Fatal(err)
	}
}

func replaceByDirectory(name string) error {
	if err := os.Remove(name); err != nil {
		return err
	}
	return os.Mkdir(name, 0o700)
}

func replaceByFile(name string) error {
	if err := os.RemoveAll(name); err != nil {
		return err
	}
	return os.WriteFile(name, nil, 0o600)
}

func TestProblemsAreSplit(t *testing.T) {
	c, err := load(t, strings.Replace(small, "  rules: [{method: scram-sha-256}]", "  issuers: [{name: a, issuer: \"https://a/?q\", audiences: [\"\"], algorithms: [HS256]}]\n  rules: [{method: oidc, issuer: a}]", 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Issuers(nil)
	var got []string
	for line := range strings.SplitSeq(errorText(err), "\n") {
		where, _, _ := strings.Cut(line, "]: ")
		got = append(got, where)
	}
	const where = "sallyport.yaml:5: authentication.issuers[1"
	if diff := cmp.Diff([]string{where, where, where}, got); diff != "" {
		t.Error(diff, err)
	}
}

// TestWarnings: a rule for all databases may be of no use in one of them.
func TestWarnings(t *testing.T) {
	c, err := load(t, strings.NewReplacer("method: scram-sha-256", "method: pass-through-scram-sha-256",
		"host: db", "host: db, authentication: md5").Replace(small))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Warnings() {
		got = append(got, w.Error())
	}
	const where = "sallyport.yaml:9: databases.app.authentication: "
	if len(got) != 3 || !strings.HasPrefix(got[0], `sallyport.yaml:5: authentication.rules: rule 1: method "pass-through-scram-sha-256"`) ||
		!strings.HasPrefix(got[1], where+"md5 proves") || !strings.HasPrefix(got[2], where+"is md5: what comes by pass-through-scram-sha-256 cannot") {
		t.Errorf("warnings:\n%s", strings.Join(got, "\n"))
	}
}
