package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func namesOf(p plan) (names []string) {
	for _, w := range p.Workloads {
		names = append(names, w.Name)
	}
	return names
}

func TestPlanNamed(t *testing.T) {
	p, err := planNamed("quick", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"-S prepared, 1", "-S prepared, 16", "other literals, simple, 16", "result of 200 MB, rows of 1 kB"}, namesOf(p)); diff != "" {
		t.Error(diff)
	}
	if p, err = planNamed("quick", 1, minDuration); err != nil || p.Rounds != 1 || p.Duration != minDuration {
		t.Errorf("got %v, error %v", p, err)
	}
}

// TestQuickIsPartOfFull: the short plan measures nothing that the long one does not.
func TestQuickIsPartOfFull(t *testing.T) {
	full, err := planNamed("full", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"quick", "logins", "profile"} {
		p, err := planNamed(name, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range namesOf(p) {
			if !slices.Contains(namesOf(full), w) {
				t.Errorf("plan %s has %q of its own", name, w)
			}
		}
	}
}

func TestOnly(t *testing.T) {
	full, err := planNamed("full", 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		rows string
		want []string
		idle int
	}{
		"all":      {"", namesOf(full), idleSessions},
		"some":     {"COPY", []string{"COPY out, 200 MB", "COPY in, 200 MB"}, 0},
		"idle":     {"^idle", nil, idleSessions},
		"a choice": {"^-S prepared, 1$|idle", []string{"-S prepared, 1"}, idleSessions},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			fresh, err := planNamed("full", 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			got, err := fresh.only(test.rows)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, namesOf(got)); diff != "" {
				t.Error(diff)
			}
			if got.Idle != test.idle || got.judging != (test.rows == "") {
				t.Errorf("%d idle sessions, judging %v", got.Idle, got.judging)
			}
		})
	}
	for name, rows := range map[string]string{"none": "no such row", "no expression": "("} {
		t.Run(name, func(t *testing.T) {
			if got, err := full.only(rows); err == nil {
				t.Errorf("got %v", namesOf(got))
			}
		})
	}
}

func TestIncludes(t *testing.T) {
	for name, test := range map[string]struct {
		workload workload
		want     []string
	}{
		"the log's cost is looked at": {selectOnly("prepared", 16), []string{directName, pgbouncerName, sallyportName, unauditedName}},
		"it is not":                   {selectOnly("prepared", 1), []string{directName, pgbouncerName, sallyportName}},
		"one target's":                {logins()[1], []string{sallyportName}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, target := range []string{directName, pgbouncerName, sallyportName, unauditedName} {
				if test.workload.includes(target) {
					got = append(got, target)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlanRefused(t *testing.T) {
	for name, test := range map[string]struct {
		plan     string
		rounds   int
		duration time.Duration
	}{
		"unknown":        {plan: "slow"},
		"negative":       {plan: "quick", rounds: -1},
		"too short":      {plan: "quick", duration: time.Second},
		"part of second": {plan: "quick", duration: 3500 * time.Millisecond},
		"too long":       {plan: "quick", duration: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			if p, err := planNamed(test.plan, test.rounds, test.duration); err == nil {
				t.Errorf("got %v and no error", p)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for name, args := range map[string][]string{
		"unknown flag": {"-fast"},
		"unknown plan": {"-plan", "slow"},
		"no row":       {"-rows", "no such row"},
	} {
		t.Run(name, func(t *testing.T) {
			if status := run(args, strings.NewReader(""), io.Discard, io.Discard); status != 2 {
				t.Errorf("status %d", status)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	for round, want := range []string{"abc", "bca", "cab", "abc"} {
		if got := string(order([]byte("abc"), round)); got != want {
			t.Errorf("round %d: got %s, want %s", round, got, want)
		}
	}
}

func TestCheckSuite(t *testing.T) {
	tests := map[string]struct {
		said string
		ok   bool
	}{
		"psql 15":          {"You are connected …\nSSL connection (protocol: TLSv1.3, cipher: TLS_AES_128_GCM_SHA256, compression: off)", true},
		"psql 18":          {" TLS Protocol         | TLSv1.3\n TLS Cipher           | TLS_AES_128_GCM_SHA256", true},
		"backend":          {"TLSv1.3 TLS_AES_128_GCM_SHA256", true},
		"another suite":    {"TLSv1.3 TLS_AES_256_GCM_SHA384", false},
		"another version":  {"TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256", false},
		"two suites":       {"TLSv1.3 TLS_AES_128_GCM_SHA256, TLSv1.3 TLS_AES_256_GCM_SHA384", false},
		"one without TLS":  {"none", false},
		"nothing":          {"", false},
		"only the version": {"TLSv1.3", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := checkSuite("client", test.said); (err == nil) != test.ok {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestBusy(t *testing.T) {
	for name, test := range map[string]struct {
		load string
		want bool
	}{"idle": {"0.10", false}, "some": {"0.50", false}, "busy": {"0.51", true}, "very": {"20.68", true}, "not known": {"", false}} {
		t.Run(name, func(t *testing.T) {
			if got := (machine{Cores: 2, Load: test.load}).busy(); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestModelName(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"amd64": {"processor\t: 0\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nprocessor\t: 1\n", "AMD EPYC"},
		"arm64": {"processor\t: 0\nCPU part\t: 0xd0c\n", "?"},
		"empty": {"", "?"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := modelName(test.text, "?"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
