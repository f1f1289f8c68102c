package oidc

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/sallyport/sallyport/authn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// acceptedCase is a good token and who it is.
type acceptedCase struct {
	token, user string
	config      func(*Config)
	want        authn.Identity
}

func (tt acceptedCase) check(t *testing.T) {
	user := tt.user
	if user == "" {
		user = "ana"
	}
	got, err := verifierOf(t, newIssuer(), tt.config).Verify(t.Context(), tt.token, user)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(got, "Token")); diff != "" { // see TestTakes
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}

func TestVerify(t *testing.T) {
	good := goodClaims()
	identity := authn.Identity{
		User: "ana", Method: authn.MethodOIDC, Issuer: "https://id.example/realm", Subject: "1234", Name: "Ana Lima",
		Groups: []string{"dba", "dev"}, Expires: time.Unix(good["exp"].(int64), 0),
	}
	change := func(f func(*authn.Identity)) authn.Identity {
		changed := identity
		f(&changed)
		return changed
	}
	claimsText := string(must(json.Marshal(good)))
	tests := map[string]acceptedCase{
		"plain":            {token: token(goodHeader(), good), want: identity},
		"EC":               {token: signed(`{"alg":"ES256","kid":"ec"}`, claimsText, keys().ec), want: identity},
		"EdDSA":            {token: signed(`{"alg":"EdDSA","kid":"ed"}`, claimsText, keys().ed), want: identity},
		"no kid, one fits": {token: token(goodHeader().with(object{"kid": nil}), good), want: identity},
		"type in full":     {token: token(goodHeader().with(object{"typ": "application/jwt"}), good), want: identity},
		"keys of its own are ignored": {
			token: token(goodHeader().with(object{"jku": "https://evil.example/keys", "x5u": "https://evil.example/x"}), good), want: identity,
		},
		"one of two audiences, party named": {
			token: token(goodHeader(), good.with(object{"aud": []string{"other", "sallyport"}, "azp": "sallyport"})), want: identity,
		},
		"second audience of the configuration": {
			token:  token(goodHeader(), good.with(object{"aud": "second"})),
			config: func(c *Config) { c.Audiences = []string{"sallyport", "second"} }, want: identity,
		},
		"authorized party": {
			token:  token(goodHeader(), good.with(object{"azp": "cli"})),
			config: func(c *Config) { c.AuthorizedParties = []string{"cli"} }, want: identity,
		},
		"access token": {
			token:  token(goodHeader().with(object{"typ": "at+jwt"}), good.with(object{"client_id": "sallyport"})),
			config: func(c *Config) { c.TokenTypes = []string{"at+jwt"} }, want: identity,
		},
		"verified e-mail": {
			token: token(goodHeader(), good), user: "ana@example.org", config: func(c *Config) { c.UserClaim = "email" },
			want: change(func(i *authn.Identity) { i.User = "ana@example.org" }),
		},
		"subject as user": {
			token: token(goodHeader(), good), user: "1234", config: func(c *Config) { c.UserClaim = "" },
			want: change(func(i *authn.Identity) { i.User = "1234" }),
		},
		"no groups, no name": {
			token: token(goodHeader(), good.with(object{"groups": nil, "name": nil})),
			want:  change(func(i *authn.Identity) { i.Groups, i.Name = nil, "" }),
		},
		"one group as a string": {
			token: token(goodHeader(), good.with(object{"groups": "dba"})),
			want:  change(func(i *authn.Identity) { i.Groups = []string{"dba"} }),
		},
		"name that cannot be shown": {
			token: token(goodHeader(), good.with(object{"name": "Ana\x1b[2J"})),
			want:  change(func(i *authn.Identity) { i.Name = "" }),
		},
		"unverified e-mail as name": {
			token:  token(goodHeader(), good.with(object{"email_verified": false})),
			config: func(c *Config) { c.NameClaim = "email" }, want: change(func(i *authn.Identity) { i.Name = "" }),
		},
		"other claims left to distributed sources": {
			token: token(goodHeader(), good.with(object{
				"_claim_names": object{"address": "src"}, "_claim_sources": object{"src": object{"endpoint": "https://x.example"}},
			})),
			want: identity,
		},
		"claims of the same names in capitals": {
			token: token(goodHeader(), good.with(object{"PREFERRED_USERNAME": "root", "Groups": []string{"wheel"}})), want: identity,
		},
	}
	for name, tt := range tests {
		t.Run(name, tt.check)
	}
}

// noUser stands for an empty startup user.
const noUser = "none"

// claimCase is a change of good claims that makes a token bad.
type claimCase struct {
	change object
	user   string
	config func(*Config)
	want   Reason
}

func (tt claimCase) check(t *testing.T) {
	user := tt.user
	switch user {
	case "":
		user = "ana"
	case noUser:
		user = ""
	}
	v := verifierOf(t, newIssuer(), tt.config)
	got, err := v.Verify(t.Context(), token(goodHeader(), goodClaims().with(tt.change)), user)
	checkRejected(t, got, err, tt.want)
}

// TestVerifyRefusesClaims signs every token with the issuer's own key.
func TestVerifyRefusesClaims(t *testing.T) {
	tests := map[string]claimCase{
		"another user":              {user: "bob", want: ReasonUser},
		"user in capitals":          {user: "ANA", want: ReasonUser},
		"user with a blank":         {user: "ana ", want: ReasonUser},
		"no startup user":           {user: noUser, want: ReasonUser},
		"no user claim":             {change: object{"preferred_username": nil}, want: ReasonUser},
		"empty user claim and user": {change: object{"preferred_username": ""}, user: noUser, want: ReasonUser},
		"user claim is a list":      {change: object{"preferred_username": []string{"ana"}}, want: ReasonUser},
		"user claim is null":        {change: object{"preferred_username": json.RawMessage("null")}, user: noUser, want: ReasonUser},
		"user claim in capitals":    {change: object{"preferred_username": nil, "Preferred_Username": "ana"}, want: ReasonUser},
		"e-mail not verified":       {change: object{"email_verified": false}, user: "ana@example.org", config: emailUser, want: ReasonUser},
		"e-mail, nothing said":      {change: object{"email_verified": nil}, user: "ana@example.org", config: emailUser, want: ReasonUser},
		"e-mail verified in quotes": {change: object{"email_verified": "true"}, user: "ana@example.org", config: emailUser, want: ReasonUser},
		"e-mail verified as number": {change: object{"email_verified": 1}, user: "ana@example.org", config: emailUser, want: ReasonUser},
		"e-mail in capitals":        {user: "Ana@example.org", config: emailUser, want: ReasonUser},
		"another issuer":            {change: object{"iss": "https://evil.example"}, want: ReasonSignature},
		"issuer with a slash":       {change: object{"iss": "https://id.example/realm/"}, want: ReasonSignature},
		"no issuer":                 {change: object{"iss": nil}, want: ReasonSignature},
		"issuer in capitals":        {change: object{"iss": nil, "ISS": "https://id.example/realm"}, want: ReasonIssuer},
		"another audience":          {change: object{"aud": "other"}, want: ReasonAudience},
		"no audience":               {change: object{"aud": nil}, want: ReasonAudience},
		"empty audience":            {change: object{"aud": ""}, want: ReasonAudience},
		"no audiences":              {change: object{"aud": []string{}}, want: ReasonAudience},
		"audience is a number":      {change: object{"aud": 1}, want: ReasonAudience},
		"an audience is a number":   {change: object{"aud": []any{"sallyport", 1}}, want: ReasonAudience},
		"an audience is empty":      {change: object{"aud": []string{"sallyport", ""}}, want: ReasonAudience},
		"audience as an object":     {change: object{"aud": object{"sallyport": true}}, want: ReasonAudience},
		"audience begins alike":     {change: object{"aud": "sallyport2"}, want: ReasonAudience},
		"two audiences, no party":   {change: object{"aud": []string{"sallyport", "other"}}, want: ReasonParty},
		"same audience twice":       {change: object{"aud": []string{"sallyport", "sallyport"}}, want: ReasonParty},
		"another party":             {change: object{"azp": "other"}, want: ReasonParty},
		"another client":            {change: object{"client_id": "other"}, want: ReasonParty},
		"party good, client not":    {change: object{"azp": "sallyport", "client_id": "other"}, want: ReasonParty},
		"party is a list":           {change: object{"azp": []string{"sallyport"}}, want: ReasonParty},
		"party is null":             {change: object{"azp": json.RawMessage("null")}, want: ReasonParty},
		"audience is not a party":   {change: object{"azp": "sallyport"}, config: func(c *Config) { c.AuthorizedParties = []string{"cli"} }, want: ReasonParty},
	}
	for name, tt := range tests {
		t.Run(name, tt.check)
	}
}

func TestVerifyRefusesTimesAndGroups(t *testing.T) {
	now := time.Now().Unix()
	tests := map[string]claimCase{
		"expired":                    {change: object{"exp": now - 1}, want: ReasonExpired},
		"expired within the skew":    {change: object{"exp": now - 5}, want: ReasonExpired},
		"no expiry":                  {change: object{"exp": nil}, want: ReasonExpired},
		"expiry is null":             {change: object{"exp": json.RawMessage("null")}, want: ReasonSignature},
		"expiry in quotes":           {change: object{"exp": json.Number("9").String()}, want: ReasonExpired},
		"expiry in good quotes":      {change: object{"exp": "4000000000"}, want: ReasonExpired},
		"expiry beyond all":          {change: object{"exp": json.RawMessage("1e300")}, want: ReasonExpired},
		"expiry beyond 9999":         {change: object{"exp": json.RawMessage("253402300800")}, want: ReasonExpired},
		"expiry negative":            {change: object{"exp": -1}, want: ReasonExpired},
		"no issue time":              {change: object{"iat": nil}, want: ReasonAge},
		"issued tomorrow":            {change: object{"iat": now + 86400, "exp": now + 90000}, want: ReasonAge},
		"issued beyond the skew":     {change: object{"iat": now + 90}, want: ReasonAge},
		"too old":                    {change: object{"iat": now - 3700}, want: ReasonAge},
		"older than configured":      {change: object{"iat": now - 120}, config: func(c *Config) { c.MaxAge = time.Minute }, want: ReasonAge},
		"issue time in quotes":       {change: object{"iat": "1"}, want: ReasonAge},
		"not yet":                    {change: object{"nbf": now + 90}, want: ReasonNotYet},
		"not yet, what go-oidc lets": {change: object{"nbf": now + 240}, want: ReasonNotYet},
		"not before null":            {change: object{"nbf": json.RawMessage("null")}, want: ReasonNotYet},
		"bound to a key":             {change: object{"cnf": object{"x5t#S256": "abc"}}, want: ReasonKind},
		"logout token":               {change: object{"events": object{"http://schemas.openid.net/event/backchannel-logout": object{}}}, want: ReasonKind},
		"no subject":                 {change: object{"sub": nil}, want: ReasonSubject},
		"empty subject":              {change: object{"sub": ""}, want: ReasonSubject},
		"long subject":               {change: object{"sub": strings.Repeat("s", 256)}, want: ReasonSubject},
		"subject with a line break":  {change: object{"sub": "a\nb"}, want: ReasonSubject},
		"subject is a number":        {change: object{"sub": 1}, want: ReasonSignature},
		"too many groups": {
			change: object{
				"groups": nil, "_claim_names": object{"groups": "src1"},
				"_claim_sources": object{"src1": object{"endpoint": "https://graph.example/groups"}},
			},
			want: ReasonGroups,
		},
		"too many groups, some shown": {
			change: object{"_claim_names": object{"groups": "src1"}, "_claim_sources": object{"src1": object{"endpoint": "x"}}}, want: ReasonGroups,
		},
		"hasgroups":                 {change: object{"groups": nil, "hasgroups": true}, want: ReasonGroups},
		"hasgroups in quotes":       {change: object{"groups": nil, "hasgroups": "true"}, want: ReasonGroups},
		"source of groups missing":  {change: object{"_claim_names": object{"groups": "src1"}}, want: ReasonSignature},
		"claim names are a list":    {change: object{"_claim_names": []string{"groups"}}, want: ReasonSignature},
		"claim names null":          {change: object{"_claim_names": json.RawMessage("null")}, want: ReasonGroups},
		"groups null":               {change: object{"groups": json.RawMessage("null")}, want: ReasonGroups},
		"groups are numbers":        {change: object{"groups": []int{1}}, want: ReasonGroups},
		"groups are an object":      {change: object{"groups": object{"dba": true}}, want: ReasonGroups},
		"a group is empty":          {change: object{"groups": []string{"dba", ""}}, want: ReasonGroups},
		"a group with a line break": {change: object{"groups": []string{"dba\nroot"}}, want: ReasonGroups},
		"very many groups":          {change: object{"groups": strings.Split(strings.Repeat("g,", maxGroups)+"g", ",")}, want: ReasonGroups},
	}
	for name, tt := range tests {
		t.Run(name, tt.check)
	}
}

func emailUser(c *Config) { c.UserClaim = "email" }

// tokenCase is a text that is no good token.
type tokenCase struct {
	token string
	want  Reason
}

func (tt tokenCase) check(t *testing.T) {
	got, err := verifierOf(t, newIssuer(), nil).Verify(t.Context(), tt.token, "ana")
	checkRejected(t, got, err, tt.want)
}

// TestVerifyRefusesTokens: headers, signatures and shapes that no honest issuer makes, and some that one makes for others.
func TestVerifyRefusesTokens(t *testing.T) {
	good := token(goodHeader(), goodClaims())
	text := string(must(json.Marshal(goodClaims())))
	parts := strings.Split(good, ".")
	modulus := x509.MarshalPKCS1PublicKey(&keys().rsa.PublicKey)
	der := must(x509.MarshalPKIXPublicKey(&keys().rsa.PublicKey))
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	embedded := `{"alg":"RS256","kid":"evil","jwk":` + string(must(json.Marshal(published("evil", "RS256", &keys().otherRSA.PublicKey)))) + `}`
	header := func(changes object) string { return token(goodHeader().with(changes), goodClaims()) }
	tests := map[string]tokenCase{
		"empty":                      {"", ReasonShape},
		"a password":                 {"correct horse battery staple", ReasonShape},
		"dots alone":                 {"..", ReasonShape},
		"many dots":                  {strings.Repeat(".", maxTokenBytes), ReasonShape},
		"one dot":                    {parts[0] + "." + parts[1], ReasonShape},
		"three dots":                 {good + ".", ReasonShape},
		"encrypted":                  {good + "." + parts[1] + "." + parts[2], ReasonShape},
		"no signature":               {parts[0] + "." + parts[1] + ".", ReasonShape},
		"no payload":                 {parts[0] + ".." + parts[2], ReasonShape},
		"no header":                  {"." + parts[1] + "." + parts[2], ReasonShape},
		"too long":                   {good + strings.Repeat("A", maxTokenBytes), ReasonShape},
		"line break behind":          {good + "\n", ReasonShape},
		"blank before":               {" " + good, ReasonShape},
		"white space inside":         {parts[0] + ".\t" + parts[1] + "." + parts[2], ReasonShape},
		"padding":                    {parts[0] + "=." + parts[1] + "." + parts[2], ReasonShape},
		"NUL":                        {good + "\x00", ReasonShape},
		"not ASCII":                  {good + "é", ReasonShape},
		"standard base64":            {parts[0] + "+/." + parts[1] + "." + parts[2], ReasonShape},
		"JSON serialization":         {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, ReasonShape},
		"Bearer in front":            {"Bearer " + good, ReasonShape},
		"long header":                {header(object{"x": strings.Repeat("x", 2048)}), ReasonShape},
		"header not base64":          {"A." + parts[1] + "." + parts[2], ReasonHeader},
		"header not JSON":            {signed("alg", text, keys().rsa), ReasonHeader},
		"header null":                {signed("null", text, keys().rsa), ReasonHeader},
		"header a list":              {signed("[]", text, keys().rsa), ReasonHeader},
		"header not UTF-8":           {signed("{\"alg\":\"RS256\",\"kid\":\"\xff\"}", text, keys().rsa), ReasonHeader},
		"something behind header":    {signed(`{"alg":"RS256","kid":"rsa"}{}`, text, keys().rsa), ReasonHeader},
		"algorithm twice":            {signed(`{"alg":"none","alg":"RS256","kid":"rsa"}`, text, keys().rsa), ReasonHeader},
		"crit":                       {header(object{"crit": []string{"exp"}}), ReasonHeader},
		"empty crit":                 {header(object{"crit": []string{}}), ReasonHeader},
		"b64":                        {header(object{"b64": false, "crit": []string{"b64"}}), ReasonHeader},
		"b64 true":                   {header(object{"b64": true}), ReasonHeader},
		"enc":                        {header(object{"enc": "A128GCM"}), ReasonHeader},
		"zip":                        {header(object{"zip": "DEF"}), ReasonHeader},
		"kid a number":               {header(object{"kid": 1}), ReasonHeader},
		"kid null":                   {header(object{"kid": json.RawMessage("null")}), ReasonHeader},
		"kid empty":                  {header(object{"kid": ""}), ReasonHeader},
		"kid long":                   {header(object{"kid": strings.Repeat("k", 257)}), ReasonHeader},
		"alg missing":                {header(object{"alg": nil}), ReasonAlgorithm},
		"alg null":                   {header(object{"alg": json.RawMessage("null")}), ReasonAlgorithm},
		"alg a list":                 {header(object{"alg": []string{"RS256"}}), ReasonAlgorithm},
		"alg none":                   {signed(`{"alg":"none"}`, text, nil) + "AA", ReasonAlgorithm},
		"alg None":                   {signed(`{"alg":"None"}`, text, nil) + "AA", ReasonAlgorithm},
		"alg empty":                  {signed(`{"alg":""}`, text, nil) + "AA", ReasonAlgorithm},
		"alg in small letters":       {header(object{"alg": "rs256"}), ReasonAlgorithm},
		"alg not configured":         {header(object{"alg": "RS512"}), ReasonAlgorithm},
		"HMAC with the modulus":      {signed(`{"alg":"HS256","kid":"rsa"}`, text, modulus), ReasonAlgorithm},
		"HMAC with the PEM":          {signed(`{"alg":"HS256","kid":"rsa"}`, text, asPEM), ReasonAlgorithm},
		"type of access tokens":      {header(object{"typ": "at+jwt"}), ReasonType},
		"type of logout tokens":      {header(object{"typ": "logout+jwt"}), ReasonType},
		"type null":                  {header(object{"typ": json.RawMessage("null")}), ReasonType},
		"type empty":                 {header(object{"typ": ""}), ReasonType},
		"unknown kid":                {header(object{"kid": "other"}), ReasonKey},
		"kid of another kind":        {header(object{"kid": "ec"}), ReasonKey},
		"kid in capitals":            {header(object{"kid": "RSA"}), ReasonKey},
		"PSS with a key for PKCS1":   {signed(`{"alg":"PS256","kid":"rsa"}`, text, keys().rsa), ReasonKey},
		"key embedded":               {signed(embedded, text, keys().otherRSA), ReasonKey},
		"key embedded, kid of ours":  {signed(strings.Replace(embedded, `"kid":"evil","jwk"`, `"kid":"rsa","jwk"`, 1), text, keys().otherRSA), ReasonSignature},
		"another's signature":        {signed(`{"alg":"RS256","kid":"rsa"}`, text, keys().otherRSA), ReasonSignature},
		"signature of another token": {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(text, "ana", "bob", 1))) + "." + parts[2], ReasonSignature},
		"header of another token":    {strings.Split(header(object{"x": "y"}), ".")[0] + "." + parts[1] + "." + parts[2], ReasonSignature},
		"signature cut":              {good[:len(good)-4], ReasonSignature},
		"signature of one byte":      {parts[0] + "." + parts[1] + ".AA", ReasonSignature},
		"EC signature of zeros":      {strings.TrimSuffix(signed(`{"alg":"ES256","kid":"ec"}`, text, make([]byte, 1)), "") + strings.Repeat("A", 43), ReasonSignature},
	}
	for name, tt := range tests {
		t.Run(name, tt.check)
	}
}

func TestVerifyRefusesPayloads(t *testing.T) {
	good := token(goodHeader(), goodClaims())
	text := string(must(json.Marshal(goodClaims())))
	parts := strings.Split(good, ".")
	tests := map[string]tokenCase{
		"payload not base64": {parts[0] + ".A." + parts[2], ReasonPayload},
		"payload not JSON":   {signed(`{"alg":"RS256","kid":"rsa"}`, "hello", keys().rsa), ReasonPayload},
		"payload null":       {signed(`{"alg":"RS256","kid":"rsa"}`, "null", keys().rsa), ReasonPayload},
		"payload a list":     {signed(`{"alg":"RS256","kid":"rsa"}`, "["+text+"]", keys().rsa), ReasonPayload},
		"payload not UTF-8":  {signed(`{"alg":"RS256","kid":"rsa"}`, strings.Replace(text, "ana", "\xff", 1), keys().rsa), ReasonPayload},
		"claim twice":        {signed(`{"alg":"RS256","kid":"rsa"}`, `{"preferred_username":"root",`+text[1:], keys().rsa), ReasonPayload},
		"deep payload":       {signed(`{"alg":"RS256","kid":"rsa"}`, `{"a":`+strings.Repeat("[", 9000), keys().rsa), ReasonPayload},
	}
	for name, tt := range tests {
		t.Run(name, tt.check)
	}
}

// checkRejected also sees to it that an error tells nothing of the token.
func checkRejected(t *testing.T, got authn.Identity, err error, want Reason) {
	t.Helper()
	var rejected *RejectedError
	if !errors.Is(err, ErrRejected) || !errors.As(err, &rejected) || rejected.Reason != want {
		t.Fatalf("Verify = %v, want %q", err, want)
	}
	if diff := cmp.Diff(authn.Identity{}, got); diff != "" {
		t.Errorf("identity beside an error (-want +got):\n%s", diff)
	}
	if text := err.Error(); text != "token rejected: "+string(want) {
		t.Errorf("the error tells more: %q", text)
	}
	if errors.Is(err, ErrUnavailable) {
		t.Error("a rejected token is no outage")
	}
}

// TestAmbiguousKeys: without a kid, or with one that two keys share, no key is tried.
func TestAmbiguousKeys(t *testing.T) {
	for name, header := range map[string]object{"no kid": {"kid": nil}, "shared kid": {}} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer()
			i.keys = append(i.keys, published("rsa", "RS256", &keys().otherRSA.PublicKey))
			got, err := verifierOf(t, i, nil).Verify(t.Context(), token(goodHeader().with(header), goodClaims()), "ana")
			checkRejected(t, got, err, ReasonKey)
		})
	}
}

// TestCanceled: a login that is given up is neither a good token nor a bad one.
func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := verifierOf(t, newIssuer(), nil).Verify(ctx, token(goodHeader(), goodClaims()), "ana")
	if err != nil && (!errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) || errors.Is(err, ErrRejected)) {
		t.Errorf("Verify = %v", err)
	}
}

// TestCheckTimes walks the edges.
func TestCheckTimes(t *testing.T) {
	now := time.Unix(1_000_000, 500)
	const maxAge, skew = time.Hour, 30 * time.Second
	tests := map[string]struct {
		iat, exp, nbf string
		want          Reason
	}{
		"plain":                   {"1000000", "1000600", "", ""},
		"last second":             {"999990", "1000001", "", ""},
		"end of the last second":  {"999990", "1000000", "", ReasonExpired},
		"fraction is dropped":     {"999990", "1000000.9", "", ReasonExpired},
		"exponent":                {"999990", "1.0006e6", "", ""},
		"issued at the skew":      {"1000030", "1000600", "", ""},
		"issued beyond":           {"1000031", "1000600", "", ReasonAge},
		"oldest":                  {"996371", "1000600", "", ""},
		"older":                   {"996370", "1000600", "", ReasonAge},
		"issued in 1970":          {"0", "1000600", "", ReasonAge},
		"valid from the skew on":  {"1000000", "1000600", "1000030", ""},
		"valid from later on":     {"1000000", "1000600", "1000031", ReasonNotYet},
		"not before is a string":  {"1000000", "1000600", `"1"`, ReasonNotYet},
		"not before is true":      {"1000000", "1000600", "true", ReasonNotYet},
		"negative issue time":     {"-1", "1000600", "", ReasonAge},
		"issue time is an object": {"{}", "1000600", "", ReasonAge},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := claims{"iat": []byte(tt.iat), "exp": []byte(tt.exp)}
			if tt.nbf != "" {
				c["nbf"] = []byte(tt.nbf)
			}
			if _, reason := c.checkTimes(now, maxAge, skew); reason != tt.want {
				t.Errorf("checkTimes = %q, want %q", reason, tt.want)
			}
		})
	}
}
