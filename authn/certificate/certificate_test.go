package certificate

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authn"
)

func newMapper(t testing.TB, mappings ...Mapping) *Mapper {
	t.Helper()
	m, err := New(Config{Mappings: mappings})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// verifyCase is a certificate, and who may log in with it.
type verifyCase struct {
	mapping Mapping
	change  func(*x509.Certificate)
	user    string
	want    Reason // "": let in
}

func (tt verifyCase) check(t *testing.T) {
	var mappings []Mapping
	if tt.mapping.Kind != "" {
		mappings = []Mapping{tt.mapping}
	}
	id, err := newMapper(t, mappings...).Verify(chainOf(issue(t, tt.change)), tt.user)
	checkOutcome(t, id, err, tt.user, tt.want)
}

func TestVerify(t *testing.T) {
	const ana = "spiffe://example.com/engineer/ana"
	corp := Mapping{Kind: Email, Name: "{user}@example.com"}
	engineer := Mapping{Kind: SPIFFE, Name: "spiffe://example.com/engineer/{user}"}
	app := Mapping{Kind: SPIFFE, Name: "spiffe://example.com/ns/*/sa/app", Users: []string{"app", "app_ro"}}
	tests := map[string]verifyCase{
		"common name":                       {Mapping{}, withCN("ana"), "ana", ""},
		"exact common name":                 {Mapping{Kind: CommonName, Name: "Ana Lee", Users: []string{"ana"}}, withCN("Ana Lee"), "ana", ""},
		"e-mail":                            {corp, withEmails("ana@example.com"), "ana", ""},
		"second e-mail":                     {corp, withEmails("ana@example.org", "ana@example.com"), "ana", ""},
		"either e-mail":                     {corp, withEmails("eve@example.com", "ana@example.com"), "ana", ""},
		"DNS":                               {Mapping{Kind: DNS, Name: "{user}.db.example.com"}, withDNS("app.db.example.com"), "app", ""},
		"URI":                               {Mapping{Kind: URI, Name: "urn:example:user:{user}"}, withURIs(t, "urn:example:user:ana"), "ana", ""},
		"SPIFFE":                            {engineer, withURIs(t, ana), "ana", ""},
		"exact SPIFFE":                      {Mapping{Kind: SPIFFE, Name: ana, Users: []string{"ana"}}, withURIs(t, ana), "ana", ""},
		"SPIFFE, any namespace":             {app, withURIs(t, "spiffe://example.com/ns/prod/sa/app"), "app_ro", ""},
		"narrowed":                          {Mapping{Kind: CommonName, Name: "{user}", Users: []string{"ana"}}, withCN("ana"), "ana", ""},
		"another's common name":             {Mapping{}, withCN("eve"), "ana", ReasonUser},
		"common name in capitals":           {Mapping{}, withCN("ANA"), "ana", ReasonUser},
		"common name with a blank":          {Mapping{}, withCN("ana "), "ana", ReasonUser},
		"no user":                           {Mapping{}, withCN("ana"), "", ReasonUser},
		"no name":                           {Mapping{}, nil, "ana", ReasonName},
		"no name, no user":                  {Mapping{}, nil, "", ReasonName},
		"two common names":                  {Mapping{}, withCN("eve", "ana"), "ana", ReasonName},
		"two common names, the other way":   {Mapping{}, withCN("ana", "eve"), "ana", ReasonName},
		"the same twice":                    {Mapping{}, withCN("ana", "ana"), "ana", ReasonName},
		"common name with a NUL":            {Mapping{}, withCN("ana\x00.example.com"), "ana", ReasonName},
		"common name with a line break":     {Mapping{Kind: CommonName, Name: "{user}"}, withCN("ana\n"), "ana\n", ReasonName},
		"e-mail in the common name":         {corp, withCN("ana@example.com"), "ana", ReasonName},
		"common name in the e-mail":         {Mapping{}, withEmails("ana"), "ana", ReasonName},
		"another domain":                    {corp, withEmails("ana@example.org"), "ana", ReasonName},
		"domain in capitals":                {corp, withEmails("ana@EXAMPLE.com"), "ana", ReasonName},
		"domain that ends alike":            {corp, withEmails("ana@evil-example.com"), "ana", ReasonName},
		"domain that begins alike":          {corp, withEmails("ana@example.com.evil.test"), "ana", ReasonName},
		"two at signs":                      {corp, withEmails("ana@evil.test@example.com"), "ana@evil.test", ReasonName},
		"no local part":                     {corp, withEmails("@example.com"), "", ReasonName},
		"another's e-mail":                  {corp, withEmails("eve@example.com"), "ana", ReasonUser},
		"the placeholder itself":            {corp, withEmails("{user}@example.com"), "ana", ReasonUser},
		"DNS one level too deep":            {Mapping{Kind: DNS, Name: "{user}.db.example.com"}, withDNS("x.app.db.example.com"), "x.app", ReasonName},
		"DNS wildcard":                      {Mapping{Kind: DNS, Name: "{user}.db.example.com"}, withDNS("*.db.example.com"), "*", ReasonName},
		"URI with more behind":              {Mapping{Kind: URI, Name: "urn:example:user:{user}"}, withURIs(t, "urn:example:user:ana:x"), "ana:x", ReasonName},
		"URI with an escape":                {Mapping{Kind: URI, Name: "urn:example:user:{user}"}, withURIs(t, "urn:example:user:a%6ea"), "a%6ea", ReasonName},
		"URI with an empty fragment":        {Mapping{Kind: URI, Name: "urn:x:ana", Users: []string{"ana"}}, withRawURI(t, "urn:x:ana#"), "ana", ReasonName},
		"URI, scheme in capitals":           {Mapping{Kind: URI, Name: "urn:x:ana", Users: []string{"ana"}}, withRawURI(t, "URN:x:ana"), "ana", ReasonName},
		"SPIFFE of another trust domain":    {engineer, withURIs(t, "spiffe://example.org/engineer/ana"), "ana", ReasonName},
		"SPIFFE trust domain that ends so":  {engineer, withURIs(t, "spiffe://evil.example.com/engineer/ana"), "ana", ReasonName},
		"SPIFFE of another path":            {engineer, withURIs(t, "spiffe://example.com/robot/ana"), "ana", ReasonName},
		"SPIFFE with a longer path":         {engineer, withURIs(t, ana+"/x"), "ana", ReasonName},
		"SPIFFE with a shorter path":        {engineer, withURIs(t, "spiffe://example.com/engineer"), "ana", ReasonName},
		"SPIFFE with an empty segment":      {engineer, withURIs(t, "spiffe://example.com/engineer/"), "", ReasonName},
		"SPIFFE that climbs":                {engineer, withRawURI(t, "spiffe://example.com/engineer/.."), "..", ReasonName},
		"SPIFFE with a port":                {engineer, withURIs(t, "spiffe://example.com:1/engineer/ana"), "ana", ReasonName},
		"SPIFFE with a user":                {engineer, withURIs(t, "spiffe://a@example.com/engineer/ana"), "ana", ReasonName},
		"SPIFFE with a query":               {engineer, withURIs(t, ana+"?x"), "ana", ReasonName},
		"SPIFFE with a fragment":            {engineer, withURIs(t, ana+"#x"), "ana", ReasonName},
		"SPIFFE with an empty fragment":     {engineer, withRawURI(t, ana+"#"), "ana", ReasonName},
		"SPIFFE, scheme in capitals":        {engineer, withRawURI(t, "SPIFFE://example.com/engineer/ana"), "ana", ReasonName},
		"SPIFFE with an escape":             {engineer, withRawURI(t, "spiffe://example.com/engineer/%61na"), "ana", ReasonName},
		"two SPIFFE IDs":                    {engineer, withURIs(t, ana, "spiffe://example.com/engineer/eve"), "ana", ReasonName},
		"a SPIFFE ID and another URI":       {engineer, withURIs(t, ana, "urn:x:y"), "ana", ReasonName},
		"any segment, once":                 {app, withURIs(t, "spiffe://example.com/ns/a/b/sa/app"), "app", ReasonName},
		"a workload, as another user":       {app, withURIs(t, "spiffe://example.com/ns/prod/sa/app"), "postgres", ReasonUser},
		"narrowed, as another":              {Mapping{Kind: CommonName, Name: "{user}", Users: []string{"bob"}}, withCN("ana"), "ana", ReasonUser},
		"narrowed, as whom it is narrowed":  {Mapping{Kind: CommonName, Name: "{user}", Users: []string{"bob"}}, withCN("ana"), "bob", ReasonUser},
		"exact name, as a user not in list": {Mapping{Kind: CommonName, Name: "ana", Users: []string{"bob"}}, withCN("ana"), "ana", ReasonUser},
	}
	for name, tt := range tests {
		t.Run(name, tt.check)
	}
}

func checkOutcome(t *testing.T, id authn.Identity, err error, user string, want Reason) {
	t.Helper()
	if want == "" {
		if err != nil || id.User != user || id.Method != authn.MethodCertificate || id.Certificate == "" || id.Subject != id.Certificate {
			t.Errorf("Verify = %+v, %v", id, err)
		}
		return
	}
	var rejected *RejectedError
	if !errors.As(err, &rejected) || rejected.Reason != want || !errors.Is(err, ErrRejected) || id.User != "" {
		t.Errorf("Verify = %+v, %v, want reason %q", id, err, want)
	}
}

// TestPurpose: a certificate of the right name is still not one for logging in.
func TestPurpose(t *testing.T) {
	tests := map[string]struct {
		change func(*x509.Certificate)
		want   Reason
	}{
		"client":                 {func(*x509.Certificate) {}, ""},
		"client and server":      {func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) }, ""},
		"no key usage":           {func(c *x509.Certificate) { c.KeyUsage = 0 }, ""},
		"server":                 {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, ReasonUsage},
		"no purpose":             {func(c *x509.Certificate) { c.ExtKeyUsage = nil }, ReasonUsage},
		"any purpose":            {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, ReasonUsage},
		"signing code":           {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, ReasonUsage},
		"an authority":           {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, ReasonUsage},
		"key for encryption":     {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, ReasonUsage},
		"key for signing others": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }, ReasonUsage},
		"expired meanwhile":      {func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }, ReasonExpired},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			leaf := issue(t, func(c *x509.Certificate) {
				withCN("ana")(c)
				tt.change(c)
			})
			id, err := newMapper(t).Verify(chainOf(leaf), "ana")
			checkOutcome(t, id, err, "ana", tt.want)
		})
	}
}

// TestNoVerifiedChain: without a chain there is no certificate, whatever the client has sent.
func TestNoVerifiedChain(t *testing.T) {
	ana, eve := issue(t, withCN("ana")), issue(t, withCN("eve"))
	tests := map[string][][]*x509.Certificate{
		"none":                 nil,
		"no chain":             {},
		"an empty chain":       {{}},
		"a chain of nothing":   {{nil}},
		"a good and an empty":  {{ana}, {}},
		"two leaves":           {{ana}, {eve}},
		"two leaves, reversed": {{eve}, {ana}},
	}
	for name, chains := range tests {
		t.Run(name, func(t *testing.T) {
			if id, err := newMapper(t).Verify(chains, "ana"); !errors.Is(err, ErrNone) || id.User != "" {
				t.Errorf("Verify = %+v, %v", id, err)
			}
		})
	}
}

func TestExpires(t *testing.T) {
	until := func(d time.Duration) *x509.Certificate {
		return issue(t, func(c *x509.Certificate) {
			withCN("ana")(c)
			c.NotAfter = time.Now().Add(d)
		})
	}
	leaf, short, long := until(2*time.Hour), until(time.Hour), until(3*time.Hour)
	tests := map[string]struct {
		chains [][]*x509.Certificate
		want   time.Time
	}{
		"leaf ends first":         {[][]*x509.Certificate{{leaf, long}}, leaf.NotAfter},
		"authority ends first":    {[][]*x509.Certificate{{leaf, short, long}}, short.NotAfter},
		"the longer of two":       {[][]*x509.Certificate{{leaf, short}, {leaf, long}}, leaf.NotAfter},
		"the longer of two first": {[][]*x509.Certificate{{leaf, long}, {leaf, short}}, leaf.NotAfter},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			id, err := newMapper(t).Verify(tt.chains, "ana")
			if err != nil || !id.Expires.Equal(tt.want) {
				t.Errorf("Expires = %v, %v, want %v", id.Expires, err, tt.want)
			}
		})
	}
}

// TestSeveralMappings: any of them will do, and the reason is the nearest miss.
func TestSeveralMappings(t *testing.T) {
	m := newMapper(t,
		Mapping{Kind: SPIFFE, Name: "spiffe://example.com/{user}"},
		Mapping{Kind: CommonName, Name: "robot", Users: []string{"app", "app_ro"}},
		Mapping{Kind: Email, Name: "{user}@example.com"},
	)
	leaf := issue(t, func(c *x509.Certificate) {
		withCN("robot")(c)
		withEmails("ana@example.com")(c)
	})
	for user, want := range map[string]string{"app": "robot", "app_ro": "robot", "ana": "ana@example.com"} {
		id, err := m.Verify(chainOf(leaf), user)
		if err != nil || id.Certificate != want {
			t.Errorf("%s = %+v, %v", user, id, err)
		}
	}
	_, err := m.Verify(chainOf(leaf), "robot")
	checkOutcome(t, authn.Identity{}, err, "robot", ReasonUser)
}

func TestTooManyNames(t *testing.T) {
	names := make([]string, maxNames+1)
	for i := range names {
		names[i] = "ana@example.com"
	}
	m := newMapper(t, Mapping{Kind: Email, Name: "{user}@example.com"})
	if _, err := m.Verify(chainOf(issue(t, withEmails(names[1:]...))), "ana"); err != nil {
		t.Errorf("%d names: %v", maxNames, err)
	}
	_, err := m.Verify(chainOf(issue(t, withEmails(names...))), "ana")
	checkOutcome(t, authn.Identity{}, err, "ana", ReasonName)
}

// TestErrorsQuoteNothing: what a stranger's certificate says has no place in a log line.
func TestErrorsQuoteNothing(t *testing.T) {
	_, err := newMapper(t).Verify(chainOf(issue(t, withCN("hunter2"))), "ana")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Verify = %v", err)
	}
}

func TestIdentity(t *testing.T) {
	leaf := issue(t, func(c *x509.Certificate) { withCN("ana")(c) })
	got, err := newMapper(t).Verify(chainOf(leaf), "ana")
	want := authn.Identity{User: "ana", Method: "cert", Issuer: "CN=ana", Subject: "ana", Certificate: "ana", Expires: leaf.NotAfter}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
