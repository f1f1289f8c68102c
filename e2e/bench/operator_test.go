package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAllowedOf(t *testing.T) {
	const metrics = `# HELP sallyport_statements_total Statements judged.
sallyport_statements_total{decision="allow",protocol="bind"} 1.5e+06
sallyport_statements_total{decision="allow",protocol="query"} 7
sallyport_statements_total{decision="deny",protocol="query"} 3
sallyport_statement_duration_seconds_count 99
`
	if got, err := allowedOf(strings.NewReader(metrics)); err != nil || got != 1_500_007 {
		t.Errorf("got %d, error %v", got, err)
	}
	for name, text := range map[string]string{
		"nothing":      "",
		"another one":  "sallyport_sessions_active 1\n",
		"not a number": `sallyport_statements_total{decision="allow",protocol="bind"} many` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := allowedOf(strings.NewReader(text)); err == nil {
				t.Errorf("got %d", got)
			}
		})
	}
}

func TestOperator(t *testing.T) {
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		if r.Header.Get("Authorization") != "Bearer a-token" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "a profile")
	}))
	defer server.Close()
	o := operator{server.URL, "a-token"}
	path := filepath.Join(t.TempDir(), "p")
	if err := o.profile(t.Context(), 3*time.Second, path); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "a profile" {
		t.Errorf("%q, error %v", text, err)
	}
	if err := o.collect(t.Context()); err != nil {
		t.Error(err)
	}
	if got := strings.Join(asked, " "); got != "/debug/pprof/profile?seconds=3 /debug/pprof/heap?gc=1" {
		t.Errorf("asked for %s", got)
	}
	if err := (operator{server.URL, "another"}).collect(t.Context()); err == nil {
		t.Error("a refusal passes for an answer")
	}
}

func TestMergeNothing(t *testing.T) {
	if err := (&profiler{}).merge(t.Context(), filepath.Join(t.TempDir(), "p")); err == nil {
		t.Error("no profiles are a profile")
	}
}
