package catalog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// searchPaths are the search paths that statements are tried with.
var searchPaths = [][]string{{"app", "public", "pg_temp"}, {"public", "app", "pg_temp"}, {"app", "pg_temp"}}

// corpus are the texts of other tests, which are about what such an analysis can get wrong, and those of the file ORACLE_TEXTS, e.g. what
// "sqlsmith --dry-run" prints for a database of oracle.sql (without the foreign table, which it cannot do with).
func corpus(t *testing.T) []string {
	t.Helper()
	var texts []string
	archives, _ := filepath.Glob("../../authz/statement/testdata/*.txtar")
	archives = append(archives, "testdata/resolve.txtar", "testdata/oracle.txtar")
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range archive.Files {
			text, _, _ := strings.Cut(string(file.Data), mark)
			texts = append(texts, strings.TrimSpace(text))
		}
	}
	scripts, _ := filepath.Glob("../../policies/testdata/*.sql")
	for _, path := range scripts {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for entry := range strings.SplitSeq("\n"+string(content), "\n--- ") {
			_, text, _ := strings.Cut(entry, "\n")
			texts = append(texts, text)
		}
	}
	if path := os.Getenv("ORACLE_TEXTS"); path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, strings.Split(string(content), ";\n")...)
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// TestOracleCorpus holds the facts of the texts of other tests, where there is something that they name, to what PostgreSQL says of them.
func TestOracleCorpus(t *testing.T) {
	pool, texts := startPool(t), corpus(t)
	onServers(t, func(t *testing.T, s *server) {
		o := newOracle(t, s, pool, oracleScript)
		var count tally
		understood := map[string]bool{}
		for _, path := range searchPaths {
			o.search(t, path)
			for _, text := range texts {
				if o.try(t, text, path, &count) {
					understood[text] = true
				}
			}
		}
		t.Logf("%d of %d texts; %v", len(understood), len(texts), count)
		count.check(t)
		if os.Getenv("ORACLE_VERBOSE") != "" {
			for _, text := range texts {
				if !understood[text] {
					_, _, err := o.ask(t.Context(), text)
					t.Logf("%s: %v", text, err)
				}
			}
		}
	})
}

// try compares one text. It says whether PostgreSQL understood it.
func (o *oracle) try(t *testing.T, text string, path []string, count *tally) bool {
	t.Helper()
	says, comesTo, err := o.ask(t.Context(), text)
	var broken brokenTree
	if errors.As(err, &broken) {
		t.Fatalf("%s: %v", text, err)
	}
	if err != nil {
		return false
	}
	sheet, err := o.pool.Analyze(t.Context(), text)
	if err != nil {
		return true // it would be denied
	}
	resolved := o.snapshot.Resolve(sheet, path)
	if !resolved.Complete || len(resolved.Statements) != 1 {
		return true
	}
	c := o.compare(&resolved.Statements[0], says, comesTo, count)
	if len(c.misses)+len(c.errors) > 0 {
		t.Errorf("path %v: %s\nthe facts do not say: %s\nthe facts are wrong: %s", path, text, strings.Join(c.misses, ", "), strings.Join(c.errors, ", "))
	}
	return true
}
