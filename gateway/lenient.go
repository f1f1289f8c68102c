package gateway

// lenient makes of policy's word on a text what the database's enforcement makes of it. Where policy is on trial, what only policy denies
// goes on to be judged by everything else: names that mean nothing, EXECUTE of what must not be executed, facts that cannot be had.
func (j *judge) lenient(v verdict) verdict {
	if j.grant.database.ObserveOnly && !v.allow && v.denial == nil {
		v.allow, v.observed = true, true
	}
	return v
}

// with is the verdict on a text that runs another one, which is allowed.
func (v verdict) with(used verdict) verdict {
	v.terms = v.terms.both(used.terms)
	v.used = append(v.used, used.used...)
	if used.observed && !v.observed {
		v.observed, v.reasons = true, used.reasons
	}
	return v
}

// enforcement is what operators and the audit log call it; "" when policy is enforced.
func (d *Database) enforcement() string {
	if d.ObserveOnly {
		return "observe"
	}
	return ""
}
