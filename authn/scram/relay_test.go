package scram

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// relayed is what a relay has been told when client-final-message is next; the nonce is "abcdef".
func relayed(t testing.TB) *Relay {
	t.Helper()
	var r Relay
	if err := errors.Join(r.First([]byte("n,,n=,r=abc")), r.Challenge([]byte("r=abcdef,s=AAAA,i=4096"))); err != nil {
		t.Fatal(err)
	}
	return &r
}

// TestRelayLogin relays a login between the library's client and our server, which has no channel to bind.
func TestRelayLogin(t *testing.T) {
	exchange := begin(t, newServer(t, "secret"), "ana")
	c := client(t, "", "secret")
	var r Relay
	first, err := c.Step("")
	if err := errors.Join(err, r.First([]byte(first))); err != nil {
		t.Fatal(err)
	}
	challenge, _, err := exchange.Step([]byte(first))
	if err := errors.Join(err, r.Challenge(challenge)); err != nil {
		t.Fatal(err)
	}
	final, err := c.Step(string(challenge))
	if err := errors.Join(err, r.Final([]byte(final))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := exchange.Step([]byte(final)); err != nil || !exchange.Valid() {
		t.Errorf("what was relayed is refused: %v", err)
	}
}

func TestRelayFirst(t *testing.T) {
	tests := map[string]struct {
		in   string
		want error
	}{
		"cannot bind":            {"n,,n=,r=abc", nil},
		"name":                   {"n,,n=ana,r=abc", nil},
		"name of another":        {"n,,n=admin,r=abc", nil}, // PostgreSQL takes the startup packet's
		"extension":              {"n,,n=,r=abc,x=y", nil},
		"could bind":             {"y,,n=,r=abc", ErrBindable},
		"binds":                  {"p=tls-server-end-point,,n=,r=abc", ErrProtocol},
		"binds otherwise":        {"p=tls-unique,,n=,r=abc", ErrProtocol},
		"flag in capitals":       {"N,,n=,r=abc", ErrProtocol},
		"flag of two letters":    {"ny,,n=,r=abc", ErrProtocol},
		"no flag":                {",,n=,r=abc", ErrProtocol},
		"authorization identity": {"n,a=admin,n=,r=abc", ErrUnsupported},
		"could, for another":     {"y,a=admin,n=,r=abc", ErrUnsupported},
		"mandatory extension":    {"n,,m=x,n=,r=abc", ErrUnsupported},
		"no nonce":               {"n,,n=", ErrProtocol},
		"empty":                  {"", ErrProtocol},
		"NUL":                    {"n,,n=,r=abc\x00", ErrProtocol},
		"not UTF-8":              {"n,,n=\xff,r=abc", ErrProtocol},
		"1024 bytes":             {"n,,n=,r=" + strings.Repeat("a", 1016), nil},
		"1025 bytes":             {"n,,n=,r=" + strings.Repeat("a", 1017), ErrProtocol},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var r Relay
			err := r.First([]byte(tt.in))
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Fatalf("First = %v, want %v", err, tt.want)
			}
			if (r.Nonce() != "") != (err == nil) {
				t.Errorf("Nonce = %q after %v", r.Nonce(), err)
			}
			if err := r.Challenge([]byte("r=" + r.Nonce() + "def,s=AAAA,i=4096")); tt.want != nil && err == nil {
				t.Error("the exchange goes on after an error")
			}
		})
	}
}

func TestRelayChallenge(t *testing.T) {
	for name, in := range map[string]string{
		"another nonce":          "r=abddef,s=AAAA,i=4096",
		"nothing added":          "r=abc,s=AAAA,i=4096",
		"shorter nonce":          "r=ab,s=AAAA,i=4096",
		"no nonce":               "s=AAAA,i=4096",
		"blank in the nonce":     "r=abc def,s=AAAA,i=4096",
		"line break in it":       "r=abc\ndef,s=AAAA,i=4096",
		"error":                  "e=other-error",
		"mandatory extension":    "m=x,r=abcdef,s=AAAA,i=4096",
		"empty":                  "",
		"the client's own again": "n,,n=,r=abc",
	} {
		t.Run(name, func(t *testing.T) {
			var r Relay
			if err := r.First([]byte("n,,n=,r=abc")); err != nil {
				t.Fatal(err)
			}
			if err := r.Challenge([]byte(in)); !errors.Is(err, ErrProtocol) {
				t.Errorf("Challenge = %v, want %v", err, ErrProtocol)
			}
			if err := r.Challenge([]byte("r=abcdef,s=AAAA,i=4096")); err == nil {
				t.Error("a second challenge is taken")
			}
		})
	}
}

func TestRelayFinal(t *testing.T) {
	proof := base64.StdEncoding.EncodeToString(make([]byte, keyBytes))
	for name, tt := range map[string]struct {
		in string
		ok bool
	}{
		"right":               {"c=biws,r=abcdef,p=" + proof, true},
		"the client's nonce":  {"c=biws,r=abc,p=" + proof, false},
		"another nonce":       {"c=biws,r=abcdeg,p=" + proof, false},
		"flag y":              {"c=eSws,r=abcdef,p=" + proof, false},
		"bound":               {"c=biwsAAAA,r=abcdef,p=" + proof, false},
		"no proof":            {"c=biws,r=abcdef", false},
		"short proof":         {"c=biws,r=abcdef,p=AAAA", false},
		"something behind it": {"c=biws,r=abcdef,p=" + proof + ",x=y", false},
		"NUL":                 {"c=biws,r=abcdef,p=" + proof + "\x00", false},
		"too long":            {"c=biws,r=abcdef,x=" + strings.Repeat("y", maxMessageBytes) + ",p=" + proof, false},
		"empty":               {"", false},
		"first once more":     {"n,,n=,r=abc", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := relayed(t)
			if err := r.Final([]byte(tt.in)); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrProtocol) {
				t.Errorf("Final = %v, want ok %v", err, tt.ok)
			}
			if r.Final([]byte("c=biws,r=abcdef,p="+proof)) == nil {
				t.Error("a second final message is taken")
			}
		})
	}
}

func TestRelayOrder(t *testing.T) {
	first, challenge := []byte("n,,n=,r=abc"), []byte("r=abcdef,s=AAAA,i=4096")
	final := []byte("c=biws,r=abcdef,p=" + base64.StdEncoding.EncodeToString(make([]byte, keyBytes)))
	for name, play := range map[string]func(r *Relay) error{
		"challenge before first":   func(r *Relay) error { return r.Challenge(challenge) },
		"final before first":       func(r *Relay) error { return r.Final(final) },
		"first twice":              func(r *Relay) error { _ = r.First(first); return r.First(first) },
		"final before challenge":   func(r *Relay) error { _ = r.First(first); return r.Final(final) },
		"first after challenge":    func(r *Relay) error { _, _ = r.First(first), r.Challenge(challenge); return r.First(first) },
		"challenge twice":          func(r *Relay) error { _, _ = r.First(first), r.Challenge(challenge); return r.Challenge(challenge) },
		"first again after a slip": func(r *Relay) error { _ = r.First([]byte("x")); return r.First(first) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := play(&Relay{}); !errors.Is(err, ErrProtocol) {
				t.Errorf("got %v, want %v", err, ErrProtocol)
			}
		})
	}
}

// TestMockChallenge: it looks like the challenge of the server's own exchange with a user that does not exist, and like PostgreSQL's.
func TestMockChallenge(t *testing.T) {
	server := newServer(t, "secret")
	own, _, err := begin(t, server, "eve").Step([]byte("n,,n=,r=abc"))
	if err != nil {
		t.Fatal(err)
	}
	mock := server.MockChallenge("eve", "abc")
	nonce, rest, _ := strings.Cut(string(mock), ",")
	ownNonce, ownRest, _ := strings.Cut(string(own), ",")
	const postgres = len("r=abc") + 24 // a nonce of 18 bytes in base64
	if rest != ownRest || len(nonce) != postgres || len(ownNonce) != postgres || nonce == ownNonce || !strings.HasPrefix(nonce, "r=abc") {
		t.Errorf("the mock says %s, the exchange %s", mock, own)
	}
	if known := server.MockChallenge("ana", "abc"); strings.Contains(string(known), ownRest) {
		t.Error("two users have the same salt")
	}
	var r Relay
	if err := errors.Join(r.First([]byte("n,,n=,r=abc")), r.Challenge(mock)); err != nil {
		t.Errorf("the mock is refused: %v", err)
	}
}

// FuzzRelay: whatever the two sides say, nothing panics, and what gets through is what PostgreSQL may be sent.
func FuzzRelay(f *testing.F) {
	proof := strings.Repeat("A", 43) + "="
	f.Add([]byte("n,,n=,r=abc"), []byte("r=abcdef,s=AAAA,i=4096"), []byte("c=biws,r=abcdef,p="+proof))
	f.Add([]byte("y,,n=,r=abc"), []byte("r=abcdef"), []byte("c=eSws,r=abcdef,p="+proof))
	f.Add([]byte("p=tls-server-end-point,,n=,r=abc"), []byte(""), []byte(""))
	f.Fuzz(func(t *testing.T, first, challenge, final []byte) {
		var r Relay
		if r.First(first) != nil {
			return
		}
		if len(first) > maxMessageBytes || !strings.HasPrefix(string(first), "n,,n=") || strings.ContainsRune(string(first), 0) {
			t.Fatalf("relayed %q", first)
		}
		if r.Challenge(challenge) != nil || r.Final(final) != nil {
			return
		}
		if len(final) > maxMessageBytes || !strings.HasPrefix(string(final), "c=biws,r="+r.Nonce()) || strings.ContainsRune(string(final), 0) {
			t.Fatalf("relayed %q", final)
		}
	})
}
