package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/certs"
	"github.com/sallyport/sallyport/gateway/refusals"
)

// shown is what a request that shows a client certificate has in its TLS.
func shown(t *testing.T, name string) *tls.ConnectionState {
	t.Helper()
	authority, err := certs.New("Test CA")
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := authority.Issue(certs.Request{CommonName: name, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Leaf}}
}

// post is a request of an operator, with what the API wants.
func post(t *testing.T, operator, path, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.TLS = shown(t, operator)
	return r
}

// summary is what was recorded: "action session user result", a line each.
func (s *setup) summary() []string {
	var lines []string
	for _, a := range s.actions {
		lines = append(lines, strings.Join(strings.Fields(fmt.Sprint(a.Operator.Name, " ", a.Kind, " ", a.Session, " ", a.Who.User, a.Who.Subject, " ", a.Result, " ", len(a.Ended))), " "))
	}
	return lines
}

func TestActs(t *testing.T) {
	tests := map[string]struct {
		path, body string
		status     int
		did        string
		recorded   []string
	}{
		"end":               {"/sessions/s1/end", `{"reason": "INC-1"}`, 200, "end s1", []string{"boss end s1 ana begun 0", "boss end s1 ana done 1"}},
		"end nobody":        {"/sessions/s2/end", `{"reason": "INC-1"}`, 404, "end s2", []string{"boss end s2 begun 0", "boss end s2 not_found 0"}},
		"refuse":            {"/refusals", `{"user": "ana", "reason": "INC-1"}`, 200, "refuse ana   by boss", []string{"boss refuse ana begun 0", "boss refuse ana done 1"}},
		"refuse a subject":  {"/refusals", `{"issuer": "i", "subject": "17", "reason": "INC-1"}`, 200, "refuse  i 17 by boss", []string{"boss refuse 17 begun 0", "boss refuse 17 done 1"}},
		"refuse for a time": {"/refusals", `{"user": "ana", "reason": "INC-1", "expires": "2999-01-01T00:00:00Z"}`, 200, "refuse ana   by boss", []string{"boss refuse ana begun 0", "boss refuse ana done 1"}},
		"lift":              {"/refusals/lift", `{"user": "ana", "reason": "found"}`, 200, "lift ana", []string{"boss lift ana begun 0", "boss lift ana done 0"}},
		"lift nobody's":     {"/refusals/lift", `{"user": "eve", "reason": "found"}`, 404, "lift eve", []string{"boss lift eve begun 0", "boss lift eve not_found 0"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t, token)
			w := s.serve(post(t, "boss", test.path, test.body))
			if w.Code != test.status || strings.Join(s.gateway.did, ", ") != test.did {
				t.Errorf("%d %s; did %q, want %d and %q", w.Code, w.Body, s.gateway.did, test.status, test.did)
			}
			if diff := cmp.Diff(test.recorded, s.summary()); diff != "" {
				t.Errorf("recorded (-want +got):\n%s", diff)
			}
			if begun, ended := s.actions[0], s.actions[1]; begun.ID == "" || begun.ID != ended.ID || begun.ClientAddress != "192.0.2.1" || begun.Reason == "" {
				t.Errorf("recorded %+v", begun)
			}
			if strings.Contains(test.body, "2999") && s.gateway.inFuture.Year() != 2999 {
				t.Errorf("until %v", s.gateway.inFuture)
			}
		})
	}
}

// TestDoesNothing: what is asked in another way than the API wants is not done, and not recorded as begun.
func TestDoesNothing(t *testing.T) {
	const good = `{"user": "ana", "reason": "INC-1"}`
	header := func(key, value string) func(*http.Request) { return func(r *http.Request) { r.Header.Set(key, value) } }
	tests := map[string]struct {
		path, body string
		change     func(*http.Request)
		status     int
	}{
		"no type":                 {"/refusals", good, header("Content-Type", ""), 415},
		"a form":                  {"/refusals", "user=ana&reason=x", header("Content-Type", "application/x-www-form-urlencoded"), 415},
		"plain text":              {"/refusals", good, header("Content-Type", "text/plain"), 415},
		"a type that begins so":   {"/refusals", good, header("Content-Type", "application/jsonp"), 415},
		"another site's page":     {"/refusals", good, header("Sec-Fetch-Site", "cross-site"), 403},
		"another origin":          {"/refusals", good, header("Origin", "https://evil.example"), 403},
		"no reason":               {"/refusals", `{"user": "ana"}`, nil, 400},
		"an empty reason":         {"/refusals", `{"user": "ana", "reason": " "}`, nil, 400},
		"a reason of two lines":   {"/refusals", `{"user": "ana", "reason": "a\nb"}`, nil, 400},
		"a long reason":           {"/refusals", `{"user": "ana", "reason": "` + strings.Repeat("x", 513) + `"}`, nil, 400},
		"nobody":                  {"/refusals", `{"reason": "x"}`, nil, 400},
		"user and subject":        {"/refusals", `{"user": "ana", "issuer": "i", "subject": "17", "reason": "x"}`, nil, 400},
		"no subject":              {"/refusals", `{"issuer": "i", "reason": "x"}`, nil, 400},
		"a name that is no text":  {"/refusals", `{"user": "a\u0007", "reason": "x"}`, nil, 400},
		"a time that is past":     {"/refusals", `{"user": "ana", "reason": "x", "expires": "2000-01-01T00:00:00Z"}`, nil, 400},
		"a time in no calendar":   {"/refusals", `{"user": "ana", "reason": "x", "expires": "9999-12-31T23:59:59-23:59"}`, nil, 400},
		"no time":                 {"/refusals", `{"user": "ana", "reason": "x", "expires": "tomorrow"}`, nil, 400},
		"a key that is misspelt":  {"/refusals", `{"user": "ana", "reason": "x", "expire": "2999-01-01T00:00:00Z"}`, nil, 400},
		"two objects":             {"/refusals", good + good, nil, 400},
		"a list":                  {"/refusals", "[" + good + "]", nil, 400},
		"nothing":                 {"/refusals", "", nil, 400},
		"too much":                {"/refusals", `{"user": "ana", "reason": "` + strings.Repeat("x", maxBodyBytes) + `"}`, nil, 413},
		"no reason to end":        {"/sessions/s1/end", "{}", nil, 400},
		"no reason to lift":       {"/refusals/lift", `{"user": "ana"}`, nil, 400},
		"a certificate and worse": {"/refusals", good, header("Authorization", "Bearer wrong"), 401},
		"two tokens":              {"/refusals", good, func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + token, "Bearer " + token} }, 401},
		"nobody's certificate":    {"/refusals", good, func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, 401},
		"a certificate of before": {"/refusals", good, func(r *http.Request) { r.TLS = shown(t, outdated) }, 401},
		"no TLS":                  {"/refusals", good, func(r *http.Request) { r.TLS = nil }, 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t, token)
			r := post(t, "boss", test.path, test.body)
			if test.change != nil {
				test.change(r)
			}
			if w := s.serve(r); w.Code != test.status {
				t.Errorf("%d %s, want %d", w.Code, w.Body, test.status)
			}
			if len(s.gateway.did)+len(s.actions) != 0 {
				t.Errorf("did %q, recorded %+v", s.gateway.did, s.actions)
			}
		})
	}
}

// TestForbidden: somebody who is known and may not do it is recorded.
func TestForbidden(t *testing.T) {
	for _, name := range []string{"clerk", "somebody"} {
		s := newSetup(t, token)
		w := s.serve(post(t, name, "/sessions/s1/end", `{"reason": "x"}`))
		if w.Code != 403 || len(s.gateway.did) != 0 {
			t.Errorf("%s: %d %s, did %q", name, w.Code, w.Body, s.gateway.did)
		}
		if len(s.actions) != 1 || s.actions[0].Result != ResultForbidden || s.actions[0].Session != "s1" || !strings.Contains(s.actions[0].Operator.Subject, name) {
			t.Errorf("%s: recorded %+v", name, s.actions)
		}
	}
	s := newSetup(t, token)
	r := httptest.NewRequest("GET", "/sessions", nil)
	r.TLS = shown(t, "clerk")
	if w := s.serve(r); w.Code != 200 {
		t.Errorf("a clerk may not read: %d", w.Code)
	}
}

// TestNotRecordedIsNotDone: fail closed.
func TestNotRecordedIsNotDone(t *testing.T) {
	for path, body := range map[string]string{
		"/sessions/s1/end": `{"reason": "x"}`, "/refusals": `{"user": "ana", "reason": "x"}`, "/refusals/lift": `{"user": "ana", "reason": "x"}`,
	} {
		s := newSetup(t, token)
		s.recordErr = func(Action) error { return errors.New("no space left on device") }
		w := s.serve(post(t, "boss", path, body))
		if w.Code != 503 || strings.Contains(w.Body.String(), "space") || len(s.gateway.did) != 0 {
			t.Errorf("%s: %d %s, did %q", path, w.Code, w.Body, s.gateway.did)
		}
	}
}

// TestResultNotRecorded: what was done is said, and that it is not on record how it went.
func TestResultNotRecorded(t *testing.T) {
	s := newSetup(t, token)
	s.recordErr = func(a Action) error {
		if a.Result == ResultBegun {
			return nil
		}
		return errors.New("no space left on device")
	}
	if w := s.serve(post(t, "boss", "/sessions/s1/end", `{"reason": "x"}`)); w.Code != 500 || !strings.Contains(w.Body.String(), "done") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestRefusalsThatFail(t *testing.T) {
	tests := map[string]struct {
		path   string
		err    error
		status int
		ended  int
	}{
		"not kept":   {"/refusals", fmt.Errorf("%w: disk", refusals.ErrNotKept), 500, 1},
		"too many":   {"/refusals", refusals.ErrFull, 409, 0},
		"not lifted": {"/refusals/lift", errors.New("disk"), 500, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t, token)
			s.gateway.err = test.err
			w := s.serve(post(t, "boss", test.path, `{"user": "ana", "reason": "x"}`))
			if w.Code != test.status || strings.Contains(w.Body.String(), "disk") {
				t.Errorf("%d %s, want %d", w.Code, w.Body, test.status)
			}
			if last := s.actions[len(s.actions)-1]; last.Result != ResultFailed || len(last.Ended) != test.ended {
				t.Errorf("recorded %+v", last)
			}
		})
	}
}

// TestTooManyRequests: from one address, whoever asks; others are served.
func TestTooManyRequests(t *testing.T) {
	s := newSetup(t, token)
	limited := 0
	for range callBurst + 50 {
		w := s.do("GET", "/sessions", "Bearer wrong")
		if w.Code == http.StatusTooManyRequests {
			limited++
			if w.Header().Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		}
	}
	if limited < 40 {
		t.Errorf("%d of %d requests are too many", limited, callBurst+50)
	}
	r := httptest.NewRequest("GET", "/sessions", nil)
	r.RemoteAddr = "192.0.2.2:1"
	r.Header.Set("Authorization", "Bearer "+token)
	if w := s.serve(r); w.Code != 200 {
		t.Errorf("another address: %d", w.Code)
	}
	if w := s.do("GET", "/readyz", ""); w.Code != 200 {
		t.Errorf("/readyz: %d", w.Code)
	}
}

// TestNetworksAreBounded: an IPv6 network counts as one, and addresses that come once are forgotten.
func TestNetworksAreBounded(t *testing.T) {
	c := newCallers()
	for i := range callBurst {
		c.allow(fmt.Sprintf("[2001:db8::%x]:1", i))
	}
	if c.allow("[2001:db8::ffff]:1") || !c.allow("[2001:db8:0:1::1]:1") || !c.allow("192.0.2.1:1") || !c.allow("nonsense") {
		t.Error("one network's requests are not its own")
	}
	if !c.allow("[::ffff:192.0.2.9]:1") {
		t.Error("an address within IPv6")
	}
}

// TestCarriedThrough: an operator who goes away does not undo what was begun.
func TestCarriedThrough(t *testing.T) {
	s := newSetup(t, token)
	r := post(t, "boss", "/sessions/s1/end", `{"reason": "x"}`)
	ctx, cancel := context.WithCancel(t.Context())
	s.recordErr = func(Action) error { cancel(); return nil }
	s.serve(r.WithContext(ctx))
	if diff := cmp.Diff([]string{"boss end s1 ana begun 0", "boss end s1 ana done 1"}, s.summary()); diff != "" {
		t.Error(diff)
	}
}
