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

func TestParseMetrics(t *testing.T) {
	const text = `# HELP sallyport_statements_total Statements judged.
sallyport_statements_total{decision="allow",protocol="bind"} 1.5e+06
sallyport_statements_total{decision="allow",protocol="query"} 7
sallyport_statements_total{decision="deny",protocol="query"} 3
sallyport_statement_duration_seconds_count 99
sallyport_sessions_active 4
sallyport_revocations_pending 0
sallyport_credentials_ready 2
`
	if got, err := parseMetrics(strings.NewReader(text)); err != nil || got != (metrics{allowed: 1_500_007, sessions: 4, ready: 2}) {
		t.Errorf("got %+v, error %v", got, err)
	}
	for name, text := range map[string]string{
		"nothing":       "",
		"one is absent": strings.Replace(text, "sallyport_revocations_pending", "sallyport_revocations", 1),
		"not a number":  strings.Replace(text, "1.5e+06", "many", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseMetrics(strings.NewReader(text)); err == nil {
				t.Errorf("got %+v", got)
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
	if err := o.profile(t.Context(), "profile", 3*time.Second, path); err != nil {
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
