package policies_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/sallyport/sallyport/authz"
)

// TestExamplesLoad: the Rego in README.md compiles together with the default policy.
func TestExamplesLoad(t *testing.T) {
	content, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```rego\n(.*?)```").FindAllSubmatch(content, -1)
	if len(examples) == 0 {
		t.Fatal("no examples")
	}
	for i, example := range examples {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("example%d.rego", i)), example[1], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := authz.New(authz.Config{Directory: dir, Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	if !engine.Policy().Cacheable() {
		t.Error("the example about nights makes statement decisions depend on the clock")
	}
}
