package gateway

import (
	"crypto/tls"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/gateway/backend"
)

func TestPassThrough(t *testing.T) {
	ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
		p := pass(t, method, asked(method, greets), change)
		l := p.startup("user", "ana", "database", "app", "application_name", "psql")
		heard := l.login("ana", passPassword)
		want := slices.Clone(questions[method])
		if method == authn.MethodPassSCRAM {
			want = append(want, "AuthenticationSASLFinal")
		}
		want = append(want, "AuthenticationOk", "ParameterStatus", "ParameterStatus", "ParameterStatus", "ParameterStatus", "ParameterStatus",
			"BackendKeyData", "ReadyForQuery")
		if diff := cmp.Diff(want, heard); diff != "" {
			t.Errorf("the client hears (-want +got):\n%s", diff)
		}
		p.waitFor("the session", func() bool { return len(p.server.Sessions()) == 1 })
		if sessions := p.server.Sessions(); sessions[0].Method != string(method) || sessions[0].BackendRole != "ana" {
			t.Errorf("sessions: %+v", sessions)
		}
		l.answer(&pgproto3.Terminate{})
		l.next()
		connects := p.trail("connect")
		delete(connects[0], "policy_revision")
		delete(connects[0], "session")
		if address := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.postgres.config.Port)); connects[0]["backend_address"] != address {
			t.Errorf("the backend is at %v, want %s", connects[0]["backend_address"], address)
		}
		delete(connects[0], "backend_address")
		if diff := cmp.Diff([]map[string]any{{
			"type": "connect", "user": "ana", "method": string(method), "subject": "ana", "groups": []any{}, "allow": true, "reasons": []any{}, "search_path": []any{"pg_temp"},
			"role": "reader", "backend_host": "127.0.0.1", "backend_database": "app", "backend_role": "ana", "backend_pid": 7.0, "credential": "client",
		}}, connects); diff != "" {
			t.Errorf("connect events (-want +got):\n%s", diff)
		}
		if got := p.ended(); got != "terminate <nil>" {
			t.Errorf("ended by %s", got)
		}
		p.waitFor("the backend session's end", func() bool { return p.postgres.open.Load() == 0 })
	})
}

// TestPassThroughWrong: the backend refuses the credential.
func TestPassThroughWrong(t *testing.T) {
	ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
		p := pass(t, method, asked(method, greets), change)
		if diff := cmp.Diff(append(slices.Clone(questions[method]), wrongAna), p.login("ana", "wrong")); diff != "" {
			t.Errorf("the client hears (-want +got):\n%s", diff)
		}
		if got := p.ended(); got != "authentication 28P01" {
			t.Errorf("ended by %s", got)
		}
		if connects := p.trail("connect"); len(connects) != 0 {
			t.Errorf("who has proved nothing has connected: %v", connects)
		}
		if got := p.failures("ana"); got != 1 {
			t.Errorf("%d failed logins are counted, want 1", got)
		}
	})
}

// TestPassThroughDenied: policy says no. The client hears what it hears with a wrong password, and no backend is asked.
func TestPassThroughDenied(t *testing.T) {
	for name, tt := range map[string]struct {
		user   string
		words  []string
		answer string
		reason string
		allow  bool
	}{
		"not granted":         {"eve", []string{"database", "app"}, wrongEve, "policy_denied", false},
		"unknown database":    {"ana", []string{"database", "none"}, wrongAna, "unknown_database", true},
		"replication":         {"ana", []string{"database", "app", "replication", "database"}, wrongAna, "unsupported", true},
		"a bad parameter too": {"eve", []string{"database", "app", "search_path", "x"}, wrongEve, "policy_denied", false},
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
				p := pass(t, method, asked(method, greets), change)
				heard := p.startup(append([]string{"user", tt.user}, tt.words...)...).login(tt.user, passPassword)
				if diff := cmp.Diff(append(slices.Clone(questions[method]), tt.answer), heard); diff != "" {
					t.Errorf("the client hears (-want +got):\n%s", diff)
				}
				if got := p.ended(); got != tt.reason+" 28P01" {
					t.Errorf("ended by %s", got)
				}
				connects := p.trail("connect")
				if len(connects) != 1 || connects[0]["allow"] != tt.allow || connects[0]["claimed"] != true || connects[0]["user"] != tt.user {
					t.Errorf("connect events: %v", connects)
				}
				if got := p.postgres.dialled.Load(); got != 0 {
					t.Errorf("the backend is dialled %d times", got)
				}
				if strings.Contains(p.log.String(), `"level":"WARN"`) {
					t.Errorf("strangers can fill the log:\n%s", p.log)
				}
				if got := p.failures(tt.user); got != 1 {
					t.Errorf("%d failed logins are counted, want 1", got)
				}
			})
		})
	}
}

// TestPassThroughPolicyFails: that is nobody's secret.
func TestPassThroughPolicyFails(t *testing.T) {
	p := pass(t, authn.MethodPassSCRAM, asked(authn.MethodPassSCRAM, greets), nil)
	if heard := p.login("odd", passPassword); len(heard) != 1 || !strings.HasPrefix(heard[0], "FATAL|57P03|policy could not decide") {
		t.Errorf("the client hears %q", heard)
	}
	if p.postgres.dialled.Load() != 0 || p.failures("odd") != 0 {
		t.Error("the backend was dialled, or a failed login counted")
	}
}

// TestPassThroughOtherQuestion: a backend that asks for something else, or fails otherwise before the proof, is a wrong password too.
// Nothing but the log tells that it was not.
func TestPassThroughOtherQuestion(t *testing.T) {
	says := func(m pgproto3.BackendMessage) func(p *fakeLogin) {
		return func(p *fakeLogin) { p.say(m); p.greet("off") }
	}
	for name, tt := range map[string]struct {
		play   func(p *fakeLogin)
		except authn.Method // for which it is no other question
		reason string
		log    string
	}{
		"cleartext":           {says(&pgproto3.AuthenticationCleartextPassword{}), "", "backend_refused", "asked for a cleartext password"},
		"nothing":             {greets, "", "backend_refused", "asked for nothing"},
		"MD5":                 {says(&pgproto3.AuthenticationMD5Password{}), authn.MethodPassMD5, "backend_refused", "asked for an MD5 password"},
		"SCRAM":               {says(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}}), authn.MethodPassSCRAM, "backend_refused", "asked for SASL"},
		"only PLUS":           {says(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256-PLUS"}}), "", "backend_refused", ""},
		"GSS":                 {says(&pgproto3.AuthenticationGSS{}), "", "backend_refused", "authentication kind 7"},
		"pg_hba refuses":      {func(p *fakeLogin) { p.refuse("28000") }, "", "authentication", "28000"},
		"no such role":        {func(p *fakeLogin) { p.refuse("28P01") }, "", "authentication", "28P01"},
		"protocol violation":  {func(p *fakeLogin) { p.refuse("08P01") }, "", "backend_refused", "08P01"},
		"something else":      {func(p *fakeLogin) { p.refuse("XX000") }, "", "backend_refused", "XX000"},
		"an unasked question": {says(&pgproto3.AuthenticationSASLContinue{Data: []byte("r=x")}), "", "backend_refused", "asked for SASLContinue"},
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
				if method == tt.except || name == "MD5" && method == authn.MethodPassPassword {
					return
				}
				p := pass(t, method, tt.play, change)
				if diff := cmp.Diff(append(slices.Clone(questions[method]), wrongAna), p.login("ana", passPassword)); diff != "" {
					t.Errorf("the client hears (-want +got):\n%s", diff)
				}
				if got := p.ended(); got != tt.reason+" 28P01" {
					t.Errorf("ended by %s", got)
				}
				if loud := strings.Contains(p.log.String(), `"level":"WARN"`); loud != (tt.reason == "backend_refused") || !strings.Contains(p.log.String(), tt.log) {
					t.Errorf("the log does not say %q:\n%s", tt.log, p.log)
				}
				if p.postgres.dialled.Load() != 1 || len(p.trail("connect")) != 0 {
					t.Error("the backend was dialled again, or somebody has connected")
				}
			})
		})
	}
}

// TestPassThroughBadChallenge: a backend whose challenge is not passed on.
func TestPassThroughBadChallenge(t *testing.T) {
	for name, challenge := range map[string]string{
		"a billion iterations": "r=ABCDEFGHIJKLMNOPQRSTUVWXabcdefghijklmnopqrstuvwx,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=1000000000",
		"one iteration":        "r=ABCDEFGHIJKLMNOPQRSTUVWXabcdefghijklmnopqrstuvwx,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=1",
		"another nonce":        "r=abcdefghijklmnopqrstuvwxabcdefghijklmnopqrstuvwx,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096",
		"blank in the nonce":   "r=ABCDEFGHIJKLMNOPQRSTUVWXabcdefghijkl nopqrstuvwx,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096",
		"nothing":              "",
		"oversized":            "r=ABCDEFGHIJKLMNOPQRSTUVWX" + strings.Repeat("a", 1000) + ",s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096",
		"NUL":                  "r=ABCDEFGHIJKLMNOPQRSTUVWXabcdefghijkl\x00opqrstuvwx,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096",
	} {
		t.Run(name, func(t *testing.T) {
			p := pass(t, authn.MethodPassSCRAM, func(p *fakeLogin) {
				p.say(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{"SCRAM-SHA-256"}})
				_ = p.SetAuthType(pgproto3.AuthTypeSASL)
				_, _ = p.Receive()
				p.say(&pgproto3.AuthenticationSASLContinue{Data: []byte(challenge)})
			}, nil)
			if diff := cmp.Diff(append(slices.Clone(questions[authn.MethodPassSCRAM]), wrongAna), p.login("ana", passPassword)); diff != "" {
				t.Errorf("the client hears (-want +got):\n%s", diff)
			}
			if got := p.ended(); got != "backend_refused 28P01" {
				t.Errorf("ended by %s", got)
			}
		})
	}
}

// TestPassThroughAfterTheProof: what goes wrong then is told, and recorded as of somebody who is known.
func TestPassThroughAfterTheProof(t *testing.T) {
	refuses := func(code string) func(p *fakeLogin) {
		return func(p *fakeLogin) { p.say(&pgproto3.AuthenticationOk{}); p.refuse(code) }
	}
	superuser := func(p *fakeLogin) { p.greet("on") }
	for name, tt := range map[string]struct {
		user  string
		words []string
		then  func(p *fakeLogin)
		want  string // SQLSTATE; "": in
	}{
		"superuser":                {"ana", nil, superuser, "08004"},
		"superuser who observes":   {"dba", nil, superuser, ""},
		"no such database":         {"ana", nil, refuses("3D000"), "08004"},
		"too many connections":     {"ana", nil, refuses("53300"), "57P03"},
		"may not log in":           {"ana", nil, refuses("28000"), "28P01"},
		"bad parameter":            {"ana", []string{"search_path", "x"}, greets, "42501"},
		"parameter of an observer": {"dba", []string{"search_path", "x"}, greets, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
				p := pass(t, method, asked(method, tt.then), change)
				heard := p.startup(append([]string{"user", tt.user, "database", "app"}, tt.words...)...).login(tt.user, passPassword)
				last := heard[len(heard)-1]
				if tt.want == "" && last != "ReadyForQuery" || tt.want != "" && !strings.HasPrefix(last, "FATAL|"+tt.want+"|") {
					t.Errorf("the client hears %q, want %s", heard, tt.want)
				}
				if strings.Contains(last, "own words") {
					t.Errorf("the client hears the backend: %q", last)
				}
				if connects := p.trail("connect"); (len(connects) == 1) != (tt.want != "28P01") || len(connects) == 1 && connects[0]["claimed"] != nil {
					t.Errorf("connect events: %v", connects)
				}
				p.waitFor("the backend session's end", func() bool { return p.postgres.open.Load() == 0 })
			})
		})
	}
}

// TestPassThroughBadParameterAlone: a wrong password is all that somebody without the right one hears of.
func TestPassThroughBadParameterAlone(t *testing.T) {
	ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
		p := pass(t, method, asked(method, greets), change)
		heard := p.startup("user", "ana", "database", "app", "search_path", "x").login("ana", "wrong")
		if heard[len(heard)-1] != wrongAna {
			t.Errorf("the client hears %q", heard)
		}
	})
}

// TestPassThroughParameters: what the client wants set reaches the backend as ever; of what is refused nothing does.
func TestPassThroughParameters(t *testing.T) {
	for name, tt := range map[string]struct {
		value string
		want  string
	}{"permitted": {"UTC", "UTC"}, "refused": {"/etc/passwd%", ""}} {
		t.Run(name, func(t *testing.T) {
			sent := make(chan map[string]string, 1)
			p := pass(t, authn.MethodPassSCRAM, func(p *fakeLogin) {
				sent <- p.startup.Parameters
				asked(authn.MethodPassSCRAM, greets)(p)
			}, nil)
			p.startup("user", "ana", "database", "app", "TimeZone", tt.value).login("ana", passPassword)
			got := <-sent
			if got["user"] != "ana" || got["timezone"] != tt.want || (got["search_path"] == "pg_temp") != (tt.want != "") {
				t.Errorf("the backend is sent %v", got)
			}
		})
	}
}

// TestPassThroughOwnParameters: what is wrong with a parameter of the gateway's own does not depend on who asks.
func TestPassThroughOwnParameters(t *testing.T) {
	for _, user := range []string{"ana", "eve"} {
		p := pass(t, authn.MethodPassSCRAM, asked(authn.MethodPassSCRAM, greets), nil)
		heard := p.startup("user", user, "database", "app", "sallyport.mood", "good").login(user, passPassword)
		if len(heard) != 1 || !strings.HasPrefix(heard[0], `FATAL|42501|parameter "sallyport.mood" is not permitted|`) {
			t.Errorf("%s hears %q", user, heard)
		}
		if p.postgres.dialled.Load() != 0 {
			t.Error("the backend is dialled")
		}
	}
}

// TestPassThroughIsObliged: a session joins its identity's others when it is proved, and not before.
func TestPassThroughIsObliged(t *testing.T) {
	ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
		p := pass(t, method, asked(method, greets), change)
		last := func(heard []string) string { return heard[len(heard)-1] }
		stranger := p.startup("user", "uno", "database", "app") // proves nothing, and takes nobody's place
		stranger.next()
		if got := last(p.login("uno", passPassword)); got != "ReadyForQuery" {
			t.Fatalf("the first hears %q", got)
		}
		if got := last(p.login("uno", "wrong")); got != `FATAL|28P01|password authentication failed for user "uno"||` {
			t.Errorf("with a wrong password the second hears %q", got)
		}
		if got := last(p.login("uno", passPassword)); !strings.HasPrefix(got, "FATAL|53300|too many sessions of uno|") {
			t.Errorf("the second hears %q", got)
		}
		connects := p.trail("connect")
		if len(connects) != 2 || connects[0]["credential"] != "client" || connects[1]["credential"] != nil || connects[1]["claimed"] != nil {
			t.Errorf("connect events: %v", connects)
		}
		p.waitFor("the backend sessions' end", func() bool { return p.postgres.open.Load() == 0 })
	})
}

// TestPassThroughUnavailable: these do not depend on who asks.
func TestPassThroughUnavailable(t *testing.T) {
	ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
		for name, tt := range map[string]struct {
			change func(cfg *backend.Config)
			play   func(p *fakeLogin)
			want   string
		}{
			"nobody listens":        {func(cfg *backend.Config) { cfg.Port = 1 }, nil, "57P03"},
			"another's certificate": {func(cfg *backend.Config) { cfg.Host = "localhost" }, nil, "08004"},
			"starting":              {nil, func(p *fakeLogin) { p.refuse("57P03") }, "57P03"},
			"full":                  {nil, func(p *fakeLogin) { p.refuse("53300") }, "57P03"},
		} {
			t.Run(name, func(t *testing.T) {
				p := pass(t, method, tt.play, func(cfg *Config) {
					if change != nil {
						change(cfg)
					}
					if tt.change != nil {
						database := cfg.Databases["app"]
						tt.change(&database.Backend)
						cfg.Databases["app"] = database
					}
				})
				heard := p.login("ana", passPassword)
				if last := heard[len(heard)-1]; !strings.HasPrefix(last, "FATAL|"+tt.want+"|the database ") {
					t.Errorf("the client hears %q, want %s", heard, tt.want)
				}
				if p.server.Close(); p.failures("ana") != 0 {
					t.Error("a failed login is counted")
				}
			})
		}
	})
}

// TestPassThroughCannotWork: the credential is of no use at such a backend. The client is asked for nothing.
func TestPassThroughCannotWork(t *testing.T) {
	works := map[string]bool{
		"pass-through-password scram-sha-256": true, "pass-through-password scram-sha-256-plus": true, "pass-through-password md5": true,
		"pass-through-scram-sha-256 scram-sha-256": true, "pass-through-md5 md5": true,
		"pass-through-password ": true, "pass-through-scram-sha-256 ": true,
	}
	for _, method := range passMethods {
		for _, may := range []backend.Method{"", backend.MethodSCRAM, backend.MethodSCRAMPlus, backend.MethodMD5, backend.MethodCertificate, "trust"} {
			pair := string(method) + " " + string(may)
			if got := PassesThrough(method, may); got != works[pair] {
				t.Errorf("%s: %v, want %v", pair, got, works[pair])
			}
			if works[pair] {
				continue
			}
			t.Run(pair, func(t *testing.T) {
				p := pass(t, method, greets, func(cfg *Config) {
					database := cfg.Databases["app"]
					database.Backend.Authentication = may
					database.Backend.TLS.Certificates = []tls.Certificate{ownCertificate(t)}
					cfg.Databases["app"] = database
				})
				heard := p.login("ana", passPassword)
				if len(heard) != 1 || !strings.HasPrefix(heard[0], "FATAL|08004|the database refused the session|") {
					t.Errorf("the client hears %q", heard)
				}
				if p.postgres.dialled.Load() != 0 {
					t.Error("the backend is dialled")
				}
				denied := p.login("eve", passPassword)
				p.server.Close()
				if want := "a credential that comes by " + string(method) + " cannot be used"; !strings.Contains(p.log.String(), want) {
					t.Errorf("the log does not say so:\n%s", p.log)
				}
				if denied[len(denied)-1] != wrongEve {
					t.Errorf("who is not let in hears %q", denied)
				}
			})
		}
	}
	for _, method := range []authn.Method{authn.MethodSCRAM, authn.MethodMD5, authn.MethodOIDC, authn.MethodReject, ""} {
		if PassesThrough(method, backend.MethodSCRAM) || PassesThrough(method, backend.MethodMD5) {
			t.Errorf("%q passes through", method)
		}
	}
}

// ownCertificate is a certificate of the gateway's own.
func ownCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	config, _ := testCertificate(t)
	return config.Certificates[0]
}

// TestPassThroughThrottled: who has failed too often is refused before policy or backend are asked.
func TestPassThroughThrottled(t *testing.T) {
	ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
		p := pass(t, method, asked(method, greets), change)
		for range 2 {
			p.cfg.Throttle.Failed(localhost, "ana")
		}
		p.cfg.Throttle.Wait(localhost, "ana") // takes the one place in the queue
		if heard := p.login("ana", passPassword); len(heard) != 1 || !strings.HasPrefix(heard[0], "FATAL|53300|too many failed logins") {
			t.Errorf("the client hears %q", heard)
		}
		if got := p.postgres.dialled.Load(); got != 0 {
			t.Errorf("the backend is dialled %d times", got)
		}
	})
}

// TestPassThroughCertificate: a rule that demands one besides asks for it first.
func TestPassThroughCertificate(t *testing.T) {
	ways(t, func(t *testing.T, method authn.Method, change func(*Config)) {
		p := pass(t, method, asked(method, greets), func(cfg *Config) {
			if change != nil {
				change(cfg)
			}
			cfg.Rules[0].Certificate = true
		})
		if heard := p.login("ana", passPassword); len(heard) != 1 || heard[0] != wrongAna { // nothing is mapped
			t.Errorf("the client hears %q", heard)
		}
		if p.postgres.dialled.Load() != 0 || len(p.trail("connect")) != 0 {
			t.Error("the backend was dialled, or policy asked")
		}
	})
}
