package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewer(t *testing.T) {
	tests := map[string]struct {
		a, b string
		want bool
	}{
		"minor":           {"PgBouncer 1.25.2", "PgBouncer 1.18.0", true},
		"patch":           {"PgBouncer 1.18.1", "PgBouncer 1.18.0", true},
		"the same":        {"PgBouncer 1.18.0", "PgBouncer 1.18.0", false},
		"older":           {"PgBouncer 1.9.0", "PgBouncer 1.18.0", false},
		"as a number":     {"PgBouncer 1.9.0", "PgBouncer 1.10.0", false},
		"a preview":       {"PgBouncer 1.26.0dev", "PgBouncer 1.25.2", true},
		"without version": {"PgBouncer", "PgBouncer 1.18.0", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := newer(test.a, test.b); got != test.want {
				t.Errorf("newer(%q, %q) = %v", test.a, test.b, got)
			}
		})
	}
}

// pgbouncerThatSays makes a program that has a version and does nothing.
func pgbouncerThatSays(t *testing.T, version string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pgbouncer")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho PgBouncer "+version+"\necho libevent\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFindPgBouncers: the one in PATH is another target if it is newer than Debian's, and the only one if there is no other.
func TestFindPgBouncers(t *testing.T) {
	debian, newest, old := pgbouncerThatSays(t, "1.18.0"), pgbouncerThatSays(t, "1.25.2"), pgbouncerThatSays(t, "1.9.0")
	theirs := pgbouncer{pgbouncerName, debian, "PgBouncer 1.18.0"}
	tests := map[string]struct {
		debian, inPath string
		want           []pgbouncer // none is an error
	}{
		"Debian's":         {debian, "", []pgbouncer{theirs}},
		"Debian's in PATH": {debian, debian, []pgbouncer{theirs}},
		"a newer one":      {debian, newest, []pgbouncer{theirs, {"PgBouncer 1.25.2", newest, "PgBouncer 1.25.2"}}},
		"an older one":     {debian, old, []pgbouncer{theirs}},
		"not Debian's":     {"/nowhere/pgbouncer", newest, []pgbouncer{{pgbouncerName, newest, "PgBouncer 1.25.2"}}},
		"none":             {"/nowhere/pgbouncer", "", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PATH", filepath.Dir(test.inPath))
			if test.inPath == "" {
				t.Setenv("PATH", t.TempDir())
			}
			got, err := findPgBouncers(t.Context(), test.debian)
			if (err != nil) != (test.want == nil) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(pgbouncer{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTargetsRefused(t *testing.T) {
	if got, err := starters(t.Context(), []string{directKey, "odyssey"}); err == nil {
		t.Errorf("got %d targets", len(got))
	}
}
