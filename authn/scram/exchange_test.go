package scram

import (
	"bytes"
	"encoding/base64"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	xdgscram "github.com/xdg-go/scram"
)

var mockSecret = []byte("0123456789abcdef")

// newServer knows one user, ana.
func newServer(t testing.TB, password string) *Server {
	t.Helper()
	verifier, err := NewVerifier(password, 0)
	if err != nil {
		t.Fatal(err)
	}
	return serverFor(t, verifier)
}

func serverFor(t testing.TB, verifier Verifier) *Server {
	t.Helper()
	server, err := NewServer(Config{
		Lookup:     func(user string) (Verifier, bool) { return verifier, user == "ana" },
		MockSecret: mockSecret,
	})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// client plays the client's side with the library, under any name and password.
func client(t testing.TB, name, password string) *xdgscram.ClientConversation {
	t.Helper()
	c, err := xdgscram.SHA256.NewClient(name, password, "")
	if err != nil {
		t.Fatal(err)
	}
	return c.NewConversation()
}

// begin starts an exchange of SCRAM-SHA-256 on a connection without channel binding.
func begin(t testing.TB, server *Server, user string) *Exchange {
	t.Helper()
	exchange := server.Begin(user, nil)
	if err := exchange.Select(Mechanism); err != nil {
		t.Fatal(err)
	}
	return exchange
}

// login runs a whole exchange and returns the last answer.
func login(t testing.TB, e *Exchange, c *xdgscram.ClientConversation) ([]byte, error) {
	t.Helper()
	first, err := c.Step("")
	if err != nil {
		t.Fatal(err)
	}
	out, done, err := e.Step([]byte(first))
	if err != nil || done {
		t.Fatalf("Step(first) = %q, %v, %v", out, done, err)
	}
	final, err := c.Step(string(out))
	if err != nil {
		t.Fatal(err)
	}
	out, done, err = e.Step([]byte(final))
	if !done {
		t.Fatal("not done after client-final-message")
	}
	return out, err
}

// TestPublishedExchange is the example of RFC 7677 section 3.
func TestPublishedExchange(t *testing.T) {
	salt, _ := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	verifier, err := deriveVerifier("pencil", salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	server := serverFor(t, verifier)
	server.nonce = func() string { return "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0" }
	exchange := begin(t, server, "ana")
	steps := []struct {
		in, out string
		done    bool
	}{
		{
			"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
			"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", false,
		},
		{
			"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
			"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", true,
		},
	}
	for i, step := range steps {
		if exchange.Valid() {
			t.Errorf("valid before step %d", i+1)
		}
		out, done, err := exchange.Step([]byte(step.in))
		if err != nil || done != step.done || string(out) != step.out {
			t.Fatalf("step %d = %q, %v, %v, want %q, %v", i+1, out, done, err, step.out, step.done)
		}
	}
	if !exchange.Valid() {
		t.Error("not valid at the end")
	}
}

// TestStructure is RFC 5802 section 5's example, which is SHA-1's: its messages pass as far as the length of the proof, and what we
// answer has the same attributes in the same order.
func TestStructure(t *testing.T) {
	server := newServer(t, "pencil")
	server.nonce = func() string { return "3rfcNHYJY1ZVvWVs7j" }
	exchange := begin(t, server, "ana")
	out, done, err := exchange.Step([]byte("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"))
	if want := regexp.MustCompile(`^r=fyko\+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=[A-Za-z0-9+/]{22}==,i=4096$`); err != nil || done || !want.Match(out) {
		t.Fatalf("Step(first) = %q, %v, %v", out, done, err)
	}
	final := "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
	if _, _, err := exchange.Step([]byte(final)); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "proof is not base64 of the right length") {
		t.Errorf("Step(final) = %v", err)
	}
}

func TestLogin(t *testing.T) {
	tests := map[string]struct {
		stored, user, name, password string
		want                         error
	}{
		"no name in the message":           {"secret", "ana", "", "secret", nil},
		"name in the message":              {"secret", "ana", "ana", "secret", nil},
		"another's name in the message":    {"secret", "ana", "admin", "secret", nil},
		"name with comma and equals sign":  {"secret", "ana", "a,b=c", "secret", nil},
		"password that SASLprep changes":   {"\u2168", "ana", "", "IX", nil},
		"wrong password":                   {"secret", "ana", "", "Secret", ErrFailed},
		"password with a blank more":       {"secret", "ana", "", "secret ", ErrFailed},
		"empty password":                   {"secret", "ana", "", "", ErrFailed},
		"unknown user":                     {"secret", "eve", "", "secret", ErrFailed},
		"unknown user, known name inside":  {"secret", "eve", "ana", "secret", ErrFailed},
		"user in capitals":                 {"secret", "ANA", "ana", "secret", ErrFailed},
		"user with what PostgreSQL cuts":   {"secret", "ana\x00", "ana", "secret", ErrFailed},
		"no user":                          {"secret", "", "ana", "secret", ErrFailed},
		"unknown user without a password":  {"secret", "eve", "", "", ErrFailed},
		"StoredKey in place of a password": {"secret", "ana", "", "SCRAM-SHA-256$4096:", ErrFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			exchange := begin(t, newServer(t, tt.stored), tt.user)
			c := client(t, tt.name, tt.password)
			out, err := login(t, exchange, c)
			if !errors.Is(err, tt.want) || exchange.Valid() != (tt.want == nil) {
				t.Fatalf("login: %v, valid %v, want %v", err, exchange.Valid(), tt.want)
			}
			if tt.want != nil {
				if out != nil || err.Error() != ErrFailed.Error() {
					t.Errorf("a failure tells more than that: %q, %v", out, err)
				}
				return
			}
			if _, err := c.Step(string(out)); err != nil || !c.Valid() {
				t.Errorf("client does not accept the server: %v", err)
			}
		})
	}
}

// TestMockLooksReal compares what a stranger sees of a user that exists with what he sees of one that does not.
func TestMockLooksReal(t *testing.T) {
	server := newServer(t, "secret")
	attributes := func(user string) (salt, iterations string) {
		out, _, err := begin(t, server, user).Step([]byte("n,,n=,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Split(string(out), ",")
		if len(fields) != 3 || len(fields[0]) != len("r=abc")+24 { // as long as PostgreSQL's
			t.Fatalf("server-first-message: %q", out)
		}
		return fields[1], fields[2]
	}
	realSalt, realIterations := attributes("ana")
	salt, iterations := attributes("eve")
	if iterations != realIterations || len(salt) != len(realSalt) {
		t.Errorf("mock %q %q, real %q %q", salt, iterations, realSalt, realIterations)
	}
	if again, _ := attributes("eve"); again != salt {
		t.Error("the mock salt of one user changes")
	}
	if other, _ := attributes("bob"); other == salt {
		t.Error("two users share a mock salt")
	}
}

// TestStableVerifierLooksLikeMock: a password kept in plain text shows the salt that its user would show without it.
func TestStableVerifierLooksLikeMock(t *testing.T) {
	verifier, err := NewStableVerifier(mockSecret, "ana", "secret", 0)
	if err != nil {
		t.Fatal(err)
	}
	mock := serverFor(t, verifier).mock("ana")
	if !bytes.Equal(mock.Salt, verifier.Salt) || mock.Iterations != verifier.Iterations {
		t.Errorf("mock %x %d, stable %x %d", mock.Salt, mock.Iterations, verifier.Salt, verifier.Iterations)
	}
	if _, err := login(t, begin(t, serverFor(t, verifier), "ana"), client(t, "", "secret")); err != nil {
		t.Errorf("login: %v", err)
	}
}

// TestDoomedWithFittingProof: even a proof that fits the mock opens nothing.
func TestDoomedWithFittingProof(t *testing.T) {
	verifier, err := NewVerifier("secret", 0)
	if err != nil {
		t.Fatal(err)
	}
	server := serverFor(t, verifier)
	exchange := &Exchange{conversation: server.conversation(verifier, channel{}), doomed: true, state: expectFirst}
	if out, err := login(t, exchange, client(t, "", "secret")); !errors.Is(err, ErrFailed) || out != nil || exchange.Valid() {
		t.Errorf("login = %q, %v, valid %v", out, err, exchange.Valid())
	}
}

// TestReject: whoever is rejected sees the salt it would see elsewhere, and its right password gets what a wrong one gets.
func TestReject(t *testing.T) {
	server := newServer(t, "secret")
	for _, user := range []string{"ana", "eve"} {
		want, _, err := begin(t, server, user).Step([]byte("n,,n=,r=abc"))
		if err != nil {
			t.Fatal(err)
		}
		rejected := begin(t, server, user)
		rejected.Reject()
		got, _, err := rejected.Step([]byte("n,,n=,r=abc"))
		if err != nil || !bytes.Equal(got[len("r=abc")+32:], want[len("r=abc")+32:]) {
			t.Errorf("%s sees %q, %v, want %q", user, got, err, want)
		}
		exchange := begin(t, server, user)
		exchange.Reject()
		if out, err := login(t, exchange, client(t, "", "secret")); !errors.Is(err, ErrFailed) || out != nil || exchange.Valid() {
			t.Errorf("%s: %q, %v, valid %v", user, out, err, exchange.Valid())
		}
	}
}

// TestUnusableVerifier: a lookup that answers with rubbish, such as keys of no length, is an unknown user.
func TestUnusableVerifier(t *testing.T) {
	good, err := NewVerifier("secret", 0)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Verifier){
		"zero":             func(v *Verifier) { *v = Verifier{} },
		"no StoredKey":     func(v *Verifier) { v.StoredKey = nil },
		"short StoredKey":  func(v *Verifier) { v.StoredKey = v.StoredKey[:31] },
		"no ServerKey":     func(v *Verifier) { v.ServerKey = nil },
		"no salt":          func(v *Verifier) { v.Salt = nil },
		"few iterations":   func(v *Verifier) { v.Iterations = 1 },
		"many iterations":  func(v *Verifier) { v.Iterations = maxIterations + 1 },
		"negative":         func(v *Verifier) { v.Iterations = -4096 },
		"salt of a novel":  func(v *Verifier) { v.Salt = make([]byte, 2000) },
		"StoredKey longer": func(v *Verifier) { v.StoredKey = append(bytes.Clone(v.StoredKey), 0) },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			verifier := good
			spoil(&verifier)
			server := serverFor(t, verifier)
			exchange := begin(t, server, "ana")
			if _, err := login(t, exchange, client(t, "", "secret")); !errors.Is(err, ErrFailed) || exchange.Valid() {
				t.Errorf("login: %v, valid %v", err, exchange.Valid())
			}
		})
	}
}

func TestStepOrder(t *testing.T) {
	first := []byte("n,,n=,r=abc")
	t.Run("no data, then the first message", func(t *testing.T) {
		exchange := begin(t, newServer(t, "secret"), "ana")
		out, done, err := exchange.Step(nil)
		if out == nil || len(out) != 0 || done || err != nil {
			t.Fatalf("Step(nil) = %v, %v, %v", out, done, err)
		}
		if _, err := login(t, exchange, client(t, "", "secret")); err != nil || !exchange.Valid() {
			t.Errorf("login: %v", err)
		}
	})
	steps := map[string][][]byte{
		"no data twice":               {nil, nil},
		"empty data":                  {{}},
		"no data after the first":     {first, nil},
		"first twice":                 {first, first},
		"final first":                 {[]byte("c=biws,r=abc,p=" + strings.Repeat("A", 43) + "=")},
		"again after an error":        {[]byte("x"), first},
		"again after an error, empty": {[]byte("x"), nil},
	}
	for name, messages := range steps {
		t.Run(name, func(t *testing.T) {
			exchange := begin(t, newServer(t, "secret"), "ana")
			last := len(messages) - 1
			for _, message := range messages[:last] {
				_, _, _ = exchange.Step(message)
			}
			out, done, err := exchange.Step(messages[last])
			if !errors.Is(err, ErrProtocol) || !done || out != nil || exchange.Valid() {
				t.Errorf("Step = %q, %v, %v, valid %v", out, done, err, exchange.Valid())
			}
		})
	}
	t.Run("again after success", func(t *testing.T) {
		exchange := begin(t, newServer(t, "secret"), "ana")
		if _, err := login(t, exchange, client(t, "", "secret")); err != nil {
			t.Fatal(err)
		}
		if _, done, err := exchange.Step(first); !errors.Is(err, ErrProtocol) || !done {
			t.Errorf("Step = %v, %v", done, err)
		}
	})
	t.Run("the right proof after a wrong one", func(t *testing.T) {
		exchange := begin(t, newServer(t, "secret"), "ana")
		c := client(t, "", "secret")
		message, _ := c.Step("")
		out, _, _ := exchange.Step([]byte(message))
		final, _ := c.Step(string(out))
		wrong := final[:strings.LastIndex(final, ",p=")] + ",p=" + strings.Repeat("A", 43) + "="
		if _, _, err := exchange.Step([]byte(wrong)); !errors.Is(err, ErrFailed) {
			t.Fatalf("wrong proof: %v", err)
		}
		if _, _, err := exchange.Step([]byte(final)); !errors.Is(err, ErrProtocol) || exchange.Valid() {
			t.Errorf("second try: %v, valid %v", err, exchange.Valid())
		}
	})
	t.Run("replayed on another connection", func(t *testing.T) {
		server := newServer(t, "secret")
		c := client(t, "", "secret")
		message, _ := c.Step("")
		out, _, _ := begin(t, server, "ana").Step([]byte(message))
		final, _ := c.Step(string(out))
		second := begin(t, server, "ana")
		if _, _, err := second.Step([]byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := second.Step([]byte(final)); !errors.Is(err, ErrProtocol) || second.Valid() {
			t.Errorf("replay: %v, valid %v", err, second.Valid())
		}
	})
}

func TestNewServer(t *testing.T) {
	lookup := func(string) (Verifier, bool) { return Verifier{}, false }
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"good":            {Config{Lookup: lookup, MockSecret: mockSecret, Iterations: 10000}, ""},
		"no lookup":       {Config{MockSecret: mockSecret}, "no lookup"},
		"no secret":       {Config{Lookup: lookup}, "mock secret"},
		"short secret":    {Config{Lookup: lookup, MockSecret: mockSecret[:15]}, "mock secret"},
		"few iterations":  {Config{Lookup: lookup, MockSecret: mockSecret, Iterations: 4095}, "iterations"},
		"many iterations": {Config{Lookup: lookup, MockSecret: mockSecret, Iterations: maxIterations + 1}, "iterations"},
		"negative":        {Config{Lookup: lookup, MockSecret: mockSecret, Iterations: -1}, "iterations"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server, err := NewServer(tt.cfg)
			if tt.want == "" {
				if err != nil || !cmp.Equal(server.Begin("ana", nil).Mechanisms(), []string{"SCRAM-SHA-256"}) {
					t.Errorf("NewServer: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), string(mockSecret[:8])) {
				t.Errorf("NewServer: %v, want %q", err, tt.want)
			}
		})
	}
}
