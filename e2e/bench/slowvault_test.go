package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestDelayed(t *testing.T) {
	vault := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path+" "+r.Header.Get("X-Vault-Token"))
	}))
	defer vault.Close()
	const delay = 20 * time.Millisecond
	slow, err := delayed(vault.URL, delay)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+slow.Addr+"/v1/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Vault-Token", "a-token")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	began := time.Now()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "/v1/x a-token" || time.Since(began) < delay {
		t.Errorf("%q after %s, error %v", body, time.Since(began), err)
	}
}
