package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/authn/operators"
)

// withOperators is a configuration of an issuer, and of this admin section.
func withOperators(admin string) string {
	return "listen: 127.0.0.1:6432\ntls: {certificate: server.crt, key: server.key}\nadmin: {listen: 127.0.0.1:9187, " + admin + `}
authentication:
  issuers: [{name: company, issuer: "https://login.example.com", audiences: [sallyport]}]
  rules: [{method: oidc, issuer: company}]
policy: {directory: policies}
vault: {address: "https://vault.example.com:8200", auth: {method: token, token_file: vault.token}}
databases: {app: {host: localhost, tls: {ca_file: ca.crt}, vault_roles: {readonly: ro}, catalog: {vault_role: c}}}
audit: {file: audit.log}
`
}

const adminTLS = "tls: {certificate: admin.crt, key: admin.key, client_ca: ops.crt}, "

func TestOperators(t *testing.T) {
	c, err := load(t, withOperators(adminTLS+`refusals_file: refusals, audiences: [control], authorized_parties: [cli], operators: [
  {issuer: company, groups: [dba-oncall]}, {issuer: company, claim: department, value: security, role: read}, {kind: spiffe, name: "spiffe://example.com/ns/*/ops"}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []operators.Rule{
		{Role: operators.RoleAct, Issuer: "company", Groups: []string{"dba-oncall"}},
		{Role: operators.RoleRead, Issuer: "company", Claim: "department", Value: "security"},
		{Role: operators.RoleAct, Certificate: "spiffe", CertName: "spiffe://example.com/ns/*/ops"},
	}
	if diff := cmp.Diff(want, c.Admin.Operators); diff != "" {
		t.Error(diff)
	}
	if !strings.HasSuffix(c.Admin.RefusalsFile, "refusals") || !strings.HasSuffix(c.Admin.TLS.ClientCA, "ops.crt") || len(c.Admin.AuthorizedParties) != 1 {
		t.Errorf("%+v", c.Admin)
	}
	if _, err := c.Operators(); err != nil {
		t.Error(err)
	}
}

func TestOperatorProblems(t *testing.T) {
	const company = "refusals_file: r, audiences: [control], operators: [{issuer: company, groups: [x]}]"
	tests := map[string]struct{ admin, want string }{
		"unknown issuer":      {strings.Replace(company, "issuer: company", "issuer: other", 1), `admin.operators[1].issuer: is "other", which is not the name of one of authentication.issuers`},
		"no audience":         {strings.Replace(company, "audiences: [control], ", "", 1), "admin.operators[1].issuer: needs admin.audiences"},
		"the same audience":   {strings.Replace(company, "control", "sallyport", 1), `admin.audiences: has "sallyport", which is an audience of the issuer company too`},
		"no list":             {strings.Replace(company, "refusals_file: r, ", "", 1), "admin.refusals_file: is missing"},
		"no authority":        {"refusals_file: r, operators: [{kind: cn, name: boss}]", "admin.operators[1].kind: needs admin.tls.client_ca"},
		"unknown kind":        {adminTLS + "refusals_file: r, operators: [{kind: serial, name: boss}]", "admin.operators[1].kind: is \"serial\": must be one of cn, email"},
		"unknown role":        {strings.Replace(company, "groups: [x]", "groups: [x], role: admin", 1), "admin.operators[1].role: is \"admin\": must be one of act, read"},
		"unknown key":         {strings.Replace(company, "groups: [x]", "group: x", 1), "admin.operators[1].group: is not a key that exists here"},
		"a CA without TLS":    {"tls: {client_ca: ops.crt}", "admin.tls.client_ca: needs certificate and key"},
		"profiles for nobody": {"profiles: true", "admin.profiles: needs admin.token_file or admin.operators"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := load(t, withOperators(test.admin)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
	plain := strings.Replace(withOperators(company), "127.0.0.1:9187", "0.0.0.0:9187", 1)
	if _, err := load(t, plain); err == nil || !strings.Contains(err.Error(), "tokens would cross the network in the clear") {
		t.Errorf("tokens in the clear: %v", err)
	}
}

// TestOperatorRules: what only their package knows is a problem of the key.
func TestOperatorRules(t *testing.T) {
	for name, test := range map[string]struct{ operator, want string }{
		"everybody":   {"{issuer: company}", "everybody of the issuer would be an operator"},
		"nobody":      {"{}", "either issuer, or the kind and name of a certificate"},
		"both":        {"{issuer: company, groups: [x], kind: cn, name: boss}", "either issuer, or the kind and name of a certificate"},
		"half":        {"{issuer: company, claim: x}", "claim and value go together"},
		"a wildcard":  {`{kind: cn, name: "{user}"}`, "{user} stands for nobody"},
		"a nameless":  {"{kind: cn}", "name is empty"},
		"not a group": {`{issuer: company, groups: [""]}`, "empty group"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, withOperators(adminTLS+"refusals_file: r, audiences: [control], operators: ["+test.operator+"]"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Operators(); err == nil || !strings.Contains(err.Error(), "admin.operators: operator 1: "+test.want) && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
}
