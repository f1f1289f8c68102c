package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/pprof/profile"
)

func TestMergeNothing(t *testing.T) {
	if err := (&profiler{}).merge(filepath.Join(t.TempDir(), "p")); err == nil {
		t.Error("no profiles are a profile")
	}
}

// TestMerge: the merged profile has the samples of all, and says nothing of where the program lay that it was taken of.
func TestMerge(t *testing.T) {
	dir := t.TempDir()
	p := &profiler{dir: dir, taken: []string{filepath.Join(dir, "0"), filepath.Join(dir, "1")}}
	writeProfile(t, p.taken[0], 3)
	writeProfile(t, p.taken[1], 4)
	path := filepath.Join(dir, "new", "merged")
	if err := p.merge(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := profile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(merged.Sample) != 1 || merged.Sample[0].Value[0] != 7 || merged.Function[0].Name != "main.main" {
		t.Errorf("got %v", merged)
	}
	var plain bytes.Buffer
	if err := merged.WriteUncompressed(&plain); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"/home/somebody", "0123abcd"} {
		if bytes.Contains(plain.Bytes(), []byte(secret)) {
			t.Errorf("the profile has %s", secret)
		}
	}
}

// writeProfile writes one with a single function, seen so often.
func writeProfile(t *testing.T, path string, samples int64) {
	t.Helper()
	mapping := &profile.Mapping{ID: 1, Start: 0x1000, Limit: 0x2000, File: "/home/somebody/bin/sallyport", BuildID: "0123abcd", HasFunctions: true}
	function := &profile.Function{ID: 1, Name: "main.main", StartLine: 1}
	location := &profile.Location{ID: 1, Mapping: mapping, Address: 0x1100, Line: []profile.Line{{Function: function, Line: 2}}}
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}},
		Sample:     []*profile.Sample{{Location: []*profile.Location{location}, Value: []int64{samples}}},
		Mapping:    []*profile.Mapping{mapping}, Function: []*profile.Function{function}, Location: []*profile.Location{location},
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := p.Write(f); err != nil {
		t.Fatal(err)
	}
}
