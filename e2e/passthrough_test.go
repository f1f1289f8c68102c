package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/e2e/stack"
)

// people are the accounts of TestPassThrough besides those of the matrix.
const (
	ghost    = "own_ghost"    // the policy knows it, PostgreSQL does not
	stranger = "own_stranger" // PostgreSQL knows it, the policy does not
	boss     = "own_boss"     // a superuser
	retired  = "own_retired"  // may not log in
	late     = "own_late"     // its password has expired
	twofold  = "own_twofold"  // needs a certificate besides
)

// passingGateway is the matrix's with more people, and a rule for all of them.
func passingGateway(t *testing.T, own roles) *stack.Gateway {
	t.Helper()
	stored := func(name string) string { return " PASSWORD '" + verifier(t, name, own.password) + "' " }
	role(t, stranger, "LOGIN"+stored(stranger)+"IN ROLE app_readonly")
	role(t, boss, "LOGIN SUPERUSER"+stored(boss))
	role(t, retired, "NOLOGIN"+stored(retired)+"IN ROLE app_readonly")
	role(t, late, "LOGIN"+stored(late)+"VALID UNTIL '2001-01-01' IN ROLE app_readonly")
	role(t, twofold, "LOGIN"+stored(twofold)+"IN ROLE app_readonly")
	return ownGateway(t, func(c *stack.GatewayConfig) {
		legacy := c.Databases[stack.App]
		legacy.Name, legacy.Method = stack.App, "md5"
		legacy.Catalog = &stack.CatalogConfig{VaultRole: "legacy-readonly"} // one that comes by MD5
		c.Databases["legacy"] = legacy
		everyone := []string{ghost, stranger, boss, retired, late, own.role("pass-through-scram-sha-256", "")}
		accounts := map[string]string{twofold: "pass-through-scram-sha-256"}
		for _, name := range everyone {
			if name != stranger {
				accounts[name] = "pass-through-scram-sha-256"
			}
		}
		passwords := []string{own.role("pass-through-password", ""), own.role("pass-through-password", "md5")}
		hashes := []string{own.role("pass-through-md5", ""), own.role("pass-through-md5", "md5")}
		for _, name := range passwords {
			accounts[name] = "pass-through-password"
		}
		for _, name := range hashes {
			accounts[name] = "pass-through-md5"
		}
		c.Authentication.Rules = []stack.RuleConfig{
			{Method: "pass-through-password", Users: passwords},
			{Method: "pass-through-md5", Users: hashes, Databases: []string{"legacy"}},
			{Method: "pass-through-scram-sha-256", Users: []string{twofold}, Databases: []string{stack.App}, Certificate: true},
			{Method: "pass-through-scram-sha-256", Users: everyone, Databases: []string{stack.App}},
		}
		c.Authentication.Issuers, c.Admin.Operators, c.Admin.Audiences = nil, nil, nil // nobody comes by a token
		c.Policy.Directory = readersPolicy(t, accounts, []string{stack.App, "legacy"})
	})
}

// TestPassThrough is libpq's: what it does by itself, what it must be told, and what people hear.
func TestPassThrough(t *testing.T) {
	own := ownRoles(t)
	g := passingGateway(t, own)
	byPassword, bySCRAM := own.role("pass-through-password", ""), own.role("pass-through-scram-sha-256", "")
	old, byMD5, notMD5 := own.role("pass-through-password", "md5"), own.role("pass-through-md5", "md5"), own.role("pass-through-md5", "")
	his := issued(t, shared.services.Clients, certs.Request{CommonName: twofold, Client: true})
	unbound := func(more map[string]string) map[string]string {
		options := binding("disable")
		for key, value := range more {
			options[key] = value
		}
		return options
	}
	wrong := func(name string) string { return `FATAL:  password authentication failed for user "` + name + `"` }
	const (
		cannotBind = "FATAL:  SCRAM cannot be passed through for a client that could bind the channel: connect with channel_binding=disable"
		noProof    = "FATAL:  connection requires a valid client certificate"
	)
	for name, test := range map[string]struct {
		login
		refusal string
	}{
		"password":                             {login{account: byPassword}, ""},
		"password, wrong":                      {login{account: byPassword, password: "wrong"}, wrong(byPassword)},
		"password, kept as MD5":                {login{account: old, database: "legacy"}, ""},
		"password, kept as MD5, wrong":         {login{account: old, database: "legacy", password: "wrong"}, wrong(old)},
		"password, of a SCRAM role, asked MD5": {login{account: byPassword, database: "legacy"}, wrong(byPassword)},
		"SCRAM, as libpq comes":                {login{account: bySCRAM}, cannotBind},
		"SCRAM":                                {login{account: bySCRAM, options: unbound(nil)}, ""},
		"SCRAM, wrong":                         {login{account: bySCRAM, password: "wrong", options: unbound(nil)}, wrong(bySCRAM)},
		"SCRAM, bound":                         {login{account: bySCRAM, options: binding("require")}, "channel binding"},
		"MD5":                                  {login{account: byMD5, database: "legacy"}, ""},
		"MD5, wrong":                           {login{account: byMD5, database: "legacy", password: "wrong"}, wrong(byMD5)},
		"MD5, kept as SCRAM":                   {login{account: notMD5, database: "legacy"}, wrong(notMD5)},
		"MD5, bound":                           {login{account: byMD5, database: "legacy", options: binding("require")}, "channel binding"},
		"no such role":                         {login{account: ghost, options: unbound(nil)}, wrong(ghost)},
		"no grant":                             {login{account: stranger, options: unbound(nil)}, wrong(stranger)},
		"no grant, as libpq comes":             {login{account: stranger}, cannotBind},
		"superuser":                            {login{account: boss, options: unbound(nil)}, "FATAL:  the database refused the session"},
		"superuser, wrong":                     {login{account: boss, password: "wrong", options: unbound(nil)}, wrong(boss)},
		"may not log in":                       {login{account: retired, options: unbound(nil)}, wrong(retired)},
		"expired":                              {login{account: late, options: unbound(nil)}, wrong(late)},
		"certificate too":                      {login{account: twofold, options: unbound(his)}, ""},
		"certificate missing":                  {login{account: twofold, options: unbound(nil)}, noProof},
		"certificate alone":                    {login{account: twofold, password: "wrong", options: unbound(his)}, wrong(twofold)},
		"parameter that is refused":            {login{account: byPassword, options: map[string]string{"options": "-c search_path=public"}}, "FATAL:  parameter \"search_path\" is not permitted by policy"},
		"the same, wrong password":             {login{account: byPassword, password: "wrong", options: map[string]string{"options": "-c search_path=public"}}, wrong(byPassword)},
	} {
		t.Run(name, func(t *testing.T) {
			test.gateway = g
			if test.password == "" {
				test.password = own.password
			}
			attempt{test.login, test.refusal}.readsOrders(t, "psql")
		})
	}
	t.Run("libpq 18", func(t *testing.T) {
		l := login{gateway: g, account: bySCRAM, password: own.password}
		attempt{l, ""}.readsOrders(t, libpq18(t, "channel_binding=disable require_auth=scram-sha-256 sslnegotiation=direct min_protocol_version=3.2 max_protocol_version=3.2")...)
		l.application = t.Name() + "-2"
		attempt{l, cannotBind}.readsOrders(t, libpq18(t, "require_auth=scram-sha-256")...)
	})
	if err := g.Stop(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"gateway's log": content(t, g.Log), "audit log": content(t, g.Audit), "PostgreSQL's log": backendLog(t)} {
		if strings.Contains(text, own.password) {
			t.Errorf("the password is in the %s", name)
		}
	}
	if strings.Contains(backendLog(t), "user="+stranger) {
		t.Error("whom the policy does not know has come as far as PostgreSQL")
	}
	if err := g.Start(t.Context()); err != nil { // the test's end stops it
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestPassThroughIsRecorded: who is refused hears the same, and the audit log and the gateway's log tell why.
func TestPassThroughIsRecorded(t *testing.T) {
	own := ownRoles(t)
	g := passingGateway(t, own)
	byMD5 := own.role("pass-through-md5", "")
	for name, test := range map[string]struct {
		login
		events, reason, log string
	}{
		"no grant":           {login{account: stranger}, "session_start connect login_refused session_end", "policy_denied", ""},
		"no such role":       {login{account: ghost}, "session_start login_refused session_end", "authentication", ""},
		"kept as SCRAM":      {login{account: byMD5, database: "legacy"}, "session_start login_refused session_end", "backend_refused", "asked for SASL where only an MD5 password is accepted"},
		"no such database":   {login{account: byMD5, database: "none"}, "session_start login_refused session_end", "authentication", ""}, // and no such rule
		"superuser, refused": {login{account: boss}, "session_start connect login_refused session_end", "backend_refused", "is_superuser is on"},
	} {
		t.Run(name, func(t *testing.T) {
			test.gateway, test.password, test.application, test.options = g, own.password, "refused-"+name, binding("disable")
			if _, err := test.open(t); err == nil {
				t.Fatal("connected")
			}
			all := ended(t, g, test.application)
			last := all[len(all)-1]
			if sequence(all) != test.events || last.Reason != test.reason || last.Revocation != "none" {
				t.Errorf("events: %s, %+v", sequence(all), last)
			}
			for _, e := range all {
				if e.Type == "connect" && (e.Claimed != (e.User == stranger) || e.Allow == (e.User == stranger) || e.Credential != "") {
					t.Errorf("connect: %+v", e)
				}
			}
			if test.log != "" {
				logged(t, g, last.Session, test.log)
			}
		})
	}
}

// TestPassThroughCancel: a cancel request finds the backend's session.
func TestPassThroughCancel(t *testing.T) {
	own := ownRoles(t)
	l := login{gateway: passingGateway(t, own), account: own.role("pass-through-scram-sha-256", ""), password: own.password, options: binding("disable")}
	conn := l.connect(t)
	result := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), "SELECT count(*) FROM orders a, orders b, orders c, orders d")
		result <- err
	}()
	activity := superuser(t, stack.App)
	eventually(t, 20*time.Second, func() error {
		if running := value(t, activity, "SELECT count(*)::text FROM pg_stat_activity WHERE usename = $1 AND state = 'active'", l.account); running != "1" {
			return fmt.Errorf("%s statements run", running)
		}
		return nil
	})
	if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := sqlstate(t, <-result); got != "57014" {
		t.Errorf("SQLSTATE %q, want 57014", got)
	}
	execute(t, conn, "SELECT 1")
}
