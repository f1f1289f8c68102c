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

// source is what a policy directory holds.
type source struct {
	revision string
	files    []string          // base names, sorted
	modules  map[string]string // Rego text by file name
	data     map[string]any    // the data files merged
}

// readSource reads a policy directory. Symbolic links are followed: a mounted Kubernetes volume consists of them.
func readSource(directory string) (source, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return source{}, err
	}
	s := source{modules: map[string]string{}, data: map[string]any{}}
	digest := sha256.New()
	for _, entry := range entries { // sorted by name
		name := entry.Name()
		if strings.HasPrefix(name, ".") {
			continue
		}
		path := filepath.Join(directory, name)
		info, err := os.Stat(path)
		if err != nil {
			return source{}, err
		}
		if info.IsDir() {
			if name == "testdata" {
				continue
			}
			return source{}, fmt.Errorf("%s is a directory: policies are one flat directory", path)
		}
		if !isPolicyFile(name) {
			continue
		}
		content, err := readBounded(path)
		if err != nil {
			return source{}, err
		}
		if err := s.add(name, content); err != nil {
			return source{}, fmt.Errorf("%s: %w", path, err)
		}
		// Lengths keep a byte from moving between name, content and next file without changing the digest.
		fmt.Fprintf(digest, "%d %s %d ", len(name), name, len(content))
		digest.Write(content)
	}
	if len(s.modules) == 0 {
		return source{}, fmt.Errorf("%s holds no .rego file", directory)
	}
	s.revision = hex.EncodeToString(digest.Sum(nil)[:revisionBytes])
	return s, nil
}

func isPolicyFile(name string) bool {
	switch filepath.Ext(name) {
	case ".rego":
		return !strings.HasSuffix(name, "_test.rego")
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
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return content, nil
}

func (s *source) add(name string, content []byte) error {
	s.files = append(s.files, name)
	if filepath.Ext(name) == ".rego" {
		s.modules[name] = string(content)
		return nil
	}
	document, err := parseData(content)
	if err != nil {
		return err
	}
	if _, ok := document["sallyport"]; ok {
		return errors.New(`key "sallyport" belongs to the Rego packages, data cannot define it`)
	}
	return merge(s.data, document, "")
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
	for key, value := range document {
		plain, err := plainValue(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		document[key] = plain
	}
	return document, nil
}

// plainValue keeps to what JSON has, because that is what policies see: YAML's timestamps and non-string keys are errors.
func plainValue(value any) (any, error) {
	switch v := value.(type) {
	case nil, bool, string, int, float64:
		return v, nil
	case []any:
		for i := range v {
			plain, err := plainValue(v[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", strconv.Itoa(i), err)
			}
			v[i] = plain
		}
		return v, nil
	case map[string]any:
		for key := range v {
			plain, err := plainValue(v[key])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key, err)
			}
			v[key] = plain
		}
		return v, nil
	}
	return nil, fmt.Errorf("a value of type %T is not JSON: quote it, or use string keys", value)
}

// merge adds from to into. Two files may share objects but not say two things about one key.
func merge(into, from map[string]any, prefix string) error {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		old, ok := into[key]
		if !ok {
			into[key] = from[key]
			continue
		}
		a, aok := old.(map[string]any)
		b, bok := from[key].(map[string]any)
		if !aok || !bok {
			return fmt.Errorf("data %s is already given by another file", prefix+key)
		}
		if err := merge(a, b, prefix+key+"."); err != nil {
			return err
		}
	}
	return nil
}
