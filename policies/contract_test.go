package policies_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/authz/statement"
)

// TestContractIsDescribed: README.md names everything that policies see.
func TestContractIsDescribed(t *testing.T) {
	content, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(content)
	for _, kind := range []reflect.Type{
		reflect.TypeFor[authz.StatementInput](), reflect.TypeFor[authz.ConnectInput](), reflect.TypeFor[authz.ConnectDecision](),
		reflect.TypeFor[authz.StatementDecision](),
	} {
		for _, name := range fieldNames(kind) {
			if !strings.Contains(readme, "`"+name+"`") && !strings.Contains(readme, "."+name+"`") {
				t.Errorf("%s: README.md does not describe %s", kind, name)
			}
		}
	}
}

func fieldNames(kind reflect.Type) []string {
	switch kind.Kind() {
	case reflect.Pointer, reflect.Slice:
		return fieldNames(kind.Elem())
	case reflect.Struct:
		var names []string
		for i := range kind.NumField() {
			if kind.Field(i).Tag.Get("policy") == "-" {
				continue
			}
			name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
			if name == "" || name == "-" || name == "identity" || name == "session" {
				names = append(names, fieldNames(kind.Field(i).Type)...)
				continue
			}
			names = append(append(names, name), fieldNames(kind.Field(i).Type)...)
		}
		return names
	}
	return nil
}

// TestEveryFactIsJudged: a fact the default policy does not look at is one that nobody denies. Who adds one to the sheet decides here.
func TestEveryFactIsJudged(t *testing.T) {
	elsewhere := map[string]string{
		"unknown":  "what does not exist is judged by its schema's grants, and PostgreSQL refuses it",
		"class":    "the commands are judged one by one",
		"location": "says where, not what",
		"length":   "says where, not what",
		"prepared": "the session judges what a name stands for",
		"explain":  "what is explained is judged as if it ran",
	}
	rego := policyText(t)
	kind := reflect.TypeFor[statement.Statement]()
	for i := range kind.NumField() {
		name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
		if kind.Field(i).Tag.Get("policy") == "-" {
			continue
		}
		if elsewhere[name] == "" && !strings.Contains(rego, "statement."+name) {
			t.Errorf("no rule looks at %s", name)
		}
	}
}

func policyText(t *testing.T) string {
	t.Helper()
	paths, err := filepath.Glob("*.rego")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.rego") {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(content)
	}
	return text.String()
}
