// Package policies_test runs the tests of the default policy.
package policies_test

import (
	"strings"
	"testing"

	"github.com/sallyport/sallyport/authz"
)

// TestRego runs the _test.rego files the way `sallyport policy test` does.
func TestRego(t *testing.T) {
	report, err := authz.Test(t.Context(), authz.TestConfig{Directory: "."})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range report.Tests {
		t.Run(test.Name, func(t *testing.T) {
			if test.Outcome != "PASS" {
				var trace strings.Builder
				test.WriteTrace(&trace, false)
				t.Errorf("%s at %s: %v\n%s%s", test.Outcome, test.FailedAt, test.Err, test.Output, &trace)
			}
		})
	}
}
