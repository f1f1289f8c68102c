package authz

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxFileBytes bounds one policy or data file: data about every account of a large company fits, a log file that strayed in does not.
	maxFileBytes = 16 << 20
	// revisionBytes of the SHA-256 name a revision: enough to tell revisions apart in a log, not a proof of content.
	revisionBytes = 6
)

// source is what a policy directory or a bundle holds.
type source struct {
	revision string
	files    []string          // base names, sorted
	modules  map[string]string // Rego text by file name
	contents map[string][]byte // of data files, by file name
	data     map[string]any    // the data files merged

	raw  []byte // the bundle, as it was sent
	etag string // what its server calls it
}

// readSource reads a policy directory. Symbolic links are followed: a mounted Kubernetes volume consists of them. What is wrong with
// its files is told together, as Problems.
func readSource(directory string) (source, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return source{}, err
	}
	s := source{modules: map[string]string{}, contents: map[string][]byte{}, data: map[string]any{}}
	digest := sha256.New()
	var problems Problems
	for _, entry := range entries { // sorted by name
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(directory, name)
		content, err := readPolicyFile(path)
		if err != nil {
			problems = append(problems, Problem{File: path, Message: err.Error()})
		}
		if content == nil {
			continue
		}
		if err := s.add(name, content); err != nil {
			problems = append(problems, dataProblem(path, content, err))
		}
		// Lengths keep a byte from moving between name, content and next file without changing the digest.
		fmt.Fprintf(digest, "%d %s %d ", len(name), name, len(content))
		digest.Write(content)
	}
	if len(problems) > 0 {
		return s, problems
	}
	if len(s.modules) == 0 {
		return source{}, fmt.Errorf("%s holds no .rego file", directory)
	}
	s.revision = hex.EncodeToString(digest.Sum(nil)[:revisionBytes])
	return s, nil
}

// readPolicyFile reads one entry of the directory; it is nil when it is none of the policy's.
func readPolicyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir() && filepath.Base(path) == "testdata":
		return nil, nil
	case info.IsDir():
		return nil, errors.New("is a directory: policies are one flat directory")
	case !isPolicyFile(path):
		return nil, nil
	}
	return readBounded(path)
}

// testSuffix ends the names of files with tests. They are not part of the policy.
const testSuffix = "_test.rego"

// readTests reads the tests of a policy directory, by file name.
func readTests(directory string) (map[string]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	tests := make(map[string]string)
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, testSuffix) {
			continue
		}
		content, err := readBounded(filepath.Join(directory, name))
		if err != nil {
			return nil, Problems{{File: filepath.Join(directory, name), Message: err.Error()}}
		}
		tests[name] = string(content)
	}
	return tests, nil
}

func isPolicyFile(name string) bool {
	switch filepath.Ext(name) {
	case ".rego":
		return !strings.HasSuffix(name, testSuffix)
	case ".json", ".yaml", ".yml":
		return true
	}
	return false
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("is larger than %d bytes", maxFileBytes)
	}
	return content, nil
}

func (s *source) add(name string, content []byte) error {
	s.files = append(s.files, name)
	if filepath.Ext(name) == ".rego" {
		s.modules[name] = string(content)
		return nil
	}
	s.contents[name] = content
	document, err := parseData(content)
	if err != nil {
		return err
	}
	if _, ok := document["sallyport"]; ok {
		return &dataError{[]string{"sallyport"}, errors.New("belongs to the Rego packages, data cannot define it")}
	}
	return merge(s.data, document, nil)
}

// parseData reads YAML, and JSON as the YAML it is, so that a key given twice is an error in both.
func parseData(content []byte) (map[string]any, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document map[string]any
	if err := decoder.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document in a file")
	}
	for _, key := range slices.Sorted(maps.Keys(document)) {
		if err := checkPlain(document[key], []string{key}); err != nil {
			return nil, err
		}
	}
	return document, nil
}

// checkPlain keeps to what JSON has, because that is what policies see: YAML's timestamps and non-string keys are errors.
func checkPlain(value any, path []string) error {
	switch v := value.(type) {
	case nil, bool, string, int, float64:
		return nil
	case []any:
		for i := range v {
			if err := checkPlain(v[i], append(path, strconv.Itoa(i))); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for key := range v {
			if err := checkPlain(v[key], append(path, key)); err != nil {
				return err
			}
		}
		return nil
	}
	return &dataError{slices.Clone(path), fmt.Errorf("a value of type %T is not JSON: quote it, or use string keys", value)}
}

// merge adds from to into. Two files may share objects but not say two things about one key.
func merge(into, from map[string]any, path []string) error {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		old, ok := into[key]
		if !ok {
			into[key] = from[key]
			continue
		}
		here := append(path, key)
		a, aok := old.(map[string]any)
		b, bok := from[key].(map[string]any)
		if !aok || !bok {
			return &dataError{slices.Clone(here), errors.New("is already given by another file")}
		}
		if err := merge(a, b, here); err != nil {
			return err
		}
	}
	return nil
}
