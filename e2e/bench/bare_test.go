package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"strings"
	"testing"
)

// TestBare runs the program in this process: it answers, carries bytes across and ends with its input.
func TestBare(t *testing.T) {
	dir := t.TempDir()
	if err := writeEnds(dir); err != nil {
		t.Fatal(err)
	}
	ends, err := loadEnds(dir)
	if err != nil {
		t.Fatal(err)
	}
	backend, err := tls.Listen("tcp", "127.0.0.1:0", ends.server)
	if err != nil {
		t.Fatal(err)
	}
	defer backend.Close()
	in, say := io.Pipe()
	hear, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- bare([]string{dir, backend.Addr().String()}, in, out) }()
	lines := bufio.NewReader(hear)
	address, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p := &bareProgram{address: strings.TrimSpace(address)}
	for range 3 {
		pair, err := p.open(backend, ends.client)
		t.Cleanup(func() {
			for _, conn := range pair {
				_ = conn.Close()
			}
		})
		if err != nil || len(pair) != 2 {
			t.Fatalf("%d connections, error %v", len(pair), err)
		}
	}
	if _, err := io.WriteString(say, "collect\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := lines.ReadString('\n'); err != nil || answer != "collected\n" {
		t.Errorf("%q, error %v", answer, err)
	}
	_ = say.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestBareRefused(t *testing.T) {
	for name, args := range map[string][]string{"nothing": nil, "no certificates": {t.TempDir(), "127.0.0.1:1"}} {
		t.Run(name, func(t *testing.T) {
			if err := bare(args, strings.NewReader(""), io.Discard); err == nil {
				t.Error("no error")
			}
		})
	}
}
