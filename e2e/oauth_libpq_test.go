package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/sallyport/sallyport/e2e/openid"
	"github.com/sallyport/sallyport/e2e/stack"
)

// oauthClient builds the client on libpq 18 that runs a device flow in libpq's hooks.
func oauthClient(t *testing.T) string {
	t.Helper()
	libpq18Library(t) // or there is nothing to build on
	out := filepath.Join(t.TempDir(), "oauth")
	if said, err := exec.Command(filepath.Join(shared.root, "e2e/clients/oauth/build"), out).CombinedOutput(); err != nil {
		t.Fatalf("build the client: %v\n%s", err, said)
	}
	return out
}

// oauthOptions say whose tokens the client may send, and as which of its clients it asks for them.
func oauthOptions() string {
	return "oauth_issuer=" + shared.services.OpenID.Issuer() + " oauth_client_id=" + openid.ClientID
}

// prompt is what the client shows to its person.
type prompt struct{ page, code, scope string }

var promptLine = regexp.MustCompile(`^Visit (\S+) and enter the code: (\S+) \(it asks for: (.+)\)$`)

// device is one run of the client.
type device struct {
	login
	path      string
	options   string // the connection string
	authority string // whom it trusts with the provider's certificate
	statement string
	// person does what the client asks for; nil: it must not ask.
	person func(*testing.T, prompt)
}

// run returns what the client printed, errors apart.
func (d device) run(t *testing.T) (out, said string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.path, d.options, d.statement)
	cmd.Env = append(append(os.Environ(), d.environment(t)...), "OIDC_CA_FILE="+d.authority)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said, asked := d.listen(t, bufio.NewScanner(stderr))
	err = cmd.Wait()
	if asked != (d.person != nil) {
		t.Errorf("the client asks its person: %t, want %t", asked, d.person != nil)
	}
	return stdout.String(), said, err
}

// listen reads what the client says until it ends, and answers when it asks.
func (d device) listen(t *testing.T, lines *bufio.Scanner) (said string, asked bool) {
	t.Helper()
	for lines.Scan() {
		said += lines.Text() + "\n"
		if found := promptLine.FindStringSubmatch(lines.Text()); found != nil {
			asked = true
			if d.person != nil {
				d.person(t, prompt{found[1], found[2], found[3]})
			}
		}
	}
	return said, asked
}

// answersAs is a person who allows the client in or does not.
func answersAs(account string, allow bool) func(*testing.T, prompt) {
	return func(t *testing.T, p prompt) {
		t.Helper()
		agent := openid.Agent{HTTP: shared.services.HTTPClient(), Email: account, Password: stack.Password}
		if err := agent.AnswerDevice(t.Context(), p.page, p.code, allow); err != nil {
			t.Error(err)
		}
	}
}

// ends is how the sessions with this application_name ended, one after the other.
func ends(t *testing.T, g *stack.Gateway, application string, n int) []string {
	t.Helper()
	var out []string
	for _, session := range allEnded(t, g, application, n) {
		last := session[len(session)-1]
		out = append(out, strings.TrimSpace(last.Reason+" "+last.SQLState))
	}
	return out
}

// discovery is the end of a connection of a client that has no token yet.
const discovery = "discovery 28000"

// TestOAuthLibpq: libpq 18 learns from the gateway where to get a token, gets it in a device flow that a person allows, and logs in.
func TestOAuthLibpq(t *testing.T) {
	g := ownGateway(t, nil)
	d := device{
		login: login{gateway: g, account: stack.OAuth, password: "unused", application: "oauth-libpq"},
		path:  oauthClient(t), options: oauthOptions(), authority: g.CAFile,
		statement: "SELECT id, name FROM customers WHERE id = 42",
	}
	d.person = func(t *testing.T, p prompt) {
		if p.scope != scope {
			t.Errorf("the client asks for the scope %q, want %q", p.scope, scope)
		}
		// However long the person takes, no connection waits for it.
		if diff := cmp.Diff([]string{discovery}, ends(t, g, d.application, 1)); diff != "" {
			t.Errorf("before the person answers (-want +got):\n%s", diff)
		}
		answersAs(stack.OAuth, true)(t, p)
	}
	out, said, err := d.run(t)
	if err != nil || out != "42|"+customer+"\n" {
		t.Fatalf("%v: got %q\n%s", err, out, said)
	}
	session := allEnded(t, g, d.application, 2)[1]
	if got, want := sequence(session), "session_start connect statement outcome session_end"; got != want {
		t.Errorf("the session's events are %s, want %s", got, want)
	}
	for _, e := range session[1:3] {
		if e.User != stack.OAuth || e.Method != "oauthbearer" {
			t.Errorf("%s is by %s with %q", e.Type, e.User, e.Method)
		}
	}
	for _, path := range []string{g.Audit, g.Log} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if at := token.FindIndex(data); at != nil {
			t.Errorf("a token is in %s", path)
		}
	}
}

// token is the beginning of any JWT: {" in base64.
var token = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10}`)

// TestOAuthLibpqRefused: each time it is clear who refuses, and there is no session.
func TestOAuthLibpqRefused(t *testing.T) {
	const failed = `FATAL:  28000: OAuth bearer authentication failed for user "oauth@example.com"`
	allowed := answersAs(stack.OAuth, true)
	path := oauthClient(t)
	for name, test := range map[string]struct {
		change  func(*device)
		person  func(*testing.T, prompt)
		refusal string
		ends    []string
	}{
		"the person denies": {
			nil, answersAs(stack.OAuth, false), "access_denied",
			[]string{discovery},
		},
		"somebody else allows": {
			nil, answersAs(stack.Engineer, true), failed,
			[]string{discovery, "authentication 28000"},
		},
		"another issuer": {
			func(d *device) {
				d.options = "oauth_issuer=https://login.example.com oauth_client_id=" + openid.ClientID
			},
			nil, "is incompatible with oauth_issuer (https://login.example.com)",
			[]string{discovery},
		},
		"no client id": {
			func(d *device) { d.options = "oauth_issuer=" + shared.services.OpenID.Issuer() },
			nil, "oauth_issuer and oauth_client_id are not both set",
			[]string{"client_gone"},
		},
		"a client that the provider does not know": {
			func(d *device) {
				d.options = "oauth_issuer=" + shared.services.OpenID.Issuer() + " oauth_client_id=other"
			},
			nil, "invalid_client",
			[]string{discovery},
		},
		"a provider that the client does not trust": {
			func(d *device) { d.authority = shared.services.ClientCertificate },
			nil, "certificate",
			[]string{discovery},
		},
		"the policy denies": {
			func(d *device) { d.statement = "SELECT * FROM secrets" },
			allowed, "ERROR:  42501: permission denied by policy",
			[]string{discovery, "terminate"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := device{
				login: login{account: stack.OAuth, password: "unused", application: rand.Text()},
				path:  path, options: oauthOptions(), authority: shared.gateway.CAFile,
				statement: "SELECT 'in'", person: test.person,
			}
			if test.change != nil {
				test.change(&d)
			}
			out, said, err := d.run(t)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 || out != "" || !strings.Contains(said, test.refusal) {
				t.Errorf("%v: got %q, want the refusal %q\n%s", err, out, test.refusal, said)
			}
			if diff := cmp.Diff(test.ends, ends(t, shared.gateway, d.application, len(test.ends))); diff != "" {
				t.Errorf("the sessions end (-want +got):\n%s\n%s", diff, said)
			}
		})
	}
}

// TestOAuthWithoutFlow: clients that can get no token say so, rather than ask for a password.
func TestOAuthWithoutFlow(t *testing.T) {
	flowless := login{account: stack.OAuth, password: "unused"}
	for name, test := range map[string]struct{ options, refusal string }{
		"no issuer":      {"", "server requires OAuth authentication, but oauth_issuer and oauth_client_id are not both set"},
		"no flow":        {oauthOptions(), "no OAuth flows are available"},
		"no flow, OAuth": {oauthOptions() + " require_auth=oauth", "no OAuth flows are available"},
		"OAuth refused":  {oauthOptions() + " require_auth=!oauth", "requirement"},
		"SCRAM required": {oauthOptions() + " require_auth=scram-sha-256", "requirement"},
		"bound":          {oauthOptions() + " channel_binding=require", "channel binding"},
	} {
		t.Run(name, func(t *testing.T) { attempt{flowless, test.refusal}.readsOrders(t, libpq18(t, test.options)...) })
	}
	t.Run("libpq before 18", func(t *testing.T) {
		attempt{flowless, "none of the server's SASL authentication mechanisms are supported"}.readsOrders(t, "psql")
	})
}

// TestOAuthByPgx: a client that has a token already.
func TestOAuthByPgx(t *testing.T) {
	open := func(account string) (*pgx.Conn, error) {
		config, err := pgx.ParseConfig(login{account: stack.OAuth, password: "unused"}.dsn(t))
		if err != nil {
			t.Fatal(err)
		}
		config.OAuthTokenProvider = func(context.Context) (string, error) { return shared.tokens[account], nil }
		return pgx.ConnectConfig(t.Context(), config)
	}
	conn, err := open(stack.OAuth)
	if err != nil {
		t.Fatal(err)
	}
	if got := value(t, conn, "SELECT name FROM customers WHERE id = 42"); got != customer {
		t.Errorf("got %q, want %q", got, customer)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := open(stack.Analyst); err == nil || !strings.Contains(err.Error(), "OAuth authentication failed: invalid_token") {
		t.Errorf("with another one's token: %v", err)
	}
}
