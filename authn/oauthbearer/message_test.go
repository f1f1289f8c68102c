package oauthbearer

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

// published is RFC 7628 section 4.1's example in base64. It has an authorization identity, which PostgreSQL does not take.
const published = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJo" +
	"ZG1semRHRXVZMjl0Q2c9PQEB"

func publishedMessage(t testing.TB) string {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(published)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPublishedMessage(t *testing.T) {
	text := publishedMessage(t)
	if _, err := parseInitial([]byte(text)); !errors.Is(err, ErrUnsupported) {
		t.Errorf("with an authorization identity: %v", err)
	}
	authorization, err := parseInitial([]byte(strings.Replace(text, "a=user@example.com", "", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if token, err := cutToken(authorization); err != nil || token != "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==" {
		t.Errorf("cutToken = %q, %v", token, err)
	}
}

func TestParseInitial(t *testing.T) {
	const good = "n,,\x01auth=Bearer t\x01\x01"
	tests := map[string]struct {
		in   string
		auth string
		want error
	}{
		"libpq":                        {good, "Bearer t", nil},
		"could bind":                   {"y,,\x01auth=Bearer t\x01\x01", "Bearer t", nil},
		"discovery":                    {"n,,\x01auth=\x01\x01", "", nil},
		"host and port":                {"n,,\x01host=h\x01port=5432\x01auth=x\x01\x01", "x", nil},
		"keys nobody knows":            {"n,,\x01auth=x\x01Auth=y\x01foo=\x01\x01", "x", nil},
		"equals signs in a value":      {"n,,\x01auth=Bearer t==\x01\x01", "Bearer t==", nil},
		"blank, tab and line break":    {"n,,\x01auth=a b\tc\r\nd\x01\x01", "a b\tc\r\nd", nil},
		"longest":                      {"n,,\x01auth=" + strings.Repeat("a", MaxMessageBytes-11) + "\x01\x01", strings.Repeat("a", MaxMessageBytes-11), nil},
		"one byte more":                {"n,,\x01auth=" + strings.Repeat("a", MaxMessageBytes-10) + "\x01\x01", "", ErrProtocol},
		"empty":                        {"", "", ErrProtocol},
		"separator alone":              {"\x01", "", ErrProtocol},
		"scram":                        {"n,,n=,r=abc", "", ErrProtocol},
		"channel binding":              {"p=tls-server-end-point,,\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"p alone":                      {"p,,\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"flag in capitals":             {"N,,\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"flag of two letters":          {"nn,,\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"no flag":                      {",,\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"flag alone":                   {"n", "", ErrProtocol},
		"flag and comma":               {"n,", "", ErrProtocol},
		"no header":                    {"\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"authorization identity":       {"n,a=ana,\x01auth=Bearer t\x01\x01", "", ErrUnsupported},
		"empty authorization identity": {"n,a=,\x01auth=Bearer t\x01\x01", "", ErrUnsupported},
		"something else in its place":  {"n,b=ana,\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"header alone":                 {"n,,", "", ErrProtocol},
		"no separator behind":          {"n,,auth=Bearer t\x01\x01", "", ErrProtocol},
		"blank behind":                 {"n,, \x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"no pairs":                     {"n,,\x01", "", ErrProtocol},
		"no auth":                      {"n,,\x01\x01", "", ErrProtocol},
		"another key":                  {"n,,\x01host=h\x01\x01", "", ErrProtocol},
		"auth in capitals":             {"n,,\x01AUTH=Bearer t\x01\x01", "", ErrProtocol},
		"auth twice":                   {"n,,\x01auth=Bearer t\x01auth=Bearer u\x01\x01", "", ErrProtocol},
		"auth twice, both empty":       {"n,,\x01auth=\x01auth=\x01\x01", "", ErrProtocol},
		"no terminator":                {"n,,\x01auth=Bearer t\x01", "", ErrProtocol},
		"pair not ended":               {"n,,\x01auth=Bearer t", "", ErrProtocol},
		"data behind":                  {good + "x", "", ErrProtocol},
		"a separator behind":           {good + "\x01", "", ErrProtocol},
		"a pair behind":                {good + "host=h\x01\x01", "", ErrProtocol},
		"auth behind the end":          {"n,,\x01host=h\x01\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"key without a value":          {"n,,\x01auth\x01\x01", "", ErrProtocol},
		"value without a key":          {"n,,\x01=x\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"digit in a key":               {"n,,\x01k1=x\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"blank in a key":               {"n,,\x01auth =Bearer t\x01\x01", "", ErrProtocol},
		"control in a value":           {"n,,\x01auth=Bearer\x02t\x01\x01", "", ErrProtocol},
		"delete in a value":            {"n,,\x01auth=Bearer t\x7f\x01\x01", "", ErrProtocol},
		"not ASCII":                    {"n,,\x01auth=Bearer é\x01\x01", "", ErrProtocol},
		"not UTF-8":                    {"n,,\x01auth=Bearer \xff\x01\x01", "", ErrProtocol},
		"bad value of another key":     {"n,,\x01host=é\x01auth=Bearer t\x01\x01", "", ErrProtocol},
		"NUL at the end":               {good + "\x00", "", ErrProtocol},
		"NUL inside":                   {"n,,\x01auth=Bearer \x00t\x01\x01", "", ErrProtocol},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseInitial([]byte(tt.in))
			if !errors.Is(err, tt.want) || got != tt.auth {
				t.Fatalf("parseInitial = %q, %v, want %q, %v", got, err, tt.auth, tt.want)
			}
			if err != nil && !errors.Is(err, ErrProtocol) {
				t.Errorf("%v is not an ErrProtocol", err)
			}
		})
	}
}

func TestCutToken(t *testing.T) {
	tests := map[string]struct{ in, want string }{ // want "": refused
		"plain":                 {"Bearer abc", "abc"},
		"all of its characters": {"Bearer azAZ09-._~+/==", "azAZ09-._~+/=="},
		"small letters":         {"bearer abc", "abc"},
		"capitals":              {"BEARER abc", "abc"},
		"several blanks":        {"Bearer    abc", "abc"},
		"no scheme":             {"abc", ""},
		"scheme alone":          {"Bearer", ""},
		"scheme and a blank":    {"Bearer ", ""},
		"no blank":              {"Bearerabc", ""},
		"a tab for a blank":     {"Bearer\tabc", ""},
		"basic":                 {"Basic YW5hOnNlY3JldA==", ""},
		"scheme that is longer": {"Bearers abc", ""},
		"blank before":          {" Bearer abc", ""},
		"blank behind":          {"Bearer abc ", ""},
		"blank inside":          {"Bearer a bc", ""},
		"two tokens":            {"Bearer abc,def", ""},
		"equals sign inside":    {"Bearer a=bc", ""},
		"equals signs alone":    {"Bearer ==", ""},
		"a quote":               {`Bearer "abc"`, ""},
		"a line break":          {"Bearer abc\r\n", ""},
		"a colon":               {"Bearer a:b", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := cutToken(tt.in)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("cutToken = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
