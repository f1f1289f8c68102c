package e2e

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/e2e/stack"
)

// attempt is one login by psql and what is to come of it.
type attempt struct {
	login
	refusal string // what psql must say; "": it must get in
}

// readsOrders runs psql, which asks for no password on a terminal.
func (a attempt) readsOrders(t *testing.T, command ...string) {
	t.Helper()
	command = append(command, "-X", "-w", "-A", "-t", "-c", "SELECT count(*) >= 8000 FROM orders")
	out, err := program(t, a.login, "", command[0], command[1:]...)
	switch {
	case a.refusal == "" && (err != nil || out != "t\n"):
		t.Errorf("%v: %s", err, out)
	case a.refusal != "" && (err == nil || !strings.Contains(out, a.refusal)):
		t.Errorf("%v: %s; want a refusal with %q", err, out, a.refusal)
	}
}

// binding is libpq's and pgx's word on channel binding.
func binding(word string) map[string]string { return map[string]string{"channel_binding": word} }

// TestSCRAM is libpq's, which binds the channel (p) or does not want to (n). That it could have (y) it says only to who offers no -PLUS.
func TestSCRAM(t *testing.T) {
	const refused = `FATAL:  password authentication failed for user "svc_report"`
	for name, a := range map[string]attempt{
		"bound":                          {login{account: stack.Service, options: binding("require")}, ""},
		"bound by preference":            {login{account: stack.Service, options: binding("prefer")}, ""},
		"not bound":                      {login{account: stack.Service, options: binding("disable")}, ""},
		"bound, wrong password":          {login{account: stack.Service, password: "wrong", options: binding("require")}, refused},
		"not bound, wrong password":      {login{account: stack.Service, password: "wrong", options: binding("disable")}, refused},
		"bound, password of another one": {login{account: stack.Service, password: shared.gateway.LegacyPassword, options: binding("require")}, refused},
		"a token cannot be bound":        {login{account: stack.Analyst, options: binding("require")}, "channel binding"},
	} {
		t.Run(name, func(t *testing.T) { a.readsOrders(t, "psql") })
	}
}

// TestSCRAMByPgx: another implementation, which is as strict about what it was promised.
func TestSCRAMByPgx(t *testing.T) {
	for _, word := range []string{"require", "prefer", "disable"} {
		t.Run(word, func(t *testing.T) {
			good := login{account: stack.Service, options: binding(word)}
			if got := value(t, good.connect(t), "SELECT 'in'"); got != "in" {
				t.Errorf("got %q", got)
			}
			bad := good
			bad.password = "wrong"
			if _, err := bad.open(t); sqlstate(t, err) != "28P01" {
				t.Errorf("with a wrong password: %v", err)
			}
		})
	}
}

func TestMD5(t *testing.T) {
	const refused = `FATAL:  password authentication failed for user "svc_legacy"`
	for name, a := range map[string]attempt{
		"right":                        {login{account: stack.Legacy}, ""},
		"wrong password":               {login{account: stack.Legacy, password: "wrong"}, refused},
		"password of another one":      {login{account: stack.Legacy, password: shared.gateway.ServicePassword}, refused},
		"what is stored is not enough": {login{account: stack.Legacy, password: "md5d41d8cd98f00b204e9800998ecf8427e"}, refused},
		"no channel to bind":           {login{account: stack.Legacy, options: binding("require")}, "channel binding"},
	} {
		t.Run(name, func(t *testing.T) { a.readsOrders(t, "psql") })
	}
}

// TestMethodIsRecorded: the audit log tells by what a session was proved.
func TestMethodIsRecorded(t *testing.T) {
	for name, l := range map[string]login{
		"oidc":          {account: stack.Analyst, application: "method-oidc"},
		"scram-sha-256": {account: stack.Service, application: "method-scram"},
		"md5":           {account: stack.Legacy, application: "method-md5"},
		"cert":          batch("method-cert"),
	} {
		t.Run(name, func(t *testing.T) {
			conn := l.connect(t)
			if err := conn.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, e := range ended(t, shared.gateway, l.application) {
				if e.Method != "" && e.Method != name {
					t.Errorf("%s: method %q, want %q", e.Type, e.Method, name)
				}
				if e.Method == name {
					return
				}
			}
			t.Error("no event names the method")
		})
	}
}
