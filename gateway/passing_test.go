package gateway

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/credentials"
)

// TestPassThroughSCRAMClient: what a client may not say. A backend is not asked for it.
func TestPassThroughSCRAMClient(t *testing.T) {
	const binding = "28000|SCRAM cannot be passed through for a client that could bind the channel: connect with channel_binding=disable|"
	for name, tt := range map[string]struct {
		mechanism, first, want string
	}{
		"could bind":             {"SCRAM-SHA-256", "y,,n=,r=ABCDEFGHIJKLMNOPQRSTUVWX", binding},
		"binds":                  {"SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=ABCDEFGHIJKLMNOPQRSTUVWX", "08P01|"},
		"binds, by its name":     {"SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=ABCDEFGHIJKLMNOPQRSTUVWX", "08P01|"},
		"on another's behalf":    {"SCRAM-SHA-256", "n,a=dba,n=,r=ABCDEFGHIJKLMNOPQRSTUVWX", "0A000|"},
		"mandatory extension":    {"SCRAM-SHA-256", "n,,m=x,n=,r=ABCDEFGHIJKLMNOPQRSTUVWX", "0A000|"},
		"another mechanism":      {"OAUTHBEARER", "n,,", "08P01|"},
		"no nonce":               {"SCRAM-SHA-256", "n,,n=", "08P01|"},
		"NUL":                    {"SCRAM-SHA-256", "n,,n=\x00,r=ABCDEFGHIJKLMNOPQRSTUVWX", "08P01|"},
		"too long":               {"SCRAM-SHA-256", "n,,n=,r=" + strings.Repeat("A", 1017), "08P01|"},
		"far too long":           {"SCRAM-SHA-256", "n,,n=,r=" + strings.Repeat("A", 4000), "08P01|"},
		"a final in first place": {"SCRAM-SHA-256", "c=biws,r=ABCDEFGHIJKLMNOPQRSTUVWX,p=AAAA", "08P01|"},
	} {
		for _, user := range []string{"ana", "eve"} {
			t.Run(name+"/"+user, func(t *testing.T) {
				p := pass(t, authn.MethodPassSCRAM, asked(authn.MethodPassSCRAM, greets), nil)
				l := p.startup("user", user, "database", "app")
				l.next()
				l.answer(&pgproto3.SASLInitialResponse{AuthMechanism: tt.mechanism, Data: []byte(tt.first)})
				l.next()
				if !strings.HasPrefix(l.heard[1], "FATAL|"+tt.want) {
					t.Errorf("the client hears %q, want %s", l.heard, tt.want)
				}
				p.server.Close()
				if p.postgres.dialled.Load() != 0 || p.failures(user) != 0 {
					t.Error("the backend was dialled, or a failed login counted")
				}
			})
		}
	}
	t.Run("without data at first", func(t *testing.T) {
		p := pass(t, authn.MethodPassSCRAM, asked(authn.MethodPassSCRAM, greets), nil)
		l := p.startup("user", "ana", "database", "app")
		l.next()
		if _, err := l.conn.Write([]byte("p\x00\x00\x00\x16SCRAM-SHA-256\x00\xff\xff\xff\xff")); err != nil {
			t.Fatal(err)
		}
		l.next()
		l.answer(&pgproto3.SASLResponse{Data: []byte("n,,n=,r=ABCDEFGHIJKLMNOPQRSTUVWX")})
		l.next()
		want := []string{"SASL [SCRAM-SHA-256]", "Continue with 0 bytes", "Continue with 84 bytes"}
		if diff := cmp.Diff(want, l.heard); diff != "" {
			t.Errorf("the client hears (-want +got):\n%s", diff)
		}
	})
}

// TestPassThroughAnswers: an answer that is none does not reach the backend.
func TestPassThroughAnswers(t *testing.T) {
	const proof = "p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for name, tt := range map[string]struct {
		method authn.Method
		answer pgproto3.FrontendMessage
		want   string
	}{
		"flag y in the end":  {authn.MethodPassSCRAM, &pgproto3.SASLResponse{Data: []byte("c=eSws,r=NONCE," + proof)}, "08P01"},
		"another nonce":      {authn.MethodPassSCRAM, &pgproto3.SASLResponse{Data: []byte("c=biws,r=NONCEx," + proof)}, "08P01"},
		"short proof":        {authn.MethodPassSCRAM, &pgproto3.SASLResponse{Data: []byte("c=biws,r=NONCE,p=AAAA")}, "08P01"},
		"NUL":                {authn.MethodPassSCRAM, &pgproto3.SASLResponse{Data: []byte("c=biws,r=NONCE," + proof + "\x00")}, "08P01"},
		"oversized":          {authn.MethodPassSCRAM, &pgproto3.SASLResponse{Data: make([]byte, 4000)}, "08P01"},
		"nothing":            {authn.MethodPassSCRAM, &pgproto3.SASLResponse{}, "08P01"},
		"a query":            {authn.MethodPassSCRAM, &pgproto3.Query{String: "SELECT 1"}, "08P01"},
		"a query, MD5":       {authn.MethodPassMD5, &pgproto3.Query{String: "SELECT 1"}, "08P01"},
		"the password":       {authn.MethodPassMD5, &pgproto3.PasswordMessage{Password: passPassword}, "28P01"},
		"31 digits":          {authn.MethodPassMD5, &pgproto3.PasswordMessage{Password: "md5" + strings.Repeat("0", 31)}, "28P01"},
		"capitals":           {authn.MethodPassMD5, &pgproto3.PasswordMessage{Password: "md5" + strings.Repeat("A", 32)}, "28P01"},
		"empty":              {authn.MethodPassMD5, &pgproto3.PasswordMessage{}, "28P01"},
		"empty password":     {authn.MethodPassPassword, &pgproto3.PasswordMessage{}, "28P01"},
		"a query, password":  {authn.MethodPassPassword, &pgproto3.Query{String: "SELECT 1"}, "08P01"},
		"two strings":        {authn.MethodPassMD5, &pgproto3.SASLResponse{Data: []byte("a\x00b\x00")}, "08P01"},
		"unterminated":       {authn.MethodPassMD5, &pgproto3.SASLResponse{Data: []byte("md5")}, "08P01"},
		"first message over": {authn.MethodPassSCRAM, &pgproto3.SASLResponse{Data: []byte("n,,n=,r=ABCDEFGHIJKLMNOPQRSTUVWX")}, "08P01"},
	} {
		for _, user := range []string{"ana", "eve"} {
			t.Run(name+"/"+user, func(t *testing.T) {
				reached := make(chan bool, 1)
				p := pass(t, tt.method, func(p *fakeLogin) {
					if tt.method == authn.MethodPassMD5 {
						reached <- p.md5(passPassword)
						return
					}
					reached <- p.scram(passPassword)
				}, nil)
				l := p.startup("user", user, "database", "app")
				first := l.next()
				if _, sasl := first.(*pgproto3.AuthenticationSASL); sasl {
					l.answer(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=ABCDEFGHIJKLMNOPQRSTUVWX")})
					challenge, _ := l.next().(*pgproto3.AuthenticationSASLContinue)
					if response, ok := tt.answer.(*pgproto3.SASLResponse); ok {
						nonce, _, _ := strings.Cut(strings.TrimPrefix(string(challenge.Data), "r="), ",")
						tt.answer = &pgproto3.SASLResponse{Data: []byte(strings.Replace(string(response.Data), "NONCE", nonce, 1))}
					}
				}
				l.answer(tt.answer)
				l.next()
				if last := l.heard[len(l.heard)-1]; !strings.HasPrefix(last, "FATAL|"+tt.want+"|") {
					t.Errorf("the client hears %q, want %s", l.heard, tt.want)
				}
				p.server.Close()
				if got := p.failures(user); (got == 1) != (tt.want == "28P01") {
					t.Errorf("%d failed logins are counted", got)
				}
				if p.postgres.dialled.Load() == 1 && <-reached {
					t.Error("the backend is content")
				}
			})
		}
	}
}

// TestPassThroughQuits: a client that goes away takes its backend session with it, and is no failed login.
func TestPassThroughQuits(t *testing.T) {
	ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
		for answered := range len(questions[method]) {
			t.Run(fmt.Sprint("after question ", answered+1), func(t *testing.T) {
				p := pass(t, method, asked(method, greets), change)
				l := p.startup("user", "ana", "database", "app")
				l.next()
				if answered == 1 {
					l.answer(&pgproto3.SASLInitialResponse{AuthMechanism: "SCRAM-SHA-256", Data: []byte("n,,n=,r=ABCDEFGHIJKLMNOPQRSTUVWX")})
					l.next()
				}
				_ = l.conn.Close()
				p.waitFor("the session's end", func() bool { return p.server.unproven.taken() == 0 && p.strangers() == 0 })
				p.waitFor("the backend session's end", func() bool { return p.postgres.open.Load() == 0 })
				if got := p.ended(); got != "client_gone <nil>" {
					t.Errorf("ended by %s", got)
				}
				if got := p.failures("ana"); got != 0 {
					t.Errorf("%d failed logins are counted", got)
				}
			})
		}
	})
}

// TestAskHasADeadline: a backend does not wait for a client for long.
func TestAskHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := startTimed(t, Timeouts{}, authn.Identity{}, grant{}, credentials.Lease{})
		client := x.relay.client
		s := &session{conn: client}
		a := &admitted{conn: tls.Server(client, &tls.Config{}), startup: &startup{asked: protocol30, protocol: protocol30}} // #nosec
		began := time.Now()
		_, err := s.ask(t.Context(), a, &pgproto3.AuthenticationMD5Password{}, readPasswordString)
		checkReason(t, err, ReasonDeadline)
		if took := time.Since(began); took != answerTime {
			t.Errorf("took %v, want %v", took, answerTime)
		}
	})
}
