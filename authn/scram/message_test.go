package scram

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func TestParseClientFirst(t *testing.T) {
	tests := map[string]struct {
		in   string
		want error
	}{
		// The first is RFC 5802 section 5's example; its grammar is that of SHA-256 too.
		"published":                      {"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", nil},
		"libpq":                          {"n,,n=,r=fyko+d2lbbFgONRv9qkxdawL", nil},
		"y, for we do not offer PLUS":    {"y,,n=,r=abc", nil},
		"optional extension":             {"n,,n=,r=abc,x=y,Z=1=2", nil},
		"name in UTF-8":                  {"n,,n=ramõn,r=abc", nil},
		"longest":                        {"n,,n=,r=" + strings.Repeat("a", maxMessageBytes-8), nil},
		"one byte more":                  {"n,,n=,r=" + strings.Repeat("a", maxMessageBytes-7), ErrProtocol},
		"empty":                          {"", ErrProtocol},
		"binding that was not offered":   {"p=tls-server-end-point,,n=,r=abc", ErrProtocol},
		"binding by another type":        {"p=tls-unique,,n=,r=abc", ErrProtocol},
		"binding without a type":         {"p=,,n=,r=abc", ErrProtocol},
		"unknown flag":                   {"x,,n=,r=abc", ErrProtocol},
		"flag in capitals":               {"N,,n=,r=abc", ErrProtocol},
		"flag of two letters":            {"nn,,n=,r=abc", ErrProtocol},
		"no flag":                        {",,n=,r=abc", ErrProtocol},
		"authorization identity":         {"n,a=admin,n=,r=abc", ErrUnsupported},
		"empty authorization identity":   {"n,a=,n=,r=abc", ErrUnsupported},
		"something else in its place":    {"n,b=admin,n=,r=abc", ErrProtocol},
		"no gs2 header":                  {"n=user,r=abc", ErrProtocol},
		"half a gs2 header":              {"n,n=user,r=abc", ErrProtocol},
		"mandatory extension":            {"n,,m=x,n=,r=abc", ErrUnsupported},
		"no name":                        {"n,,r=abc,x=y", ErrProtocol},
		"nonce before the name":          {"n,,r=abc,n=", ErrProtocol},
		"no nonce":                       {"n,,n=user", ErrProtocol},
		"empty nonce":                    {"n,,n=,r=", ErrProtocol},
		"blank in the nonce":             {"n,,n=,r=a c", ErrProtocol},
		"nonce not ASCII":                {"n,,n=,r=é", ErrProtocol},
		"delete in the nonce":            {"n,,n=,r=\x7f", ErrProtocol},
		"line break in the nonce":        {"n,,n=,r=abc\n", ErrProtocol},
		"NUL at the end":                 {"n,,n=,r=abc\x00", ErrProtocol},
		"NUL in the name":                {"n,,n=a\x00b,r=abc", ErrProtocol},
		"not UTF-8":                      {"n,,n=\xff,r=abc", ErrProtocol},
		"comma at the end":               {"n,,n=,r=abc,", ErrProtocol},
		"extension without a value":      {"n,,n=,r=abc,x=", ErrProtocol},
		"extension without a name":       {"n,,n=,r=abc,=y", ErrProtocol},
		"extension with a digit as name": {"n,,n=,r=abc,1=y", ErrProtocol},
		"second nonce":                   {"n,,n=,r=abc,r=def", ErrProtocol},
		"second name":                    {"n,,n=,r=abc,n=admin", ErrProtocol},
		"late mandatory extension":       {"n,,n=,r=abc,m=x", ErrProtocol},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseClientFirst([]byte(tt.in), channel{})
			if !errors.Is(err, tt.want) {
				t.Fatalf("parseClientFirst = %v, want %v", err, tt.want)
			}
			if err != nil && (got != clientFirst{} || !errors.Is(err, ErrProtocol)) {
				t.Errorf("parseClientFirst = %v, %v", got, err)
			}
		})
	}
}

func TestClientFinal(t *testing.T) {
	proof := base64.StdEncoding.EncodeToString(make([]byte, keyBytes))
	short := base64.StdEncoding.EncodeToString(make([]byte, keyBytes-1))
	long := base64.StdEncoding.EncodeToString(make([]byte, keyBytes+1))
	tests := map[string]struct {
		in string
		ok bool
	}{
		"plain":                          {"c=biws,r=abc,p=" + proof, true},
		"extension":                      {"c=biws,r=abc,x=y,p=" + proof, true},
		"empty":                          {"", false},
		"proof alone":                    {"p=" + proof, false},
		"no proof":                       {"c=biws,r=abc,x=y", false},
		"no nonce":                       {"c=biws,p=" + proof, false},
		"no binding":                     {"r=abc,x=y,p=" + proof, false},
		"binding of the other flag":      {"c=eSws,r=abc,p=" + proof, false},
		"binding with data":              {"c=biwsAAAA,r=abc,p=" + proof, false},
		"binding in another spelling":    {"c=biwt,r=abc,p=" + proof, false},
		"empty binding":                  {"c=,r=abc,p=" + proof, false},
		"line break in the binding":      {"c=bi\nws,r=abc,p=" + proof, false},
		"another nonce":                  {"c=biws,r=abd,p=" + proof, false},
		"longer nonce":                   {"c=biws,r=abcd,p=" + proof, false},
		"shorter nonce":                  {"c=biws,r=ab,p=" + proof, false},
		"empty nonce":                    {"c=biws,r=,p=" + proof, false},
		"nonce in other capitals":        {"c=biws,r=ABC,p=" + proof, false},
		"proof of 31 bytes":              {"c=biws,r=abc,p=" + short, false},
		"proof of 33 bytes":              {"c=biws,r=abc,p=" + long, false},
		"empty proof":                    {"c=biws,r=abc,p=", false},
		"proof not base64":               {"c=biws,r=abc,p=" + strings.Repeat("!", 44), false},
		"proof in URL base64":            {"c=biws,r=abc,p=" + strings.Repeat("_", 43) + "=", false},
		"proof without padding":          {"c=biws,r=abc,p=" + strings.TrimRight(proof, "="), false},
		"proof with spare bits":          {"c=biws,r=abc,p=" + strings.Repeat("A", 42) + "B=", false},
		"proof with a line break":        {"c=biws,r=abc,p=" + proof[:20] + "\n" + proof[20:], false},
		"two proofs":                     {"c=biws,r=abc,p=" + proof + ",p=" + proof, false},
		"something behind the proof":     {"c=biws,r=abc,p=" + proof + ",x=y", false},
		"comma behind the proof":         {"c=biws,r=abc,p=" + proof + ",", false},
		"NUL behind the proof":           {"c=biws,r=abc,p=" + proof + "\x00", false},
		"order changed":                  {"r=abc,c=biws,p=" + proof, false},
		"malformed extension":            {"c=biws,r=abc,xy,p=" + proof, false},
		"too long":                       {"c=biws,r=abc,x=" + strings.Repeat("y", maxMessageBytes) + ",p=" + proof, false},
		"second binding as extension":    {"c=biws,r=abc,c=eSws,p=" + proof, false},
		"first message in final's place": {"n,,n=,r=abc", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := (clientFinal{binding: "biws", nonce: "abc"}).check([]byte(tt.in))
			if (err == nil) != tt.ok || (err != nil && !errors.Is(err, ErrProtocol)) {
				t.Errorf("check = %v, want ok %v", err, tt.ok)
			}
		})
	}
}

// TestErrorsQuoteNothing: what a client sends may be half a secret, or meant to forge a log line.
func TestErrorsQuoteNothing(t *testing.T) {
	const marker = "hunter2"
	for _, in := range []string{marker, "n,," + marker, "n,a=" + marker + ",n=,r=a", "n,,n=" + marker + ",r=a b", "n,,n==" + marker + ",r=ab"} {
		exchange := begin(t, newServer(t, "secret"), marker)
		if _, _, err := exchange.Step([]byte(in)); err == nil || strings.Contains(err.Error(), marker) {
			t.Errorf("Step(%q) = %v", in, err)
		}
	}
}

// FuzzExchange plays a client without the password. Whatever it sends, over whichever mechanism: no panic, no success, no answer
// beside an error.
func FuzzExchange(f *testing.F) {
	proof := strings.Repeat("A", 43) + "="
	f.Add([]byte("n,,n=,r=abc"), []byte("c=biws,r=%,p="+proof), true, false, false)
	f.Add([]byte("y,,n=user,r=abc,x=y"), []byte("c=eSws,r=%,p="+proof), true, false, false)
	f.Add([]byte("p=tls-server-end-point,a=x,n==2C,r=abc"), []byte("v=,e=other-error"), false, true, true)
	f.Add([]byte("p=tls-server-end-point,,n=,r=abc"), []byte("c="+plusInput(endPoint)+",r=%,p="+proof), true, true, true)
	f.Add([]byte("y,,n=,r=abc"), []byte("c=eSws,r=%,p="+proof), true, true, false)
	server := newServer(f, "correct horse")
	f.Fuzz(func(t *testing.T, first, final []byte, known, bound, plus bool) {
		user, binding, mechanism := "eve", []byte(nil), Mechanism
		if known {
			user = "ana"
		}
		if bound {
			binding = endPoint
		}
		if plus {
			mechanism = MechanismPlus
		}
		exchange := server.Begin(user, binding)
		if err := exchange.Select(mechanism); (err == nil) != (bound || !plus) {
			t.Fatalf("Select(%s): %v", mechanism, err)
		}
		out, done, err := exchange.Step(first)
		if (err != nil) != done || (err != nil) != (out == nil) {
			t.Fatalf("Step(first) = %q, %v, %v", out, done, err)
		}
		// "%" stands for the nonce, which the fuzzer cannot know.
		if err == nil && first != nil {
			nonce, _, _ := strings.Cut(strings.TrimPrefix(string(out), "r="), ",")
			final = []byte(strings.Replace(string(final), "%", nonce, 1))
		}
		out, done, err = exchange.Step(final)
		if first != nil && (err == nil || !done || out != nil) {
			t.Fatalf("Step(final) = %q, %v, %v", out, done, err)
		}
		if exchange.Valid() {
			t.Fatal("valid without the password")
		}
	})
}
