package scram

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// published is the verifier of RFC 7677 section 3's example: password "pencil".
const published = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" +
	"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

func TestPublishedVerifier(t *testing.T) {
	want, err := ParseVerifier(published)
	if err != nil {
		t.Fatal(err)
	}
	got, err := deriveVerifier("pencil", want.Salt, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if got.Encode() != published || !bytes.Equal(got.StoredKey, want.StoredKey) {
		t.Errorf("deriveVerifier = %s", got.Encode())
	}
}

// TestPostgreSQLVerifiers are what PostgreSQL 15 stored for these passwords (CREATE ROLE … PASSWORD, in UTF-8).
func TestPostgreSQLVerifiers(t *testing.T) {
	tests := map[string]struct{ password, stored string }{
		"ASCII": {
			"pencil", "SCRAM-SHA-256$4096:M/t+yVrOzz1IrOMQH+GNgA==$CNDGLEPbqqVkq6vOTCsDp+bBz2qgUdpUauQYBbkhs48=:pX+a2wdhCL9cCKe+lQrmG3UHuFhAeQSL3Rb72+d6AZ0=",
		},
		"that SASLprep changes": {
			"I\u00adX\u2168\u00aa\u00a0\u00e4",
			"SCRAM-SHA-256$4096:q9wP2p9TeD5nm0GaiWCdAA==$7MVd6/NtDTulRwKR6NyqzIzK2f0RI94Bj4tKKIiCH+U=:ei4Q6Bwx4MLcbVM/13b5mB0CQpWr5dhDJiIMYSwQ3fI=",
		},
		"that SASLprep does not take": {
			"\u0221", "SCRAM-SHA-256$4096:oKbFvXWRR9LdSLyYDLgMvw==$iws8atJfhyFHpkCaa6TDWWRSpqIWdFoMpO594E3SVeo=:QJ2UGUmLEkl1AgKv7ypjgeklaYsKmDFBUTxihQi8xVg=",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want, err := ParseVerifier(tt.stored)
			if err != nil {
				t.Fatal(err)
			}
			got, err := deriveVerifier(tt.password, want.Salt, want.Iterations)
			if err != nil || got.Encode() != tt.stored {
				t.Errorf("deriveVerifier = %s, %v", got.Encode(), err)
			}
		})
	}
}

func TestParseVerifier(t *testing.T) {
	salt, stored, server := "W22ZaJ0SNY7soEsUEjb6gQ==", published[44:88], published[89:]
	build := func(iterations, salt, stored, server string) string {
		return "SCRAM-SHA-256$" + iterations + ":" + salt + "$" + stored + ":" + server
	}
	tests := map[string]struct {
		text string
		ok   bool
	}{
		"published":               {published, true},
		"built":                   {build("4096", salt, stored, server), true},
		"most iterations":         {build("1000000", salt, stored, server), true},
		"empty":                   {"", false},
		"plain text":              {"pencil", false},
		"md5":                     {"md5" + strings.Repeat("0", 32), false},
		"other hash":              {strings.Replace(published, "256", "512", 1), false},
		"small letters":           {strings.ToLower(published), false},
		"scheme alone":            {"SCRAM-SHA-256$", false},
		"blank before":            {" " + published, false},
		"line break behind":       {published + "\n", false},
		"no iterations":           {build("", salt, stored, server), false},
		"too few iterations":      {build("4095", salt, stored, server), false},
		"too many iterations":     {build("1000001", salt, stored, server), false},
		"iterations overflow":     {build("99999999999999999999", salt, stored, server), false},
		"negative iterations":     {build("-4096", salt, stored, server), false},
		"signed iterations":       {build("+4096", salt, stored, server), false},
		"leading zero":            {build("04096", salt, stored, server), false},
		"hexadecimal":             {build("0x1000", salt, stored, server), false},
		"no salt":                 {build("4096", "", stored, server), false},
		"short salt":              {build("4096", "AAAA", stored, server), false},
		"long salt":               {build("4096", strings.Repeat("A", 88), stored, server), false},
		"salt not base64":         {build("4096", "W22ZaJ0SNY7soEsUEjb6g!==", stored, server), false},
		"salt with spare bits":    {build("4096", "W22ZaJ0SNY7soEsUEjb6gR==", stored, server), false},
		"no StoredKey":            {build("4096", salt, "", server), false},
		"short StoredKey":         {build("4096", salt, "AAAA", server), false},
		"no ServerKey":            {build("4096", salt, stored, ""), false},
		"long ServerKey":          {build("4096", salt, stored, server[:43]+"AAAA="), false},
		"keys missing":            {"SCRAM-SHA-256$4096:" + salt, false},
		"one key":                 {"SCRAM-SHA-256$4096:" + salt + "$" + stored, false},
		"third key":               {published + ":" + server, false},
		"fourth part":             {published + "$x", false},
		"line break in a key":     {build("4096", salt, stored[:10]+"\n"+stored[10:], server), false},
		"longer than any":         {published + strings.Repeat("A", maxVerifierBytes), false},
		"separators in bad order": {"SCRAM-SHA-256:4096$" + salt + ":" + stored + "$" + server, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			verifier, err := ParseVerifier(tt.text)
			if tt.ok {
				if err != nil || verifier.Encode() != tt.text {
					t.Fatalf("ParseVerifier: %v", err)
				}
				return
			}
			if !errors.Is(err, ErrVerifier) {
				t.Fatalf("ParseVerifier = %v, %v", verifier, err)
			}
			if strings.Contains(err.Error(), stored[:8]) || strings.Contains(err.Error(), "pencil") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestNewVerifier(t *testing.T) {
	tests := map[string]struct {
		password   string
		iterations int
		ok         bool
	}{
		"default":         {"pencil", 0, true},
		"more iterations": {"pencil", 5000, true},
		"empty password":  {"", 0, false},
		"too few":         {"pencil", 1, false},
		"too many":        {"pencil", maxIterations + 1, false},
		"negative":        {"pencil", -1, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			verifier, err := NewVerifier(tt.password, tt.iterations)
			if (err == nil) != tt.ok {
				t.Fatalf("NewVerifier: %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "pencil") {
				t.Errorf("the error tells the password: %v", err)
			}
			if err == nil && len(verifier.Salt) != SaltBytes {
				t.Errorf("salt of %d bytes", len(verifier.Salt))
			}
		})
	}
	if _, err := NewStableVerifier(mockSecret[:8], "ana", "pencil", 0); err == nil {
		t.Error("NewStableVerifier takes a short secret")
	}
}

// TestPrepare compares with PostgreSQL's pg_saslprep; the first five are RFC 4013 section 3's examples.
func TestPrepare(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"soft hyphen":         {"I\u00adX", "IX"},
		"no change":           {"user", "user"},
		"case kept":           {"USER", "USER"},
		"NFKC":                {"\u00aa", "a"},
		"roman nine":          {"\u2168", "IX"},
		"prohibited":          {"\u0007", "\u0007"},
		"bidirectional":       {"\u0627\u0031", "\u0627\u0031"},
		"not UTF-8":           {"\xff\xfe", "\xff\xfe"},
		"unassigned":          {"a\u0221", "a\u0221"},
		"nothing left":        {"\u00ad", "\u00ad"},
		"zero width space":    {"a\u200bb", "a b"},
		"no-break space":      {"a\u00a0b", "a b"},
		"raw although mapped": {"\u200b\u0007", "\u200b\u0007"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := prepare(tt.in); got != tt.want {
				t.Errorf("prepare(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestVerifierIsNotPrinted(t *testing.T) {
	verifier, err := ParseVerifier(published)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "direct", verifier, "inside", struct{ V Verifier }{verifier})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "direct", verifier, "inside", struct{ V Verifier }{verifier})
	text, err := json.Marshal(map[string]Verifier{"v": verifier})
	if err != nil {
		t.Fatal(err)
	}
	printed := log.String() + string(text)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed += fmt.Sprintf(verb+" ", verifier) + fmt.Sprintf(verb+" ", &verifier) + fmt.Sprintf(verb+" ", []Verifier{verifier})
	}
	for _, secret := range []string{"W22Z", "WG5d", "wfPL", "586e5d", "88 110 93", "0x58"} {
		if strings.Contains(printed, secret) {
			t.Errorf("%q in %s", secret, printed)
		}
	}
	if diff := cmp.Diff("SCRAM-SHA-256$4096:[redacted]", verifier.String()); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseVerifier(f *testing.F) {
	f.Add(published)
	f.Add("SCRAM-SHA-256$4096:AAAA$AAAA:AAAA")
	f.Add("SCRAM-SHA-256$-1:$:")
	f.Add("md5")
	f.Fuzz(func(t *testing.T, text string) {
		verifier, err := ParseVerifier(text)
		if err != nil {
			return
		}
		if verifier.Encode() != text {
			t.Errorf("ParseVerifier accepts %q and encodes %q", text, verifier.Encode())
		}
	})
}
