package gateway

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	xdgscram "github.com/xdg-go/scram"
	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/authn"
)

// BenchmarkLogin is a whole login by each method, from the first byte of a connection to ReadyForQuery: TCP and TLS, the proof, the
// connect decision, a credential from a fake Vault, a session with a fake PostgreSQL, the audit log. All of them are in it, and the
// client too, but for the keys that it derives from its password, which it keeps.
//
// cpu-ns/op is what the process used; ns/op also depends on what else the machine does.
func BenchmarkLogin(b *testing.B) { benchmarkMethods(b, "app") }

// BenchmarkProof is the same without Vault and PostgreSQL: who the client is has been proved, and policy refuses the connection.
func BenchmarkProof(b *testing.B) { benchmarkMethods(b, "closed") }

func benchmarkMethods(b *testing.B, database string) {
	around := newSurroundings(b)
	client, err := xdgscram.SHA256.NewClient("", knownPassword, "")
	if err != nil {
		b.Fatal(err)
	}
	token := around.issuer.token(b, knownUser)
	message := "n,,\x01auth=Bearer " + token + "\x01\x01"
	bound := xdgscram.ChannelBinding{Type: xdgscram.ChannelBindingTLSServerEndpoint, Data: around.serving.EndPoint}
	certificate := (&tracedClient{t: b, around: around}).certificate(knownUser)
	for _, method := range []struct {
		name         string
		rule         authn.Rule
		certificates []tls.Certificate
		answers      func() answers
	}{
		{"cert", authn.Rule{Method: authn.MethodCertificate}, []tls.Certificate{*certificate}, func() answers { return nil }},
		{"md5", authn.Rule{Method: authn.MethodMD5}, nil, func() answers { return answerMD5 }},
		{"scram-sha-256", authn.Rule{Method: authn.MethodSCRAM}, nil, func() answers {
			return scramAnswers("SCRAM-SHA-256", client.NewConversation())
		}},
		{"scram-sha-256-plus", authn.Rule{Method: authn.MethodSCRAM}, nil, func() answers {
			return scramAnswers("SCRAM-SHA-256-PLUS", client.NewConversationWithChannelBinding(bound))
		}},
		{"oidc", authn.Rule{Method: authn.MethodOIDC, Issuer: "id"}, nil, func() answers {
			return func(pgproto3.BackendMessage) []byte { return passwordMessage(token + "\x00") }
		}},
		{"oauthbearer", authn.Rule{Method: authn.MethodOAUTHBEARER, Issuer: "id"}, nil, func() answers {
			return func(pgproto3.BackendMessage) []byte {
				return initialResponse("OAUTHBEARER", int32(len(message)), message)
			} // #nosec -- a test's length
		}},
	} {
		b.Run(method.name, func(b *testing.B) {
			g := around.start(b, method.rule)
			s := &stopwatch{b: b}
			g.logIn(s, database, method.certificates, method.answers()) // fetches the issuer's keys, derives the client's
			b.ReportAllocs()
			s.cpu, s.started = 0, cpuTime()
			for b.Loop() {
				g.logIn(s, database, method.certificates, method.answers())
			}
			b.ReportMetric(float64(s.cpu.Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// stopwatch measures the processor's time besides the clock's.
type stopwatch struct {
	b       *testing.B
	cpu     time.Duration
	started time.Duration
}

func (s *stopwatch) stop() {
	s.b.StopTimer()
	s.cpu += cpuTime() - s.started
}

func (s *stopwatch) start() {
	s.started = cpuTime()
	s.b.StartTimer()
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var used unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &used) // fails only for a pointer that is none
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// answers answers an authentication request.
type answers func(m pgproto3.BackendMessage) []byte

// logIn logs in, leaves, and waits until nothing of the session is left; only the first is measured.
func (s *serving) logIn(watch *stopwatch, database string, certificates []tls.Certificate, answer answers) {
	b := watch.b
	b.Helper()
	secure := s.secureOver(s.dial(), certificates...)
	if _, err := secure.Write(startPacket(protocol30, hello("user", knownUser, "database", database))); err != nil {
		b.Fatal(err)
	}
	frontend := pgproto3.NewFrontend(secure, secure)
	for over := false; !over; {
		m, err := frontend.Receive()
		if err != nil {
			b.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			over = true
		case *pgproto3.ErrorResponse:
			if over = true; database != "closed" || m.Code != "42501" {
				b.Fatal(m.Message)
			}
		case *pgproto3.AuthenticationOk, *pgproto3.AuthenticationSASLFinal, *pgproto3.ParameterStatus, *pgproto3.BackendKeyData:
		default:
			if _, err := secure.Write(answer(m)); err != nil {
				b.Fatal(err)
			}
		}
	}
	watch.stop()
	_ = secure.Close()
	until(b, "the session has ended", func() bool {
		s.server.mu.Lock()
		defer s.server.mu.Unlock()
		return len(s.server.sessions) == 0
	})
	watch.start()
}

func scramAnswers(mechanism string, conversation *xdgscram.ClientConversation) answers {
	return func(m pgproto3.BackendMessage) []byte {
		asked, goesOn := m.(*pgproto3.AuthenticationSASLContinue)
		if !goesOn {
			first, _ := conversation.Step("")
			return initialResponse(mechanism, int32(len(first)), first) // #nosec -- a test's length
		}
		final, _ := conversation.Step(string(asked.Data))
		return passwordMessage(final)
	}
}

func answerMD5(m pgproto3.BackendMessage) []byte {
	asked, ok := m.(*pgproto3.AuthenticationMD5Password)
	if !ok {
		return nil
	}
	return passwordMessage(md5Response(knownUser, knownPassword, asked.Salt) + "\x00")
}
