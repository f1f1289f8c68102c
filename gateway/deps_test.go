package gateway

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestDependenciesPointOneWay holds the packages to the architecture: what a package may import of ours, its own children apart.
func TestDependenciesPointOneWay(t *testing.T) {
	const module = "github.com/sallyport/sallyport/"
	allowed := map[string][]string{
		"authn":                   nil,
		"authn/scram":             nil,
		"authn/md5":               nil,
		"authn/oauthbearer":       {"authn", "authn/oidc"},
		"authn/certificate":       {"authn"},
		"authn/userlist":          {"authn/md5", "authn/scram"},
		"authn/oidc":              {"authn"},
		"authn/throttle":          nil,
		"authn/operators":         {"authn", "authn/certificate", "authn/oidc"},
		"authz":                   {"authz/recent", "authz/statement"},
		"authz/recent":            nil,
		"authz/statement":         {"authz/recent"},
		"tlsutil":                 nil,
		"certs":                   nil,
		"gateway/wire":            nil,
		"gateway/audit":           {"gateway/audit/proof"},
		"gateway/audit/deliver":   {"gateway/audit", "gateway/audit/proof"},
		"gateway/audit/proof":     nil,
		"gateway/audit/ocsf":      nil,
		"gateway/audit/tail":      {"gateway/audit/ocsf", "gateway/audit/proof"},
		"gateway/metrics":         nil,
		"gateway/replay":          {"authz", "authz/recent", "authz/statement", "gateway/audit", "gateway/audit/proof"},
		"gateway/admin":           {"authn", "authn/certificate", "authn/oidc", "authn/operators", "authz/recent", "gateway/refusals"},
		"gateway/refusals":        nil,
		"gateway/backend":         {"gateway/wire"},
		"gateway/backend/hosts":   {"gateway/backend", "gateway/wire"},
		"gateway/backend/inspect": nil,
		"gateway/catalog":         {"authz/recent", "authz/statement"},
		"gateway/credentials":     nil,
		"gateway": {
			"authn", "authn/oidc", "authn/scram", "authz", "authz/recent", "authz/statement", "gateway/audit", "gateway/backend", "gateway/backend/hosts", "gateway/credentials",
			"authn/certificate", "authn/md5", "authn/oauthbearer", "authn/throttle", "gateway/audit/proof", "gateway/catalog", "gateway/metrics", "gateway/refusals", "gateway/wire", "tlsutil",
		},
	}
	for name, may := range allowed {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command("go", "list", "-deps", module+name).CombinedOutput() // #nosec -- fixed arguments
			if err != nil {
				t.Fatalf("go list: %v\n%s", err, out)
			}
			for _, dep := range strings.Fields(string(out)) {
				ours, found := strings.CutPrefix(dep, module)
				if found && ours != name && !slices.Contains(may, ours) {
					t.Errorf("%s imports %s", name, ours)
				}
			}
		})
	}
}
