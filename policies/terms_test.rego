package sallyport.terms_test

import data.sallyport.inputs_test as inputs
import data.sallyport.statement
import data.sallyport.terms

access(said) := {
	"accounts": {"analyst@example.com": {"role": "readonly"}},
	"groups": {},
	"roles": {"readonly": {"databases": {"app": {"schemas": {"app": {"relations": {"*": ["select"]}, "terms": said}}}}}},
}

reading(names) := {"relations": [inputs.relation("", name, ["select"]) | some name in names]}

test_nothing_said if terms.obligations == {} with input as inputs.statement("analyst@example.com", reading(["orders"]))

test_smallest_holds if {
	said := {"customers": {"max_rows": 100, "max_bytes": 4096}, "orders": {"max_rows": 500, "statement_timeout_ms": 900}}
	decision := statement.decision with input as inputs.statement("analyst@example.com", reading(["customers", "orders"]))
		with data.access as access(said)
	decision == {"allow": true, "reasons": set(), "max_rows": 100, "max_bytes": 4096, "statement_timeout_ms": 900}
}

test_warnings if {
	said := {"customers": {"warn": "personal data"}, "orders": {"warn": "old data"}}
	both := terms.obligations with input as inputs.statement("analyst@example.com", reading(["customers", "orders"])) with data.access as access(said)
	both == {"warn": {"personal data", "old data"}}
}

# payments_2025 is a partition of payments.
family := {
	"payments": {"descendants": [{"schema": "app", "name": "payments_2025"}]},
	"payments_2025": {"ancestors": [{"schema": "app", "name": "payments"}]},
}

obliged(name, said) := limits if {
	facts := {"relations": [object.union(inputs.relation("app", name, ["select"]), family[name])]}
	limits := terms.obligations with input as inputs.statement("analyst@example.com", facts) with data.access as access(said)
}

test_part_keeps_to_its_parent if {
	obliged("payments_2025", {"payments": {"max_rows": 100}}) == {"max_rows": 100}
	obliged("payments_2025", {"payments": {"max_rows": 100}, "*": {"max_rows": 1000}}) == {"max_rows": 100}
}

test_part_by_its_own_name if {
	obliged("payments_2025", {"payments": {"max_rows": 100}, "payments_2025": {"max_rows": 500}}) == {"max_rows": 500}
}

test_parent_keeps_to_its_parts if {
	obliged("payments", {"payments_2025": {"max_rows": 100}}) == {"max_rows": 100}
	obliged("payments", {"payments": {"max_rows": 500}, "payments_2025": {"max_rows": 100}}) == {"max_rows": 100}
	obliged("payments", {"payments": {"max_rows": 500}, "payments_2024": {"max_rows": 100}}) == {"max_rows": 500}
}

test_everything_else if {
	said := {"customers": {"max_rows": 100}, "*": {"max_rows": 1000}}
	other := terms.obligations with input as inputs.statement("analyst@example.com", reading(["orders"])) with data.access as access(said)
	other == {"max_rows": 1000}
	named := terms.obligations with input as inputs.statement("analyst@example.com", reading(["customers"])) with data.access as access(said)
	named == {"max_rows": 100}
}

test_denied if {
	said := {"*": {"max_rows": 1000}}
	decision := statement.decision with input as inputs.statement("analyst@example.com", reading(["orders"])) with data.access as access(said)
		with input.statement.complete as false
	object.keys(decision) == {"allow", "reasons"}
}
