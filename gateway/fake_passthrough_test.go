package gateway

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/xdg-go/scram"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway/audit"
	"github.com/sallyport/sallyport/gateway/backend"
)

const (
	passConnect = `package sallyport.connect

decision := {"allow": true, "reasons": [], "role": "reader", "observe": input.identity.user == "dba"} if input.identity.user in {"ana", "dba"}

else := {"allow": true, "reasons": [], "role": "reader", "max_sessions": 1} if input.identity.user == "uno"

else := {"allow": "perhaps", "reasons": []} if input.identity.user == "odd"

else := {"allow": false, "reasons": ["not granted"]}
`
	passStatement = `package sallyport.statement

decision := {"allow": input.statement.complete, "reasons": []}
`
	passPassword = "correct horse" // of every role
)

// passed is a gateway that passes credentials through to a fake server.
type passed struct {
	*serving
	postgres *fakePostgres
	cfg      Config
	log      *syncBuffer
	audit    string // its file
}

// syncBuffer takes the lines of a log.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// pass starts one for a method, whose policy knows ana, and dba, who observes. change may alter its configuration.
func pass(t *testing.T, method authn.Method, play func(p *fakeLogin), change func(cfg *Config)) *passed {
	t.Helper()
	directory := t.TempDir()
	for name, text := range map[string]string{"connect.rego": passConnect, "statement.rego": passStatement} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := authz.New(authz.Config{Directory: directory})
	if err != nil {
		t.Fatal(err)
	}
	p := &passed{postgres: newFakePostgres(t, play), log: &syncBuffer{}, audit: filepath.Join(t.TempDir(), "audit.log")}
	p.cfg = serverConfig(t)
	if p.cfg.Audit, err = audit.Open(audit.Config{Path: p.audit}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cfg.Audit.Close() })
	p.cfg.Policy, p.cfg.Throttle = engine, strict(t)
	p.cfg.Rules = authn.Rules{{Method: method}}
	p.cfg.Logger = slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	database := Database{Backend: p.postgres.config}
	if method == authn.MethodPassMD5 {
		database.Backend.Authentication = backend.MethodMD5
	}
	p.cfg.Databases = map[string]Database{"app": database}
	if change != nil {
		change(&p.cfg)
	}
	p.serving = serve(t, p.cfg)
	return p
}

// asked is the fake server's side of a method.
func asked(method authn.Method, then func(p *fakeLogin)) func(p *fakeLogin) {
	return func(p *fakeLogin) {
		if method == authn.MethodPassMD5 && p.md5(passPassword) || method == authn.MethodPassSCRAM && p.scram(passPassword) ||
			method == authn.MethodPassPassword && p.md5(passPassword) {
			then(p)
		}
	}
}

func greets(p *fakeLogin) { p.greet("off") }

// byMD5 has the password method's backend ask for MD5, which the fake server can do without channel binding.
func byMD5(cfg *Config) {
	database := cfg.Databases["app"]
	database.Backend.Authentication = backend.MethodMD5
	cfg.Databases["app"] = database
}

var passMethods = []authn.Method{authn.MethodPassPassword, authn.MethodPassSCRAM, authn.MethodPassMD5}

// ways runs a test for each way to pass a credential through.
func ways(t *testing.T, test func(t *testing.T, method authn.Method, change func(*Config))) {
	t.Helper()
	for _, method := range passMethods {
		t.Run(string(method), func(t *testing.T) {
			var change func(*Config)
			if method == authn.MethodPassPassword {
				change = byMD5
			}
			test(t, method, change)
		})
	}
}

// loginAs is a client of the gateway as far as its login goes.
type loginAs struct {
	t    testing.TB
	conn *tls.Conn
	*pgproto3.Frontend
	heard []string
}

func (p *passed) startup(words ...string) *loginAs {
	p.t.Helper()
	conn := p.secure()
	if _, err := conn.Write(startPacket(protocol30, hello(words...))); err != nil {
		p.t.Fatal(err)
	}
	return &loginAs{t: p.t, conn: conn, Frontend: pgproto3.NewFrontend(conn, conn)}
}

// next receives one message and remembers its kind and length.
func (l *loginAs) next() pgproto3.BackendMessage {
	m, err := l.Receive()
	if err != nil {
		l.heard = append(l.heard, "closed")
		return nil
	}
	switch m := m.(type) {
	case *pgproto3.AuthenticationSASL:
		l.heard = append(l.heard, fmt.Sprint("SASL ", m.AuthMechanisms))
	case *pgproto3.AuthenticationSASLContinue:
		l.heard = append(l.heard, fmt.Sprintf("Continue with %d bytes", len(m.Data)))
	case *pgproto3.AuthenticationMD5Password:
		l.heard = append(l.heard, "MD5")
	case *pgproto3.ErrorResponse:
		l.heard = append(l.heard, strings.Join([]string{m.Severity, m.Code, m.Message, m.Detail, m.Hint}, "|"))
	default:
		l.heard = append(l.heard, strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3."))
	}
	return m
}

func (l *loginAs) answer(m pgproto3.FrontendMessage) {
	l.Send(m)
	_ = l.Flush()
}

// login answers what it is asked, with a password, to the end, and returns what it heard.
func (l *loginAs) login(user, password string) []string {
	l.t.Helper()
	client, err := scram.SHA256.NewClientUnprepped("", password, "")
	if err != nil {
		l.t.Fatal(err)
	}
	client.WithNonceGenerator(func() string { return "ABCDEFGHIJKLMNOPQRSTUVWX" })
	conversation := client.NewConversation()
	for {
		switch m := l.next().(type) {
		case nil, *pgproto3.ErrorResponse, *pgproto3.ReadyForQuery:
			return l.heard
		case *pgproto3.AuthenticationCleartextPassword:
			l.answer(&pgproto3.PasswordMessage{Password: password})
		case *pgproto3.AuthenticationMD5Password:
			l.answer(&pgproto3.PasswordMessage{Password: md5Response(user, password, m.Salt)})
		case *pgproto3.AuthenticationSASL:
			first, _ := conversation.Step("")
			l.answer(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte(first)})
		case *pgproto3.AuthenticationSASLContinue:
			final, _ := conversation.Step(string(m.Data))
			l.answer(&pgproto3.SASLResponse{Data: []byte(final)})
		case *pgproto3.AuthenticationSASLFinal:
			if _, err := conversation.Step(string(m.Data)); err != nil {
				l.t.Errorf("the backend's signature: %v", err)
			}
		}
	}
}

// login is a whole one of a client that says nothing of parameters.
func (p *passed) login(user, password string) []string {
	p.t.Helper()
	return p.startup("user", user, "database", "app").login(user, password)
}

// trail ends the server and returns the audit events of one type.
func (p *passed) trail(kind string) []map[string]any {
	p.t.Helper()
	p.server.Close()
	data, err := os.ReadFile(p.audit)
	if err != nil {
		p.t.Fatal(err)
	}
	if strings.Contains(string(data), passPassword) || strings.Contains(p.log.String(), passPassword) {
		p.t.Error("the password is in a log")
	}
	var events []map[string]any
	for line := range bytes.Lines(data) {
		event := map[string]any{}
		if err := json.Unmarshal(line, &event); err != nil {
			p.t.Fatal(err)
		}
		delete(event, "time")
		if event["type"] == kind {
			events = append(events, event)
		}
	}
	return events
}

// ended is the reason and SQLSTATE of the last session's end.
func (p *passed) ended() string {
	p.t.Helper()
	ends := p.trail("session_end")
	if len(ends) == 0 {
		p.t.Fatal("no session has ended")
	}
	last := ends[len(ends)-1]
	if last["revocation"] != "none" {
		p.t.Errorf("revocation %v: there is nothing to revoke", last["revocation"])
	}
	return fmt.Sprint(last["reason"], " ", last["sqlstate"])
}

// failures counts those that the throttle holds against a user.
func (p *passed) failures(user string) int {
	p.t.Helper()
	count := 0
	for ; count < 3; count++ { // strict lets one pass and delays after two
		if delay, _ := p.cfg.Throttle.Wait(localhost, user); delay > 0 {
			break
		}
		p.cfg.Throttle.Failed(localhost, user)
	}
	return 2 - count
}

const (
	wrongAna = `FATAL|28P01|password authentication failed for user "ana"||`
	wrongEve = `FATAL|28P01|password authentication failed for user "eve"||`
)

// questions are what a client by a method hears before the end.
var questions = map[authn.Method][]string{
	authn.MethodPassPassword: {"AuthenticationCleartextPassword"},
	authn.MethodPassSCRAM:    {"SASL [SCRAM-SHA-256]", "Continue with 84 bytes"},
	authn.MethodPassMD5:      {"MD5"},
}

func (p *passed) strangers() int {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	return p.server.waiting.Len()
}

// waitFor waits for what another goroutine does.
func (p *passed) waitFor(what string, done func() bool) {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%s does not come", what)
		}
	}
}
