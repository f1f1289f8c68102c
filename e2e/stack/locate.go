package stack

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// module is the first line of the go.mod at the root of the repository.
const module = "module github.com/sallyport/sallyport\n"

// Root finds the root of the repository, upwards from the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(data, []byte(module)) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the repository: no go.mod of it above the working directory")
		}
		dir = parent
	}
}

// PostgresBin finds the directory of initdb and postgres: PG_BIN, what
// pg_config says, the newest of Debian's.
func PostgresBin() (string, error) {
	if dir := os.Getenv("PG_BIN"); dir != "" {
		if !hasServer(dir) {
			return "", fmt.Errorf("PG_BIN=%s has no initdb and postgres", dir)
		}
		return filepath.Abs(dir)
	}
	var candidates []string
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		candidates = append(candidates, string(bytes.TrimSpace(out)))
	}
	debian, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(debian, func(a, b string) int { return cmp.Compare(majorOf(b), majorOf(a)) })
	for _, dir := range append(candidates, debian...) {
		if hasServer(dir) {
			return dir, nil
		}
	}
	return "", errors.New("find PostgreSQL: no initdb and postgres; install the package postgresql (15 or newer) or set PG_BIN")
}

func hasServer(dir string) bool {
	for _, program := range []string{"initdb", "postgres"} {
		if info, err := os.Stat(filepath.Join(dir, program)); err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// majorOf reads 15 from /usr/lib/postgresql/15/bin.
func majorOf(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

// binary is a program built by make.
func binary(root, name string) (string, error) {
	path := filepath.Join(root, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find %s: %w; make bin/%s builds it", name, err, name)
	}
	return path, nil
}

// names are what the files in deploy/ call database, groups and roles.
var names = regexp.MustCompile(`\b[a-z]+(_[a-z]+)?\b`)

// deployed reads statements that the repository ships, as somebody would who sets up a database: with names in place of the file's, which
// are given in pairs. "app" is also the beginning of "app_owner".
func deployed(root, name string, replace ...string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", name))
	if err != nil {
		return "", fmt.Errorf("read statements: %w", err)
	}
	return names.ReplaceAllStringFunc(string(text), func(word string) string {
		for i := 0; i < len(replace); i += 2 {
			rest, found := strings.CutPrefix(word, replace[i])
			if found && (rest == "" || rest[0] == '_') {
				return replace[i+1] + rest
			}
		}
		return word
	}), nil
}
