package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/e2e/stack"
)

func readYAML(t *testing.T, path string) (data map[string]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, &data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGrantChannel: the channel is the one thing that differs from the default policy.
func TestGrantChannel(t *testing.T) {
	root, err := stack.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(root, "policies", "data.yaml"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "data.yaml"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := grantChannel(dir); err != nil {
		t.Fatal(err)
	}
	want := readYAML(t, filepath.Join(root, "policies", "data.yaml"))
	app := want
	for _, key := range []string{"access", "roles", "readonly", "databases", "app"} {
		app = app[key].(map[string]any)
	}
	app["channels"] = map[string]any{"bench": []any{"listen"}}
	if diff := cmp.Diff(want, readYAML(t, filepath.Join(dir, "data.yaml"))); diff != "" {
		t.Error(diff)
	}
}

func TestGrantChannelWithoutRole(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data.yaml"), []byte("access: {roles: {other: {}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := grantChannel(dir); err == nil {
		t.Error("nobody was granted anything, and no error")
	}
}
