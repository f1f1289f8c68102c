package admin

import (
	"bytes"
	"net/http"
	"runtime"
	"testing"

	"github.com/sallyport/sallyport/authn/operators"
)

func TestProfiles(t *testing.T) {
	s := newSetup(t, token)
	off := s.handler
	authority, err := operators.New(operators.Config{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	s.handler = New(Config{Operators: authority, Ready: func() []Check { return nil }, Metrics: http.NotFoundHandler(), Profiles: true})
	tests := map[string]struct {
		path, authorization string
		status              int
		profile             bool
	}{
		"CPU":                 {"/debug/pprof/profile?seconds=1", "Bearer " + token, 200, true},
		"heap":                {"/debug/pprof/heap?gc=1", "Bearer " + token, 200, true},
		"goroutines":          {"/debug/pprof/goroutine", "Bearer " + token, 200, true},
		"locks":               {"/debug/pprof/mutex?seconds=1", "Bearer " + token, 200, true},
		"waiting":             {"/debug/pprof/block?seconds=1", "Bearer " + token, 200, true},
		"locks since ever":    {"/debug/pprof/mutex", "Bearer " + token, 400, false},
		"without a token":     {"/debug/pprof/heap", "", 401, false},
		"CPU without a token": {"/debug/pprof/profile?seconds=1", "", 401, false},
		"another token":       {"/debug/pprof/profile?seconds=1", "Bearer x" + token, 401, false},
		"the command line":    {"/debug/pprof/cmdline", "Bearer " + token, 404, false},
		"an execution trace":  {"/debug/pprof/trace?seconds=1", "Bearer " + token, 404, false},
		"the list":            {"/debug/pprof/", "Bearer " + token, 404, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := s.do("GET", test.path, test.authorization)
			if w.Code != test.status {
				t.Fatalf("status %d, want %d: %s", w.Code, test.status, w.Body)
			}
			if packed := bytes.HasPrefix(w.Body.Bytes(), []byte{0x1f, 0x8b}); packed != test.profile {
				t.Errorf("the answer is a profile: %v, want %v", packed, test.profile)
			}
		})
	}
	if rate := runtime.SetMutexProfileFraction(-1); rate != 0 {
		t.Errorf("locks are still recorded, one in %d", rate)
	}
	s.handler = off
	for _, path := range []string{"/debug/pprof/profile?seconds=1", "/debug/pprof/heap", "/debug/pprof/"} {
		if w := s.do("GET", path, "Bearer "+token); w.Code != 404 {
			t.Errorf("switched off, %s: status %d", path, w.Code)
		}
	}
}
