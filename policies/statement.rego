# May this identity run this text. It may when nobody has a reason against it; each file of reasons judges one kind of fact, and each
# fact is denied unless a list names it.
package sallyport.statement

import data.sallyport.access
import data.sallyport.commands
import data.sallyport.functions
import data.sallyport.relations
import data.sallyport.settings
import data.sallyport.terms

decision := object.union({"allow": true, "reasons": []}, terms.obligations) if observed

else := object.union({"allow": true, "reasons": reasons}, terms.obligations) if count(reasons) == 0

else := {"allow": false, "reasons": reasons}

# Observed: recorded, not judged. Both the decision that began the session and the data as they are now must say so.
observed if {
	input.session.observe
	access.terms.observe
	access.role == input.session.role
	access.database
}

reasons contains "the text is not fully understood" if not input.statement.complete

# No statement of the session may run.
reasons contains reason if some reason in of_session

# An account that was taken away, or given another role, loses a session it has.
of_session contains sprintf("the role of %s is not the one this session began with", [input.identity.user]) if access.role != input.session.role

of_session contains sprintf("database %s is not granted to %s", [input.session.database, input.identity.user]) if not access.database

# pg_catalog comes first only while nobody names it: every rule about unqualified names rests on that.
of_session contains "the session's search_path names pg_catalog" if "pg_catalog" in input.session.search_path

reasons contains reason if some reason in commands.reasons

reasons contains reason if some reason in functions.reasons

reasons contains reason if some reason in relations.reasons

reasons contains reason if some reason in settings.reasons
