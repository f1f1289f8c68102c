package md5

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// The stored form of ana's password "pencil" and the response to the salt 1, 2, 3, 4, computed with Python's hashlib.
const (
	stored   = "md5042c1618f4fe621a5d00d6ea09993af7"
	response = "md556c5e1d50ea6bc7390d3a5b937038866"
)

// newServer knows one user, ana.
func newServer(t testing.TB, secret Secret) *Server {
	t.Helper()
	server, err := NewServer(Config{Lookup: func(user string) (Secret, bool) { return secret, user == "ana" }})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func parse(t testing.TB, text string) Secret {
	t.Helper()
	secret, err := ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// begin starts an exchange with the salt 1, 2, 3, 4.
func begin(server *Server, user string) *Exchange {
	e := &Exchange{salt: [SaltBytes]byte{1, 2, 3, 4}}
	server.prepare(e, user)
	return e
}

func TestKnownResponse(t *testing.T) {
	secret, err := NewSecret("ana", "pencil")
	if err != nil || secret.Encode() != stored {
		t.Fatalf("NewSecret = %s, %v", secret.Encode(), err)
	}
	e := begin(newServer(t, secret), "ana")
	if e.Salt() != [SaltBytes]byte{1, 2, 3, 4} || e.Valid() {
		t.Errorf("salt %v, valid %v", e.Salt(), e.Valid())
	}
	if err := e.Check([]byte(response)); err != nil || !e.Valid() {
		t.Errorf("Check = %v, valid %v", err, e.Valid())
	}
}

// TestPublished: the secrets are those of PostgreSQL's own regression tests (src/test/regress/expected/password.out). The response is
// what PostgreSQL documents, put together by PostgreSQL 15's md5() (protocol-flow: AuthenticationMD5Password).
func TestPublished(t *testing.T) {
	for _, tt := range []struct{ user, password, stored string }{
		{"regress_passwd1", "role_pwd1", "md5783277baca28003b33453252be4dbb34"},
		{"regress_passwd2", "role_pwd2", "md54044304ba511dd062133eb5b4b84a2a3"},
	} {
		if secret, err := NewSecret(tt.user, tt.password); err != nil || secret.Encode() != tt.stored {
			t.Errorf("%s: %s, %v", tt.user, secret.Encode(), err)
		}
	}
	e := &Exchange{salt: [SaltBytes]byte{0xff, 0, 0xfe, 0x80}} // bytes that are no text
	newServer(t, parse(t, "md5783277baca28003b33453252be4dbb34")).prepare(e, "ana")
	if err := e.Check([]byte("md5f5d4f6f7ef5a9227f6e5b2c97d5f5f99")); err != nil || !e.Valid() {
		t.Errorf("Check = %v", err)
	}
}

func TestCheckRefuses(t *testing.T) {
	tests := map[string]struct{ user, response string }{
		"another hash":                   {"ana", "md5" + strings.Repeat("0", 32)},
		"last digit differs":             {"ana", response[:34] + "7"},
		"capitals":                       {"ana", strings.ToUpper(response)},
		"digits in capitals":             {"ana", "md5" + strings.ToUpper(response[3:])},
		"without its prefix":             {"ana", response[3:]},
		"cut short":                      {"ana", response[:34]},
		"one byte more":                  {"ana", response + "0"},
		"NUL behind":                     {"ana", response + "\x00"},
		"empty":                          {"ana", ""},
		"prefix alone":                   {"ana", "md5"},
		"the password":                   {"ana", "pencil"},
		"the stored secret":              {"ana", stored},
		"unknown user":                   {"eve", response},
		"user in capitals":               {"ANA", response},
		"no user":                        {"", response},
		"user with what PostgreSQL cuts": {"ana\x00", response},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			e := begin(newServer(t, parse(t, stored)), tt.user)
			if err := e.Check([]byte(tt.response)); !errors.Is(err, ErrFailed) || err.Error() != ErrFailed.Error() || e.Valid() {
				t.Errorf("Check = %v, valid %v", err, e.Valid())
			}
		})
	}
}

func TestOneTry(t *testing.T) {
	server := newServer(t, parse(t, stored))
	t.Run("right after wrong", func(t *testing.T) {
		e := begin(server, "ana")
		_ = e.Check([]byte("x"))
		if err := e.Check([]byte(response)); !errors.Is(err, ErrFailed) || e.Valid() {
			t.Errorf("second try: %v, valid %v", err, e.Valid())
		}
	})
	t.Run("right twice", func(t *testing.T) {
		e := begin(server, "ana")
		_ = e.Check([]byte(response))
		if err := e.Check([]byte(response)); !errors.Is(err, ErrFailed) {
			t.Errorf("second try: %v", err)
		}
	})
	t.Run("an exchange that nobody began", func(t *testing.T) {
		e := &Exchange{}
		if err := e.Check(nil); !errors.Is(err, ErrFailed) || e.Valid() {
			t.Errorf("Check = %v, valid %v", err, e.Valid())
		}
	})
}

// TestDoomedWithFittingResponse: even a response that fits the mock opens nothing.
func TestDoomedWithFittingResponse(t *testing.T) {
	server := newServer(t, parse(t, stored))
	e := begin(server, "eve")
	if err := e.Check([]byte(prefix + digest(server.mock.hash, e.salt[:]))); !errors.Is(err, ErrFailed) || e.Valid() {
		t.Errorf("Check = %v, valid %v", err, e.Valid())
	}
}

// TestEmptySecret: a lookup that finds a user without a secret has found nobody.
func TestEmptySecret(t *testing.T) {
	e := begin(newServer(t, Secret{}), "ana")
	if err := e.Check([]byte(prefix + digest("", e.salt[:]))); !errors.Is(err, ErrFailed) || e.Valid() {
		t.Errorf("Check = %v, valid %v", err, e.Valid())
	}
}

// TestSaltIsFresh: a response that was overheard fits no other connection.
func TestSaltIsFresh(t *testing.T) {
	server := newServer(t, parse(t, stored))
	seen := make(map[[SaltBytes]byte]bool)
	for range 64 {
		seen[server.Begin("ana").Salt()] = true
	}
	if len(seen) < 60 { // two of 64 are alike once in two million runs, five never
		t.Errorf("%d salts of 64", len(seen))
	}
	first, second := server.Begin("ana"), server.Begin("ana")
	if err := second.Check([]byte(first.expected)); first.salt != second.salt && !errors.Is(err, ErrFailed) {
		t.Errorf("replay: %v", err)
	}
}

func TestParseSecret(t *testing.T) {
	tests := map[string]struct {
		text string
		ok   bool
	}{
		"good":               {stored, true},
		"empty":              {"", false},
		"prefix alone":       {"md5", false},
		"no prefix":          {stored[3:] + "042", false},
		"prefix in capitals": {"MD5" + stored[3:], false},
		"digits in capitals": {"md5" + strings.ToUpper(stored[3:]), false},
		"31 digits":          {stored[:34], false},
		"33 digits":          {stored + "0", false},
		"no digit":           {stored[:34] + "g", false},
		"no digit inside":    {stored[:20] + "-" + stored[21:], false},
		"blank":              {stored[:34] + " ", false},
		"line break":         {stored[:34] + "\n", false},
		"scram":              {"SCRAM-SHA-256$4096:", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			secret, err := ParseSecret(tt.text)
			if (err == nil) != tt.ok || (err != nil && !errors.Is(err, ErrSecret)) {
				t.Fatalf("ParseSecret = %v, want ok %v", err, tt.ok)
			}
			if tt.ok && secret.Encode() != tt.text {
				t.Errorf("Encode = %q", secret.Encode())
			}
		})
	}
}

func TestNew(t *testing.T) {
	if _, err := NewSecret("ana", ""); err == nil {
		t.Error("NewSecret takes an empty password")
	}
	if _, err := NewServer(Config{}); err == nil {
		t.Error("NewServer takes no lookup")
	}
}

func TestSecretIsNotPrinted(t *testing.T) {
	secret := parse(t, stored)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "direct", secret, "inside", struct{ S Secret }{secret})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "direct", secret, "inside", struct{ S Secret }{secret})
	text, err := json.Marshal(map[string]Secret{"s": secret})
	if err != nil {
		t.Fatal(err)
	}
	printed := log.String() + string(text)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed += fmt.Sprintf(verb+" ", secret) + fmt.Sprintf(verb+" ", &secret) + fmt.Sprintf(verb+" ", []Secret{secret})
	}
	for _, part := range []string{"042c", "3af7", "30343263"} {
		if strings.Contains(printed, part) {
			t.Errorf("%q in %s", part, printed)
		}
	}
}

// FuzzCheck plays a client without the password.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(stored), true)
	f.Add([]byte("md5"), false)
	f.Add([]byte{0}, true)
	server := newServer(f, parse(f, stored))
	f.Fuzz(func(t *testing.T, in []byte, known bool) {
		user := "eve"
		if known {
			user = "ana"
		}
		e := server.Begin(user)
		if err := e.Check(in); !errors.Is(err, ErrFailed) || e.Valid() {
			t.Errorf("Check(%q) = %v", in, err)
		}
	})
}

// FuzzParseSecret: what is accepted is written the same.
func FuzzParseSecret(f *testing.F) {
	f.Add(stored)
	f.Add("md5")
	f.Fuzz(func(t *testing.T, text string) {
		if secret, err := ParseSecret(text); err == nil && secret.Encode() != text {
			t.Errorf("ParseSecret(%q) encodes as %q", text, secret.Encode())
		}
	})
}

func TestIsResponse(t *testing.T) {
	digits := strings.Repeat("0123456789abcdef", 2)
	for name, tt := range map[string]struct {
		in   string
		want bool
	}{
		"response":       {"md5" + digits, true},
		"31 digits":      {"md5" + digits[1:], false},
		"33 digits":      {"md5" + digits + "0", false},
		"capitals":       {"md5" + strings.ToUpper(digits), false},
		"no prefix":      {digits, false},
		"other prefix":   {"MD5" + digits, false},
		"a password":     {"secret", false},
		"NUL behind":     {"md5" + digits + "\x00", false},
		"line break":     {"md5" + digits + "\n", false},
		"a letter too":   {"md5" + digits[1:] + "g", false},
		"nothing at all": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := IsResponse([]byte(tt.in)); got != tt.want {
				t.Errorf("IsResponse(%q) = %v, want %v", tt.in, got, tt.want)
			}
		})
	}
}
