# May this identity have this connection.
package sallyport.connect

import data.sallyport.access

decision := object.union({"allow": true, "reasons": [], "role": access.role}, obligations) if count(reasons) == 0

else := {"allow": false, "reasons": reasons}

# What the role's data says about the whole session.
obligations := object.filter(access.settings, ["observe", "read_only", "max_session_seconds", "idle_timeout_seconds", "statement_timeout_ms"])

reasons contains sprintf("%s has no access", [input.identity.user]) if count(access.roles) == 0

reasons contains sprintf("the groups of %s give more than one role", [input.identity.user]) if count(access.roles) > 1

reasons contains sprintf("role %s is not defined", [access.role]) if {
	access.role != ""
	not access.settings
}

reasons contains sprintf("database %s is not granted to %s", [input.session.database, input.identity.user]) if {
	access.settings
	not access.database
}

reasons contains "replication is not granted" if {
	input.session.replication != ""
	not access.settings.observe
}
