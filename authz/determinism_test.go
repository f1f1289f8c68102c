package authz

import "testing"

func TestCacheable(t *testing.T) {
	const decision = "decision := {\"allow\": count(reasons) == 0, \"reasons\": reasons}\n"
	for name, test := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"constant":        {nil, true},
		"input":           {statementPolicy(decision + "reasons contains \"x\" if input.session.observe"), true},
		"time":            {statementPolicy(decision + "reasons contains \"x\" if time.now_ns() > 5"), false},
		"pure time":       {statementPolicy(decision + "reasons contains \"x\" if time.weekday(5) == \"Monday\""), true},
		"random":          {statementPolicy(decision + "reasons contains \"x\" if rand.intn(\"a\", 5) > 2"), false},
		"uuid":            {statementPolicy(decision + "reasons contains uuid.rfc4122(\"a\")"), false},
		"environment":     {statementPolicy(decision + "reasons contains \"x\" if opa.runtime().env"), false},
		"token and clock": {statementPolicy(decision + "reasons contains \"x\" if { input.session.id == \"token\"; io.jwt.decode_verify(input.session.id, {\"secret\": \"s\"})[0] }"), false},
		"certificates":    {statementPolicy(decision + "reasons contains \"x\" if not crypto.x509.parse_and_verify_certificates(input.session.id)[0]"), false},
		"certificates, with options": {
			statementPolicy(decision + "reasons contains \"x\" if not crypto.x509.parse_and_verify_certificates_with_options(input.session.id, {\"DNSName\": \"a\"})[0]"), false,
		},
		"certificates, only read": {
			statementPolicy(decision + "reasons contains \"x\" if { input.session.id == \"y\"; count(crypto.x509.parse_certificates(input.session.id)) == 0 }"), true,
		},
		"in a function":     {statementPolicy(decision + "reasons contains \"x\" if late(1)\nlate(n) if time.now_ns() > n"), false},
		"in a default else": {statementPolicy("decision := {\"allow\": true, \"reasons\": []} if input.session.observe\nelse := {\"allow\": time.now_ns() > 5, \"reasons\": []}"), false},
		"behind an else":    {statementPolicy("decision := {\"allow\": true, \"reasons\": []} if input.session.observe\nelse := {\"allow\": late, \"reasons\": []}\nlate := time.now_ns() > 5"), false},
		"in a comprehension": {
			statementPolicy("decision := {\"allow\": true, \"reasons\": {\"x\" | every i in [1] { time.now_ns() > i }}}"), false,
		},
		"by replacement": {
			statementPolicy("decision := {\"allow\": true, \"reasons\": []} if { x := f(\"a\", 9) with f as rand.intn; x >= 0 }\nelse := {\"allow\": true, \"reasons\": []}\nf(_, _) := 1"), false,
		},
		"in another package": {map[string]string{
			"statement.rego": "package sallyport.statement\nimport data.lib\ndecision := {\"allow\": lib.late, \"reasons\": []}",
			"lib.rego":       "package lib\ndefault late := false\nlate if time.now_ns() > 5",
		}, false},
		"by a computed name": {map[string]string{
			"statement.rego": "package sallyport.statement\ndecision := {\"allow\": count([1 | some x; data.lib[x]]) > 0, \"reasons\": []}",
			"lib.rego":       "package lib\nlate if time.now_ns() > 5",
		}, false},
		"by the whole package": {map[string]string{
			"statement.rego": "package sallyport.statement\ndecision := {\"allow\": object.get(data.lib, \"late\", false), \"reasons\": []}",
			"lib.rego":       "package lib\nlate if time.now_ns() > 5",
		}, false},
		"elsewhere only": {map[string]string{
			"connect.rego": "package sallyport.connect\ndecision := {\"allow\": time.now_ns() > 5, \"reasons\": [], \"role\": \"r\"}",
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := New(Config{Timeout: patience, Directory: directory(t, test.files)})
			if err != nil {
				t.Fatal(err)
			}
			if got := e.Policy().Cacheable(); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
