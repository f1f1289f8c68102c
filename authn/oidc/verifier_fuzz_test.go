package oidc

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// FuzzJudge: whatever an issuer signs, who gets in is named by it, to us, for now; another JSON decoder reads the same.
func FuzzJudge(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	f.Add([]byte(`{"iss":"https://id.example","aud":"sallyport","sub":"1","email":"ana","email_verified":true,"iat":1700000000,"exp":1700000600}`))
	f.Add([]byte(`{"iss":"https://id.example","aud":["x","sallyport"],"azp":"sallyport","sub":"1","email":"ana","email_verified":true,"iat":1.7e9,"nbf":1,"exp":1700000600.5,"groups":["a"]}`))
	f.Add([]byte(`{"iss":"https://id.example","iss":"x","aud":"sallyport","sub":"1","email":"ana","email_verified":"true","iat":1700000000,"exp":1e300}`))
	f.Add([]byte(`{"ISS":"https://id.example","aud":"sallyport","sub":null,"email":"eve","email_verified":true,"iat":1700000000,"exp":-1,"cnf":{}}`))
	v := &Verifier{cfg: Config{Issuer: "https://id.example", Audiences: []string{"sallyport"}, UserClaim: "email"}.withDefaults()}
	f.Fuzz(func(t *testing.T, payload []byte) {
		object, ok := decodeObject(base64.RawURLEncoding.EncodeToString(payload))
		if !ok {
			return
		}
		if _, ok := claims(object).audience(v.cfg.Audiences); !ok {
			return
		}
		id, reason := v.judge(object, func(named string, ok bool) bool { return ok && named == "ana" }, now)
		if reason != "" {
			if id.User != "" {
				t.Errorf("%s, and yet %+v", reason, id)
			}
			return
		}
		var read struct {
			Issuer   string  `json:"iss"`
			Subject  string  `json:"sub"`
			Email    string  `json:"email"`
			Verified bool    `json:"email_verified"`
			Issued   float64 `json:"iat"`
			Expires  float64 `json:"exp"`
		}
		if err := json.Unmarshal(payload, &read); err != nil {
			return // a case that only folds to one of these, of another type
		}
		if id.User != "ana" || id.Issuer != "https://id.example" || id.Subject == "" || !id.Expires.After(now) {
			t.Errorf("let in %+v by %s", id, payload)
		}
		if exact(object) && (read.Email != "ana" || !read.Verified || read.Issuer != id.Issuer || read.Subject != id.Subject || read.Expires <= float64(now.Unix())) {
			t.Errorf("%s is read otherwise: %+v", payload, read)
		}
	})
}

// exact says whether no two names differ by their case only; encoding/json takes one for the other.
func exact(object claims) bool {
	text, err := json.Marshal(object)
	var again map[string]any
	if err != nil || json.Unmarshal(text, &again) != nil {
		return false
	}
	for name := range object {
		switch name {
		case "iss", "sub", "email", "email_verified", "iat", "exp", "aud", "azp", "nbf", "name", "groups":
		default:
			return false
		}
	}
	return true
}

// FuzzDiscovery: whatever a discovery document says, keys are fetched over https and only for our issuer's own.
func FuzzDiscovery(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://id.example/realm","jwks_uri":"https://id.example/realm/keys"}`))
	f.Add([]byte(`{"issuer":"https://id.example/realm","jwks_uri":"http://id.example/realm/keys"}`))
	f.Add([]byte(`{"issuer":"https://id.example/realm","jwks_uri":"https://user@id.example/x#y"}`))
	f.Add([]byte(`{"issuer":"https://id.example/realm","issuer":"https://evil.example","jwks_uri":"file:///etc/passwd"}`))
	f.Add([]byte(`{"Issuer":"https://id.example/realm","JWKS_URI":"https://id.example/keys"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, document []byte) {
		i := newIssuer()
		i.config = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(document) }
		v := verifierOf(t, i, nil)
		watch := &watching{next: v.keys.client.Transport}
		v.keys.client.Transport = watch
		_, _, err := v.keys.download(t.Context())
		for _, u := range watch.asked {
			if u.Scheme != "https" || u.User != nil || u.Fragment != "" {
				t.Errorf("asked %s", u)
			}
		}
		var read map[string]any
		if len(watch.asked) > 1 && (json.Unmarshal(document, &read) != nil || read["issuer"] != "https://id.example/realm") {
			t.Errorf("keys are fetched as %s has it (%v)", document, err)
		}
	})
}

// watching notes what is asked for.
type watching struct {
	next  http.RoundTripper
	asked []*url.URL
}

func (w *watching) RoundTrip(r *http.Request) (*http.Response, error) {
	w.asked = append(w.asked, r.URL)
	return w.next.RoundTrip(r)
}
