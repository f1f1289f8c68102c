package oauthbearer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authn"
	"github.com/sallyport/sallyport/authn/oidc"
)

var _ verifier = (*oidc.Verifier)(nil)

const refusal = `{"status":"invalid_token","openid-configuration":"https://id.example/.well-known/openid-configuration","scope":"openid db"}`

// fake knows one token, "good", of ana's.
type fake struct {
	calls int
	err   error          // instead of a verdict
	id    authn.Identity // instead of ana's
}

func (f *fake) Verify(_ context.Context, token, user string) (authn.Identity, error) {
	f.calls++
	switch {
	case f.err != nil:
		return authn.Identity{}, f.err
	case f.id.User != "":
		return f.id, nil
	case token != "good":
		return authn.Identity{}, &oidc.RejectedError{Reason: oidc.ReasonSignature}
	case user != "ana":
		return authn.Identity{}, &oidc.RejectedError{Reason: oidc.ReasonUser}
	}
	return anasIdentity(), nil
}

func anasIdentity() authn.Identity {
	return authn.Identity{
		User: "ana", Method: authn.MethodOIDC, Issuer: "https://id.example", Subject: "1", Groups: []string{"dba"}, Expires: time.Unix(2000, 0),
	}
}

func newServer(t testing.TB, v verifier) *Server {
	t.Helper()
	server, err := NewServer(Config{Verifier: v, Issuer: "https://id.example", Scope: "openid db"})
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func message(authorization string) []byte { return []byte("n,,\x01auth=" + authorization + "\x01\x01") }

func TestLogin(t *testing.T) {
	exchange := newServer(t, &fake{}).Begin("ana")
	if _, ok := exchange.Identity(); ok {
		t.Error("an identity before the first step")
	}
	out, done, err := exchange.Step(t.Context(), message("Bearer good"))
	if out != nil || !done || err != nil || exchange.Refused() != nil {
		t.Fatalf("Step = %q, %v, %v, refused %v", out, done, err, exchange.Refused())
	}
	want := anasIdentity()
	want.Method = authn.MethodOAUTHBEARER
	got, ok := exchange.Identity()
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("Identity, %v (-want +got):\n%s", ok, diff)
	}
}

// TestRefusals: whatever is wrong with a token, and if there is none at all, the client sees the same.
func TestRefusals(t *testing.T) {
	tests := map[string]struct {
		user, authorization string
		verifier            *fake
		calls               int
		want                error
	}{
		"discovery":                   {"ana", "", &fake{}, 0, ErrDiscovery},
		"discovery, unknown user":     {"eve", "", &fake{}, 0, ErrDiscovery},
		"bad token":                   {"ana", "Bearer bad", &fake{}, 1, ErrFailed},
		"another's token":             {"eve", "Bearer good", &fake{}, 1, ErrFailed},
		"no user":                     {"", "Bearer good", &fake{}, 1, ErrFailed},
		"not a bearer token":          {"ana", "Basic good", &fake{}, 0, ErrFailed},
		"bearer without a token":      {"ana", "Bearer ", &fake{}, 0, ErrFailed},
		"a blank is no discovery":     {"ana", " ", &fake{}, 0, ErrFailed},
		"not a token's characters":    {"ana", "Bearer go od", &fake{}, 0, ErrFailed},
		"verifier answers of another": {"ana", "Bearer x", &fake{id: authn.Identity{User: "eve"}}, 1, ErrFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			exchange := newServer(t, tt.verifier).Begin(tt.user)
			out, done, err := exchange.Step(t.Context(), message(tt.authorization))
			if done || err != nil || string(out) != refusal || !errors.Is(exchange.Refused(), tt.want) {
				t.Fatalf("Step = %q, %v, %v, refused %v", out, done, err, exchange.Refused())
			}
			out, done, err = exchange.Step(t.Context(), []byte{1})
			if out != nil || !done || !errors.Is(err, tt.want) || errors.Is(err, ErrProtocol) {
				t.Errorf("acknowledged: %q, %v, %v", out, done, err)
			}
			if _, ok := exchange.Identity(); ok || tt.verifier.calls != tt.calls {
				t.Errorf("identity %v, verifier was asked %d times, want %d", ok, tt.verifier.calls, tt.calls)
			}
		})
	}
}

// TestPublishedFailure is RFC 7628 section 4.3's example: the challenge says what ours says, and AQ== ends the exchange.
func TestPublishedFailure(t *testing.T) {
	const challenge = "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYXRpb24iOiJodHRwczovL2V4YW1wbGUu" +
		"Y29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0="
	decode := func(text string) []byte {
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	server, err := NewServer(Config{Verifier: &fake{}, Issuer: "https://example.com", Scope: "example_scope"})
	if err != nil {
		t.Fatal(err)
	}
	exchange := server.Begin("ana")
	withoutAuthorizationIdentity := strings.Replace(publishedMessage(t), "a=user@example.com", "", 1)
	out, done, err := exchange.Step(t.Context(), []byte(withoutAuthorizationIdentity))
	if done || err != nil {
		t.Fatalf("Step = %q, %v, %v", out, done, err)
	}
	var got, want map[string]string
	if err := errors.Join(json.Unmarshal(out, &got), json.Unmarshal(decode(challenge), &want)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 3 {
		t.Errorf("challenge (-want +got):\n%s", diff)
	}
	if _, done, err := exchange.Step(t.Context(), decode("AQ==")); !done || !errors.Is(err, ErrFailed) {
		t.Errorf("acknowledged: %v, %v", done, err)
	}
}

func TestRefusalIsJSON(t *testing.T) {
	var got map[string]string
	if err := json.Unmarshal([]byte(refusal), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"status": "invalid_token", "openid-configuration": "https://id.example/.well-known/openid-configuration", "scope": "openid db"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestUnjudged: when no token can be judged, the client is not told that its token is bad, which would make it throw it away.
func TestUnjudged(t *testing.T) {
	for name, want := range map[string]error{"no keys": oidc.ErrUnavailable, "too late": context.DeadlineExceeded, "cancelled": context.Canceled, "unknown": errors.New("x")} {
		t.Run(name, func(t *testing.T) {
			exchange := newServer(t, &fake{err: fmt.Errorf("fake: %w", want)}).Begin("ana")
			out, done, err := exchange.Step(t.Context(), message("Bearer good"))
			if out != nil || !done || !errors.Is(err, want) || errors.Is(err, ErrFailed) || errors.Is(err, ErrProtocol) {
				t.Errorf("Step = %q, %v, %v", out, done, err)
			}
			if _, ok := exchange.Identity(); ok || exchange.Refused() != nil {
				t.Error("an identity, or a refusal")
			}
		})
	}
}

func TestStepOrder(t *testing.T) {
	good, bad, heard := message("Bearer good"), message("Bearer bad"), []byte{1}
	t.Run("no data, then the message", func(t *testing.T) {
		exchange := newServer(t, &fake{}).Begin("ana")
		out, done, err := exchange.Step(t.Context(), nil)
		if out == nil || len(out) != 0 || done || err != nil {
			t.Fatalf("Step(nil) = %v, %v, %v", out, done, err)
		}
		if _, done, err := exchange.Step(t.Context(), good); !done || err != nil {
			t.Errorf("Step = %v, %v", done, err)
		}
	})
	tests := map[string][][]byte{
		"no data twice":                      {nil, nil},
		"empty data":                         {{}},
		"acknowledgement first":              {heard},
		"malformed":                          {[]byte("n,,")},
		"again after an error":               {[]byte("n,,"), good},
		"a good token after a bad one":       {bad, good},
		"a good token after discovery":       {message(""), good},
		"nothing after a bad one":            {bad, nil},
		"empty after a bad one":              {bad, {}},
		"acknowledged with more":             {bad, {1, 1}},
		"acknowledged with something else":   {bad, {2}},
		"acknowledged wrongly, then rightly": {bad, {2}, heard},
		"acknowledged twice":                 {bad, heard, heard},
		"a token after the acknowledgement":  {bad, heard, good},
		"again after success":                {good, good},
		"acknowledged after success":         {good, heard},
	}
	for name, messages := range tests {
		t.Run(name, func(t *testing.T) {
			exchange := newServer(t, &fake{}).Begin("ana")
			last := len(messages) - 1
			for _, message := range messages[:last] {
				_, _, _ = exchange.Step(t.Context(), message)
			}
			out, done, err := exchange.Step(t.Context(), messages[last])
			if !errors.Is(err, ErrProtocol) || !done || out != nil {
				t.Errorf("Step = %q, %v, %v", out, done, err)
			}
			if _, ok := exchange.Identity(); ok != strings.Contains(name, "success") {
				t.Errorf("identity: %v", ok)
			}
		})
	}
	t.Run("an exchange that nobody began", func(t *testing.T) {
		if _, done, err := (&Exchange{}).Step(t.Context(), good); !done || !errors.Is(err, ErrProtocol) {
			t.Errorf("Step = %v, %v", done, err)
		}
	})
}

// TestErrorsQuoteNothing: a token that is only malformed may be a good one with a blank too many.
func TestErrorsQuoteNothing(t *testing.T) {
	const marker = "hunter2"
	for _, in := range []string{
		"n,," + marker, "n,a=" + marker + ",\x01\x01", "n,,\x01auth=Bearer " + marker, "n,,\x01" + marker + "\x01\x01",
		"n,,\x01auth=" + marker + "\x01\x01", "n,,\x01auth=Bearer " + marker + " x\x01\x01", "n,,\x01auth=Bearer " + marker + "\x01\x01",
	} {
		exchange := newServer(t, &fake{}).Begin("ana")
		_, done, err := exchange.Step(t.Context(), []byte(in))
		if !done {
			_, _, err = exchange.Step(t.Context(), []byte{1})
		}
		if err == nil || strings.Contains(err.Error(), marker) {
			t.Errorf("Step(%q) = %v", in, err)
		}
	}
}

func TestNewServer(t *testing.T) {
	const issuer = "https://id.example"
	tests := map[string]struct {
		cfg  Config
		want string // the discovery URL, or a part of the error
		ok   bool
	}{
		"by the issuer":              {Config{Verifier: &fake{}, Issuer: issuer}, issuer + wellKnown, true},
		"issuer with a path":         {Config{Verifier: &fake{}, Issuer: issuer + "/realms/x"}, issuer + "/realms/x" + wellKnown, true},
		"issuer that is a document":  {Config{Verifier: &fake{}, Issuer: issuer + "/.well-known/oauth-authorization-server/x"}, issuer + "/.well-known/oauth-authorization-server/x", true},
		"document somewhere else":    {Config{Verifier: &fake{}, Issuer: issuer, Discovery: "https://id.example/x?y"}, "discovery has", false},
		"document of its own":        {Config{Verifier: &fake{}, Issuer: issuer, Discovery: "https://id.example/x"}, "https://id.example/x", true},
		"no verifier":                {Config{Issuer: issuer}, "no verifier", false},
		"no issuer":                  {Config{Verifier: &fake{}}, "issuer is not an absolute URL", false},
		"issuer in the clear":        {Config{Verifier: &fake{}, Issuer: "http://id.example"}, "not an https URL", false},
		"document in the clear":      {Config{Verifier: &fake{}, Issuer: issuer, Discovery: "http://id.example/x"}, "discovery is not an https URL", false},
		"issuer with a user":         {Config{Verifier: &fake{}, Issuer: "https://a:hunter2@id.example"}, "issuer has a user", false},
		"issuer with a query":        {Config{Verifier: &fake{}, Issuer: issuer + "?x"}, "a query", false},
		"issuer with a fragment":     {Config{Verifier: &fake{}, Issuer: issuer + "#x"}, "a fragment", false},
		"scope with a quote":         {Config{Verifier: &fake{}, Issuer: issuer, Scope: `a"b`}, "scope has a character", false},
		"scope with a line break":    {Config{Verifier: &fake{}, Issuer: issuer, Scope: "a\nb"}, "scope has a character", false},
		"scope with a blank at last": {Config{Verifier: &fake{}, Issuer: issuer, Scope: "openid "}, "a blank too many", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server, err := NewServer(tt.cfg)
			if !tt.ok {
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("NewServer: %v, want %q", err, tt.want)
				}
				return
			}
			if err != nil || !strings.Contains(string(server.refusal), `"`+tt.want+`","scope":"openid"`) {
				t.Errorf("NewServer: %s, %v", server.refusal, err)
			}
			if diff := cmp.Diff([]string{"OAUTHBEARER"}, server.Mechanisms()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzExchange plays a client whose token is not good. Whatever it sends: no panic, no identity, no answer beside an error.
func FuzzExchange(f *testing.F) {
	f.Add([]byte("n,,\x01auth=Bearer bad\x01\x01"), []byte{1})
	f.Add([]byte("n,,\x01host=h\x01port=1\x01auth=\x01\x01"), []byte{1})
	f.Add([]byte("y,,\x01auth=bearer   a.b.c==\x01\x01"), []byte{1, 1})
	f.Add([]byte(publishedMessage(f)), []byte{})
	f.Add([]byte("p=tls-server-end-point,,\x01\x01"), []byte("n,,\x01auth=Bearer bad\x01\x01"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		v := &fake{err: &oidc.RejectedError{Reason: oidc.ReasonShape}}
		exchange := newServer(t, v).Begin("ana")
		out, done, err := exchange.Step(t.Context(), first)
		if (err != nil) != done || (err != nil) != (out == nil) || v.calls > 1 {
			t.Fatalf("Step(first) = %q, %v, %v", out, done, err)
		}
		if first != nil && !done && string(out) != refusal {
			t.Fatalf("Step(first) = %q", out)
		}
		out, done, err = exchange.Step(t.Context(), second)
		if first != nil && (err == nil || !done || out != nil) {
			t.Fatalf("Step(second) = %q, %v, %v", out, done, err)
		}
		if _, ok := exchange.Identity(); ok {
			t.Fatal("an identity without a good token")
		}
	})
}
