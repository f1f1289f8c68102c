package oidc

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// login verifies a fresh good token for a key id.
func login(t testing.TB, v *Verifier, kid string) error {
	t.Helper()
	_, err := v.Verify(t.Context(), token(goodHeader().with(object{"kid": kid}), goodClaims()), "ana")
	return err
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || (want == nil && err != nil) {
		t.Errorf("Verify = %v, want %v", err, want)
	}
}

// withClock runs a test in its own time, against an issuer reached without a network.
func withClock(t *testing.T, change func(*Config), test func(*testing.T, *issuer, *Verifier)) {
	keys() // made outside: it is shared
	synctest.Test(t, func(t *testing.T) {
		i := newIssuer()
		test(t, i, verifierOf(t, i, change))
	})
}

func TestKeysAreFetchedOnce(t *testing.T) {
	withClock(t, nil, func(t *testing.T, i *issuer, v *Verifier) {
		if i.fetched() != 0 {
			t.Error("New used the network")
		}
		var logins sync.WaitGroup
		for range 50 {
			logins.Go(func() { wantError(t, login(t, v, "rsa"), nil) })
		}
		logins.Wait()
		if got := i.fetched(); got != 1 {
			t.Errorf("%d fetches", got)
		}
	})
}

func TestKeyIDSpray(t *testing.T) {
	withClock(t, nil, func(t *testing.T, i *issuer, v *Verifier) {
		const minutes = 10
		for second := range minutes * 60 {
			wantError(t, login(t, v, fmt.Sprintf("invented-%d", second)), ErrRejected)
			time.Sleep(time.Second)
		}
		if got, most := i.fetched(), minutes*2; got > most {
			t.Errorf("%d fetches in %d minutes", got, minutes)
		}
		wantError(t, login(t, v, "rsa"), nil)
	})
}

// TestSprayDelaysNobody: while a fetch for an invented key hangs, known keys do.
func TestSprayDelaysNobody(t *testing.T) {
	withClock(t, nil, func(t *testing.T, i *issuer, v *Verifier) {
		wantError(t, login(t, v, "rsa"), nil)
		time.Sleep(defaultMinRefetch)
		i.set(func(i *issuer) { i.jwks = hang })
		var sprayed sync.WaitGroup
		for n := range 20 {
			sprayed.Go(func() { wantError(t, login(t, v, fmt.Sprintf("invented-%d", n)), ErrRejected) })
		}
		synctest.Wait()
		before := time.Now()
		wantError(t, login(t, v, "rsa"), nil)
		if waited := time.Since(before); waited != 0 {
			t.Errorf("a known key waited %v", waited)
		}
		sprayed.Wait()
		if waited := time.Since(before); waited != fetchTimeout {
			t.Errorf("unknown keys waited %v", waited)
		}
		if got := i.fetched(); got != 2 {
			t.Errorf("%d fetches", got)
		}
	})
}

// hang answers when the client has given up.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestBadSignaturesFetchNothing(t *testing.T) {
	withClock(t, nil, func(t *testing.T, i *issuer, v *Verifier) {
		wantError(t, login(t, v, "rsa"), nil)
		time.Sleep(2 * defaultMinRefetch)
		for range 10 {
			_, err := v.Verify(t.Context(), signed(`{"alg":"RS256","kid":"rsa"}`, `{"aud":"sallyport"}`, keys().otherRSA), "ana")
			wantError(t, err, ErrRejected)
		}
		for _, bad := range []string{"x", token(goodHeader().with(object{"alg": "HS256"}), goodClaims()), token(goodHeader().with(object{"kid": "other"}), goodClaims().with(object{"aud": "other"}))} {
			_, err := v.Verify(t.Context(), bad, "ana")
			wantError(t, err, ErrRejected)
		}
		if got := i.fetched(); got != 1 {
			t.Errorf("%d fetches", got)
		}
	})
}

func TestNewKeyIsFound(t *testing.T) {
	withClock(t, nil, func(t *testing.T, i *issuer, v *Verifier) {
		wantError(t, login(t, v, "rsa"), nil)
		i.set(func(i *issuer) { i.keys[0].KeyID = "new" })
		wantError(t, login(t, v, "new"), ErrRejected) // too soon after the last fetch
		time.Sleep(defaultMinRefetch)
		wantError(t, login(t, v, "new"), nil)
		wantError(t, login(t, v, "rsa"), ErrRejected)
	})
}

func TestWithdrawnKeyEndsWithTTL(t *testing.T) {
	withClock(t, nil, func(t *testing.T, i *issuer, v *Verifier) {
		wantError(t, login(t, v, "rsa"), nil)
		i.set(func(i *issuer) { i.keys = i.keys[1:] })
		time.Sleep(defaultTTL - time.Second)
		wantError(t, login(t, v, "rsa"), nil)
		time.Sleep(time.Second)
		wantError(t, login(t, v, "rsa"), ErrRejected)
	})
}

func TestEmptyKeySetIsAnAnswer(t *testing.T) {
	withClock(t, nil, func(t *testing.T, i *issuer, v *Verifier) {
		wantError(t, login(t, v, "rsa"), nil)
		i.set(func(i *issuer) { i.jwks = answer(`{"keys":[]}`) })
		time.Sleep(defaultTTL)
		wantError(t, login(t, v, "rsa"), ErrRejected)
	})
}

func TestOutage(t *testing.T) {
	withClock(t, nil, func(t *testing.T, i *issuer, v *Verifier) {
		wantError(t, login(t, v, "rsa"), nil)
		i.set(func(i *issuer) { i.jwks = http.NotFound })
		for range int(defaultMaxStale/time.Minute) - 1 {
			time.Sleep(time.Minute)
			wantError(t, login(t, v, "rsa"), nil)
		}
		time.Sleep(time.Minute)
		wantError(t, login(t, v, "rsa"), ErrUnavailable)
		i.set(func(i *issuer) { i.jwks = nil })
		wantError(t, login(t, v, "rsa"), ErrUnavailable) // the interval holds for failures too
		time.Sleep(defaultMinRefetch)
		wantError(t, login(t, v, "rsa"), nil)
	})
}

// TestHangingIssuer: one login in the interval waits for it, not every one.
func TestHangingIssuer(t *testing.T) {
	withClock(t, nil, func(t *testing.T, i *issuer, v *Verifier) {
		i.set(func(i *issuer) { i.config = hang })
		before := time.Now()
		wantError(t, login(t, v, "rsa"), ErrUnavailable)
		if waited := time.Since(before); waited != fetchTimeout {
			t.Errorf("waited %v", waited)
		}
		before = time.Now()
		for range 100 {
			wantError(t, login(t, v, "rsa"), ErrUnavailable)
		}
		if waited := time.Since(before); waited != 0 {
			t.Errorf("the hundred after it waited %v", waited)
		}
	})
}

// TestClientThatHangsUp: who asked first may go; the others get their answer from the same fetch.
func TestClientThatHangsUp(t *testing.T) {
	withClock(t, nil, func(t *testing.T, i *issuer, v *Verifier) {
		release := make(chan struct{})
		i.set(func(i *issuer) {
			i.config = func(w http.ResponseWriter, r *http.Request) {
				<-release
				answer(`{"issuer":"https://id.example/realm","jwks_uri":"https://id.example/realm/keys"}`)(w, r)
			}
		})
		ctx, hangUp := context.WithCancel(t.Context())
		var logins sync.WaitGroup
		logins.Go(func() {
			_, err := v.Verify(ctx, token(goodHeader(), goodClaims()), "ana")
			wantError(t, err, context.Canceled)
			wantError(t, err, ErrUnavailable)
		})
		synctest.Wait()
		logins.Go(func() { wantError(t, login(t, v, "rsa"), nil) })
		synctest.Wait()
		hangUp()
		synctest.Wait()
		close(release)
		logins.Wait()
		if got := i.fetched(); got != 1 {
			t.Errorf("%d fetches", got)
		}
	})
}

// answer is a handler that says one thing.
func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

func TestBadAnswers(t *testing.T) {
	const marker = "text-of-the-answer"
	large := `{"keys":[],"x":"` + strings.Repeat("x", maxBodyBytes) + `"}`
	tests := map[string]func(*issuer){
		"keys: status 500": func(i *issuer) { i.jwks = status(500) },
		"keys: status 404": func(i *issuer) { i.jwks = http.NotFound },
		"keys: status 204": func(i *issuer) { i.jwks = status(204) },
		"keys: redirect": func(i *issuer) {
			i.jwks = http.RedirectHandler("https://evil.example/keys", http.StatusFound).ServeHTTP
		},
		"keys: not JSON":         func(i *issuer) { i.jwks = answer("<html>" + marker) },
		"keys: empty":            func(i *issuer) { i.jwks = answer("") },
		"keys: no keys":          func(i *issuer) { i.jwks = answer(`{"x":"` + marker + `"}`) },
		"keys: keys null":        func(i *issuer) { i.jwks = answer(`{"keys":null}`) },
		"keys: keys an object":   func(i *issuer) { i.jwks = answer(`{"keys":{}}`) },
		"keys: keys in capitals": func(i *issuer) { i.jwks = answer(`{"KEYS":[]}`) },
		"keys: keys twice":       func(i *issuer) { i.jwks = answer(`{"keys":[],"keys":[]}`) },
		"keys: a list":           func(i *issuer) { i.jwks = answer(`[]`) },
		"keys: something behind": func(i *issuer) { i.jwks = answer(`{"keys":[]}` + marker) },
		"keys: too large":        func(i *issuer) { i.jwks = answer(large) },
		"keys: too many":         func(i *issuer) { i.jwks = answer(`{"keys":[{}` + strings.Repeat(",{}", maxKeys) + `]}`) },
		"issuer: status 500":     func(i *issuer) { i.config = status(500) },
		"issuer: redirect": func(i *issuer) {
			i.config = http.RedirectHandler("/realm/keys", http.StatusTemporaryRedirect).ServeHTTP
		},
		"issuer: not JSON":       func(i *issuer) { i.config = answer(marker) },
		"issuer: too large":      func(i *issuer) { i.config = answer(large) },
		"issuer: another":        func(i *issuer) { i.name = "https://evil.example" },
		"issuer: with a slash":   func(i *issuer) { i.name = i.url + "/" },
		"issuer: none":           func(i *issuer) { i.config = answer(`{"jwks_uri":"https://id.example/realm/keys"}`) },
		"issuer: no keys URL":    func(i *issuer) { i.config = answer(`{"issuer":"https://id.example/realm"}`) },
		"issuer: keys over http": func(i *issuer) { i.jwksURI = "http://id.example/realm/keys" },
		"issuer: keys in a file": func(i *issuer) { i.jwksURI = "file:///etc/keys" },
		"issuer: keys relative":  func(i *issuer) { i.jwksURI = "/keys" },
		"issuer: keys with user": func(i *issuer) { i.jwksURI = "https://a:b@id.example/realm/keys" },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			i := newIssuer()
			spoil(i)
			err := login(t, verifierOf(t, i, nil), "rsa")
			if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRejected) {
				t.Fatalf("Verify = %v, want an ErrUnavailable", err)
			}
			if strings.Contains(err.Error(), marker) || strings.Contains(err.Error(), "a:b@") {
				t.Errorf("the error quotes the answer: %v", err)
			}
			if i.requests > 2 {
				t.Errorf("%d requests: a redirect was followed", i.requests)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
	}
}

// TestOverTLS uses the network: who the issuer is, is proved by its certificate.
func TestOverTLS(t *testing.T) {
	i := newIssuer()
	server := httptest.NewUnstartedServer(i)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it will see a handshake that we refuse
	server.StartTLS()
	defer server.Close()
	i.url = server.URL
	caFile := filepath.Join(t.TempDir(), "ca.crt")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	verify := func(caFile string) error {
		v, err := New(Config{Issuer: server.URL, Audiences: []string{"sallyport"}, UserClaim: "preferred_username", CAFile: caFile})
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(t.Context(), token(goodHeader(), goodClaims().with(object{"iss": server.URL})), "ana")
		return err
	}
	wantError(t, verify(caFile), nil)
	wantError(t, verify(""), ErrUnavailable)
	requests := 0
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests++ }))
	defer elsewhere.Close()
	i.set(func(i *issuer) { i.jwks = http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP })
	wantError(t, verify(caFile), ErrUnavailable)
	i.set(func(i *issuer) { i.jwks = answer(`{"keys":[],"x":"` + strings.Repeat("x", maxBodyBytes) + `"}`) })
	wantError(t, verify(caFile), ErrUnavailable)
	if requests != 0 {
		t.Error("a redirect was followed")
	}
}
