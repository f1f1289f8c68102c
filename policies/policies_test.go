// Package policies_test runs the tests of the default policy.
package policies_test

import (
	"context"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"
)

// TestRego runs the _test.rego files the way `opa test .` does.
func TestRego(t *testing.T) {
	modules, store, err := tester.Load([]string{"."}, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = storage.Txn(context.Background(), store, storage.TransactionParams{}, func(txn storage.Transaction) error {
		runner := tester.NewRunner().SetStore(store).SetModules(modules).CapturePrintOutput(true).
			SetDefaultRegoVersion(ast.RegoV1).RaiseBuiltinErrors(true)
		results, err := runner.RunTests(context.Background(), txn)
		if err != nil {
			return err
		}
		count := 0
		for result := range results {
			count++
			t.Run(result.Package+"."+result.Name, func(t *testing.T) {
				if !result.Pass() {
					t.Errorf("%s\n%s", result, result.Output)
				}
			})
		}
		if count == 0 {
			t.Error("no tests found")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
