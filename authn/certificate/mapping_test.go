package certificate

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	users := []string{"ana"}
	tests := map[string]struct {
		mapping Mapping
		want    string // a part of the error; "": good
	}{
		"common name":                   {Mapping{CommonName, "Ana Lee", users}, ""},
		"any common name":               {Mapping{CommonName, "{user}", nil}, ""},
		"e-mail":                        {Mapping{Email, "{user}@example.com", nil}, ""},
		"DNS":                           {Mapping{DNS, "{user}.db.example.com", nil}, ""},
		"URI":                           {Mapping{URI, "urn:x:{user}", nil}, ""},
		"SPIFFE":                        {Mapping{SPIFFE, "spiffe://example.com/ns/*/sa/{user}", nil}, ""},
		"no kind":                       {Mapping{"", "ana", users}, `unknown kind ""`},
		"kind in capitals":              {Mapping{"CN", "ana", users}, "unknown kind"},
		"no name":                       {Mapping{CommonName, "", users}, "name is empty"},
		"name with a line break":        {Mapping{CommonName, "ana\n", users}, "does not print"},
		"name not UTF-8":                {Mapping{CommonName, "\xff", users}, "does not print"},
		"name too long":                 {Mapping{CommonName, strings.Repeat("a", maxNameBytes+1), users}, "too long"},
		"no users":                      {Mapping{CommonName, "ana", nil}, "no users"},
		"empty user":                    {Mapping{CommonName, "ana", []string{""}}, "no name of a user"},
		"long user":                     {Mapping{CommonName, "ana", []string{strings.Repeat("u", 64)}}, "no name of a user"},
		"user with a NUL":               {Mapping{CommonName, "ana", []string{"a\x00"}}, "no name of a user"},
		"all users":                     {Mapping{CommonName, "ana", []string{"all"}}, "name the users"},
		"all users, narrowing":          {Mapping{CommonName, "{user}", []string{"all"}}, "name the users"},
		"another placeholder":           {Mapping{CommonName, "{username}", users}, "only {user}"},
		"placeholder twice":             {Mapping{CommonName, "{user}{user}", nil}, "only {user}"},
		"brace alone":                   {Mapping{CommonName, "ana}", users}, "only {user}"},
		"star in a common name":         {Mapping{CommonName, "*", users}, "SPIFFE IDs only"},
		"star in a DNS name":            {Mapping{DNS, "*.example.com", users}, "SPIFFE IDs only"},
		"regular expression":            {Mapping{Email, "/.*@example.com", users}, "SPIFFE IDs only"},
		"e-mail of any domain":          {Mapping{Email, "ana@{user}", nil}, "e-mail address"},
		"e-mail of any subdomain":       {Mapping{Email, "ana@{user}.example.com", nil}, "e-mail address"},
		"any e-mail":                    {Mapping{Email, "{user}", nil}, "e-mail address"},
		"e-mail without a local part":   {Mapping{Email, "@example.com", users}, "e-mail address"},
		"e-mail with two at signs":      {Mapping{Email, "a@b@example.com", users}, "e-mail address"},
		"any DNS name":                  {Mapping{DNS, "{user}", nil}, "DNS name"},
		"DNS name of any domain":        {Mapping{DNS, "db.{user}", nil}, "DNS name"},
		"DNS name in capitals":          {Mapping{DNS, "DB.example.com", users}, "DNS name"},
		"any URI":                       {Mapping{URI, "{user}", nil}, "URI of a known scheme"},
		"URI of any scheme":             {Mapping{URI, "{user}:x", nil}, "URI of a known scheme"},
		"SPIFFE without scheme":         {Mapping{SPIFFE, "example.com/ana", users}, "no SPIFFE ID"},
		"SPIFFE without a path":         {Mapping{SPIFFE, "spiffe://example.com", users}, "no SPIFFE ID"},
		"SPIFFE with an empty path":     {Mapping{SPIFFE, "spiffe://example.com/", users}, "no SPIFFE ID"},
		"SPIFFE of any trust domain":    {Mapping{SPIFFE, "spiffe://*/ana", users}, "no SPIFFE ID"},
		"SPIFFE, user as trust domain":  {Mapping{SPIFFE, "spiffe://{user}/x", nil}, "no SPIFFE ID"},
		"SPIFFE trust domain in caps":   {Mapping{SPIFFE, "spiffe://Example.com/ana", users}, "no SPIFFE ID"},
		"SPIFFE with a part of a name":  {Mapping{SPIFFE, "spiffe://example.com/sa-{user}", nil}, "no SPIFFE ID"},
		"SPIFFE with a part of a star":  {Mapping{SPIFFE, "spiffe://example.com/sa-*", users}, "no SPIFFE ID"},
		"SPIFFE with two stars in one":  {Mapping{SPIFFE, "spiffe://example.com/**", users}, "no SPIFFE ID"},
		"SPIFFE with a dot segment":     {Mapping{SPIFFE, "spiffe://example.com/../ana", users}, "no SPIFFE ID"},
		"SPIFFE, no users for a star":   {Mapping{SPIFFE, "spiffe://example.com/*", nil}, "no users"},
		"SPIFFE that is an https URL":   {Mapping{SPIFFE, "https://example.com/ana", users}, "no SPIFFE ID"},
		"SPIFFE with a slash at last":   {Mapping{SPIFFE, "spiffe://example.com/ana/", users}, "no SPIFFE ID"},
		"SPIFFE with a blank":           {Mapping{SPIFFE, "spiffe://example.com/a b", users}, "no SPIFFE ID"},
		"everything wrong with one":     {Mapping{"x", "ana", []string{"all"}}, "unknown kind"},
		"everything wrong with the one": {Mapping{"x", "ana", []string{"all"}}, "name the users"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, err := New(Config{Mappings: []Mapping{tt.mapping}})
			if (err == nil) != (tt.want == "") || (m == nil) != (err != nil) {
				t.Fatalf("New: %v, want %q", err, tt.want)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "certificate mapping 1")) {
				t.Errorf("New: %v, want %q", err, tt.want)
			}
		})
	}
}

// TestConfigIsCopied: a list that changes later lets nobody in.
func TestConfigIsCopied(t *testing.T) {
	users := []string{"ana"}
	m := newMapper(t, Mapping{CommonName, "x", users})
	users[0] = "eve"
	if _, err := m.Verify(chainOf(issue(t, withCN("x"))), "eve"); err == nil {
		t.Error("eve is let in")
	}
}

// FuzzMatch: what a mapping lets in is what it looks like, put together from its parts.
func FuzzMatch(f *testing.F) {
	f.Add("cn", "{user}", "ana", "ana")
	f.Add("email", "{user}@example.com", "ana@example.com", "ana")
	f.Add("dns", "{user}.example.com", "a.b.example.com", "a.b")
	f.Add("uri", "urn:x:{user}", "urn:x:ana", "ana")
	f.Add("spiffe", "spiffe://example.com/*/{user}", "spiffe://example.com/a/ana", "ana")
	f.Fuzz(func(t *testing.T, kind, pattern, name, user string) {
		r, err := Mapping{Kind: Kind(kind), Name: pattern, Users: []string{"ana"}}.compile()
		if err != nil || (Kind(kind) == SPIFFE && !isSPIFFE(name)) {
			return
		}
		account, ok := r.match(name)
		if !ok || !account(user) {
			return
		}
		if user != "ana" {
			t.Errorf("%q is let in as %q", name, user)
		}
		if want := strings.Replace(pattern, placeholder, user, 1); name != want && !strings.Contains(pattern, anySegment) {
			t.Errorf("%q by %q as %q", name, pattern, user)
		}
	})
}

// FuzzSPIFFE: what passes for a SPIFFE ID is a URL that net/url reads the same.
func FuzzSPIFFE(f *testing.F) {
	f.Add("spiffe://example.com/ns/prod/sa/app")
	f.Add("spiffe://a@example.com:1/x?y#z")
	f.Add("spiffe://example.com/..")
	f.Fuzz(func(t *testing.T, text string) {
		if !isSPIFFE(text) {
			return
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "spiffe" || u.String() != text || u.Port() != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("%q: %v, %v", text, u, err)
		}
		if clean := u.JoinPath().Path; clean != u.Path {
			t.Errorf("%q: path %q is not %q", text, u.Path, clean)
		}
	})
}

// FuzzURIs reads subject alternative names of any bytes.
func FuzzURIs(f *testing.F) {
	good := issue(f, withURIs(f, "spiffe://example.com/a", "urn:x:y"))
	for _, extension := range good.Extensions {
		f.Add(extension.Value)
	}
	f.Add([]byte{0x30, 0x80})
	f.Fuzz(func(t *testing.T, value []byte) {
		certificate := &x509.Certificate{Extensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}}}
		for _, name := range namesOf(certificate, URI) {
			if !strings.Contains(string(value), name) {
				t.Errorf("%q is not in %x", name, value)
			}
		}
		if names := namesOf(certificate, SPIFFE); len(names) > 1 || slices.ContainsFunc(names, func(name string) bool { return !isSPIFFE(name) }) {
			t.Errorf("SPIFFE: %q", names)
		}
	})
}
