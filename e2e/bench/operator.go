package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
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

// allowed is how many statements the gateway says that it has allowed.
func (o operator) allowed(ctx context.Context) (n int, err error) {
	err = o.fetch(ctx, "/metrics", func(body io.Reader) error {
		n, err = allowedOf(body)
		return err
	})
	return n, err
}

// allowedOf adds up sallyport_statements_total over the protocols.
func allowedOf(metrics io.Reader) (int, error) {
	sum, seen := 0.0, false
	lines := bufio.NewScanner(metrics)
	for lines.Scan() {
		labels, found := strings.CutPrefix(lines.Text(), "sallyport_statements_total{")
		if !found || !strings.Contains(labels, `decision="allow"`) {
			continue
		}
		_, value, _ := strings.Cut(labels, "} ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("parse metrics: %w", err)
		}
		sum, seen = sum+n, true
	}
	if !seen && lines.Err() == nil {
		return 0, fmt.Errorf("parse metrics: there is no sallyport_statements_total")
	}
	return int(sum), lines.Err()
}

// collect makes the gateway collect its garbage.
func (o operator) collect(ctx context.Context) error {
	return o.fetch(ctx, "/debug/pprof/heap?gc=1", func(body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	})
}

// profile writes what the gateway spends its CPU time on for d to a file.
func (o operator) profile(ctx context.Context, d time.Duration, path string) error {
	return o.fetch(ctx, "/debug/pprof/profile?seconds="+strconv.Itoa(int(d.Seconds())), func(body io.Reader) error {
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
