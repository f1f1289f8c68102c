package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestChart(t *testing.T) {
	var out bytes.Buffer
	if err := exampleReport(t).chart(&out); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for decoder := xml.NewDecoder(&out); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(text, "%!") {
		t.Error("a number has no place, or a place no number")
	}
	// Two workloads with a throughput, each through two proxies; the longest bar is a direct connection's.
	for what, want := range map[string]int{
		">-S prepared, 16<": 1, ">result of 200 MB, rows of 1 kB<": 1, ">LISTEN, NOTIFY<": 0,
		">PgBouncer<": 1, ">Sallyport<": 1, ">direct TLS<": 0,
		`width="265.0"`: 2, `width="318.0"`: 1, `width="503.5"`: 1, // 0.5, 0.6 and 0.95 of 530
		">0.50<": 2, ">0.60<": 1, ">0.95<": 1, `x1="760.0"`: 1,
		"2 cores (Abacus)": 1,
	} {
		if got := strings.Count(text, what); got != want {
			t.Errorf("%s is there %d times, want %d", what, got, want)
		}
	}
}

func TestChartOfNothing(t *testing.T) {
	r := exampleReport(t)
	for name, change := range map[string]func(*report){
		"no workload":          func(r *report) { r.Plan.Workloads = nil },
		"no direct connection": func(r *report) { r.Summaries = summarise(r.Plan.Workloads, []string{sallyportName}, r.Measurements) },
	} {
		t.Run(name, func(t *testing.T) {
			changed := r
			change(&changed)
			if err := changed.chart(io.Discard); err == nil {
				t.Error("no error")
			}
		})
	}
}
