package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// operator talks to a gateway's admin listener.
type operator struct{ url, token string }

// fetch asks for a path and hands the body to take.
func (o operator) fetch(ctx context.Context, path string, take func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+o.token)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	return take(response.Body)
}

// metrics are the few of the gateway's that we look at.
type metrics struct {
	allowed  int // statements
	sessions int // that have a backend
	pending  int // revocations
	ready    int // credentials that were issued ahead
}

func (o operator) metrics(ctx context.Context) (m metrics, err error) {
	err = o.fetch(ctx, "/metrics", func(body io.Reader) error {
		m, err = parseMetrics(body)
		return err
	})
	return m, err
}

// parseMetrics reads Prometheus' text format, as far as it has what we look at.
func parseMetrics(text io.Reader) (m metrics, err error) {
	seen := map[string]bool{}
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		name, labels, _ := strings.Cut(name, "{")
		var into *int
		switch {
		case name == "sallyport_statements_total" && strings.Contains(labels, `decision="allow"`):
			into = &m.allowed // one for each protocol
		case name == "sallyport_sessions_active":
			into = &m.sessions
		case name == "sallyport_revocations_pending":
			into = &m.pending
		case name == "sallyport_credentials_ready":
			into = &m.ready
		default:
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return m, fmt.Errorf("parse metrics: %w", err)
		}
		*into += int(n)
		seen[name] = true
	}
	if err := lines.Err(); err != nil {
		return m, fmt.Errorf("parse metrics: %w", err)
	}
	if len(seen) != 4 {
		return m, fmt.Errorf("parse metrics: only %v are there", slices.Sorted(maps.Keys(seen)))
	}
	return m, nil
}

// collect makes the gateway collect its garbage.
func (o operator) collect(ctx context.Context) error {
	return o.fetch(ctx, "/debug/pprof/heap?gc=1", func(body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	})
}

// profile writes a profile of what the gateway does for d to a file: "profile" is of CPU time.
func (o operator) profile(ctx context.Context, kind string, d time.Duration, path string) error {
	return o.fetch(ctx, "/debug/pprof/"+kind+"?seconds="+strconv.Itoa(int(d.Seconds())), func(body io.Reader) error {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, body); err != nil {
			_ = f.Close()
			return err
		}
		return f.Close()
	})
}
