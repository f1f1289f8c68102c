package authn

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func TestMatch(t *testing.T) {
	rules := Rules{
		{Method: MethodReject, Sources: prefixes("10.6.6.0/24", "fe80::/10")},
		{Method: MethodReject, Users: []string{"root"}},
		{Method: MethodOIDC, Databases: []string{"reports"}, Issuer: "https://id.example", Sources: prefixes("10.0.0.0/8", "2001:db8::/32")},
		{Method: MethodSCRAM, Users: []string{"ana", "bob"}, Databases: []string{"all"}, Sources: prefixes("10.0.0.0/8")},
	}
	tests := map[string]struct {
		user, database, source string
		want                   Method // "": none matches
	}{
		"scram":                               {"ana", "app", "10.1.2.3", MethodSCRAM},
		"first match wins":                    {"ana", "reports", "10.1.2.3", MethodOIDC},
		"IPv6":                                {"ana", "reports", "2001:db8::1", MethodOIDC},
		"IPv4 in IPv6":                        {"ana", "app", "::ffff:10.1.2.3", MethodSCRAM},
		"rejected source":                     {"ana", "app", "10.6.6.6", MethodReject},
		"rejected source in IPv6 clothes":     {"ana", "app", "::ffff:10.6.6.6", MethodReject},
		"rejected source with a zone":         {"ana", "app", "fe80::1%eth0", MethodReject},
		"rejected user from anywhere":         {"root", "app", "192.0.2.1", MethodReject},
		"other source":                        {"ana", "app", "192.0.2.1", ""},
		"other IPv6 source":                   {"ana", "reports", "2001:db9::1", ""},
		"other user":                          {"eve", "app", "10.1.2.3", ""},
		"user in capitals":                    {"ANA", "app", "10.1.2.3", ""},
		"user with a blank":                   {"ana ", "app", "10.1.2.3", ""},
		"user that begins alike":              {"an", "app", "10.1.2.3", ""},
		"no user":                             {"", "app", "10.1.2.3", ""},
		"user named as the keyword":           {"all", "app", "10.1.2.3", ""},
		"unknown source":                      {"ana", "app", "", ""},
		"unknown source of a rejected user":   {"root", "app", "", ""},
		"database of another rule, elsewhere": {"eve", "reports", "192.0.2.1", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var source netip.Addr
			if tt.source != "" {
				source = netip.MustParseAddr(tt.source)
			}
			rule, ok := rules.Match(tt.user, tt.database, source)
			if ok != (tt.want != "") || rule.Method != tt.want {
				t.Errorf("Match = %q, %v, want %q", rule.Method, ok, tt.want)
			}
		})
	}
}

func TestMatchWithoutRules(t *testing.T) {
	if rule, ok := Rules(nil).Match("ana", "app", netip.MustParseAddr("10.0.0.1")); ok || !cmp.Equal(rule, Rule{}) {
		t.Errorf("Match = %v, %v", rule, ok)
	}
}

func TestValidate(t *testing.T) {
	scram := Rule{Method: MethodSCRAM}
	tests := map[string]struct {
		rules Rules
		want  []string // parts of the error; none: valid
	}{
		"one for all":         {Rules{scram}, nil},
		"keyword":             {Rules{{Method: MethodSCRAM, Users: []string{"all"}, Databases: []string{"all"}}}, nil},
		"reject before all":   {Rules{{Method: MethodReject, Users: []string{"root"}}, scram}, nil},
		"oidc":                {Rules{{Method: MethodOIDC, Issuer: "https://id.example", Sources: prefixes("::/0", "0.0.0.0/0")}}, nil},
		"none":                {nil, []string{"no authentication rules"}},
		"no method":           {Rules{{}}, []string{`rule 1: unknown method ""`}},
		"trust":               {Rules{{Method: "trust"}}, []string{`unknown method "trust"`}},
		"method in capitals":  {Rules{{Method: "SCRAM-SHA-256"}}, []string{"unknown method"}},
		"oidc without issuer": {Rules{{Method: MethodOIDC}}, []string{"needs an issuer"}},
		"oauthbearer":         {Rules{{Method: MethodOAUTHBEARER, Issuer: "https://id.example"}}, nil},
		"md5":                 {Rules{{Method: MethodMD5}}, nil},
		"cert":                {Rules{{Method: MethodCertificate}}, nil},
		"token and cert":      {Rules{{Method: MethodOIDC, Issuer: "https://id.example", Certificate: true}}, nil},
		"password and cert":   {Rules{{Method: MethodSCRAM, Certificate: true}}, nil},
		"cert twice":          {Rules{{Method: MethodCertificate, Certificate: true}}, []string{`method "cert" takes no certificate requirement`}},
		"reject with cert":    {Rules{{Method: MethodReject, Certificate: true}}, []string{`method "reject" takes no certificate requirement`}},
		"bearer, no issuer":   {Rules{{Method: MethodOAUTHBEARER}}, []string{`method "oauthbearer" needs an issuer`}},
		"md5 with issuer":     {Rules{{Method: MethodMD5, Issuer: "https://id.example"}}, []string{"takes no issuer"}},
		"cert with issuer":    {Rules{{Method: MethodCertificate, Issuer: "https://id.example"}}, []string{"takes no issuer"}},
		"pass-through":        {Rules{{Method: MethodPassPassword, Users: []string{"a"}}, {Method: MethodPassSCRAM, Users: []string{"b"}}, {Method: MethodPassMD5}}, nil},
		"pass-through, cert":  {Rules{{Method: MethodPassSCRAM, Certificate: true}}, nil},
		"passed, with issuer": {Rules{{Method: MethodPassSCRAM, Issuer: "https://id.example"}}, []string{"takes no issuer"}},
		"passed, but how":     {Rules{{Method: "pass-through"}}, []string{"unknown method"}},
		"passed by PLUS":      {Rules{{Method: "pass-through-scram-sha-256-plus"}}, []string{"unknown method"}},
		"pg_hba's oauth":      {Rules{{Method: "oauth", Issuer: "https://id.example"}}, []string{"unknown method"}},
		"password":            {Rules{{Method: "password"}}, []string{"unknown method"}},
		"scram with issuer":   {Rules{{Method: MethodSCRAM, Issuer: "https://id.example"}}, []string{"takes no issuer"}},
		"reject with issuer":  {Rules{{Method: MethodReject, Issuer: "https://id.example"}}, []string{"takes no issuer"}},
		"empty user":          {Rules{{Method: MethodSCRAM, Users: []string{""}}}, []string{"empty user"}},
		"empty database":      {Rules{{Method: MethodSCRAM, Databases: []string{"app", ""}}}, []string{"empty database"}},
		"long user":           {Rules{{Method: MethodSCRAM, Users: []string{strings.Repeat("u", 64)}}}, []string{"longer than 63"}},
		"user with a NUL":     {Rules{{Method: MethodSCRAM, Users: []string{"a\x00b"}}}, []string{"not valid text"}},
		"user not UTF-8":      {Rules{{Method: MethodSCRAM, Users: []string{"\xff"}}}, []string{"not valid text"}},
		"all among users":     {Rules{{Method: MethodSCRAM, Users: []string{"ana", "all"}}}, []string{`"all" beside`}},
		"zero prefix":         {Rules{{Method: MethodSCRAM, Sources: []netip.Prefix{{}}}}, []string{"invalid source"}},
		"bits beyond length":  {Rules{{Method: MethodSCRAM, Sources: prefixes("10.0.0.1/8")}}, []string{"write 10.0.0.0/8"}},
		"IPv4 in IPv6":        {Rules{{Method: MethodSCRAM, Sources: prefixes("::ffff:10.0.0.0/104")}}, []string{"as IPv4"}},
		"reject after all":    {Rules{scram, {Method: MethodReject, Users: []string{"root"}}}, []string{"rule 2: never reached: rule 1"}},
		"everything at once":  {Rules{{Method: "x"}, {Method: MethodOIDC, Users: []string{""}}}, []string{"rule 1: unknown", "rule 2: method", "empty user", "never reached"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.rules.Validate()
			if len(tt.want) == 0 && err != nil {
				t.Fatalf("Validate: %v", err)
			}
			for _, part := range tt.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("Validate = %v, want %q in it", err, part)
				}
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	rules := Rules{{Method: MethodSCRAM, Users: []string{"ana"}}, {Method: MethodMD5, Users: []string{"old"}}, {Method: MethodReject}}
	got := rules.Warnings()
	if len(got) != 1 || !strings.HasPrefix(got[0], `rule 2: method "md5"`) {
		t.Errorf("Warnings = %q", got)
	}
	for _, method := range []Method{MethodPassPassword, MethodPassSCRAM, MethodPassMD5} {
		got := (Rules{{Method: MethodReject, Users: []string{"root"}}, {Method: method}}).Warnings()
		if len(got) != 1 || !strings.HasPrefix(got[0], fmt.Sprintf("rule 2: method %q is the weakest", method)) {
			t.Errorf("Warnings = %q", got)
		}
	}
	if got := (Rules{{Method: MethodSCRAM}, {Method: MethodCertificate}}).Warnings(); got != nil {
		t.Errorf("Warnings = %q", got)
	}
}
