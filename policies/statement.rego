# May this identity run this text: nothing that anybody has a reason against.
package sallyport.statement

import data.sallyport.access
import data.sallyport.commands
import data.sallyport.functions
import data.sallyport.relations
import data.sallyport.settings

decision := {"allow": true, "reasons": ["observed"]} if observed

else := {"allow": count(reasons) == 0, "reasons": reasons}

# Both must say so: the connect decision that made the session, and the data now.
observed if {
	input.session.observe
	access.settings.observe
	access.role == input.session.role
	access.database
}

reasons contains "the text is not fully understood" if not input.statement.complete

reasons contains sprintf("the role of %s has changed since the session began", [input.identity.user]) if access.role != input.session.role

reasons contains sprintf("database %s is not granted to %s", [input.session.database, input.identity.user]) if not access.database

reasons contains reason if some reason in commands.reasons

reasons contains reason if some reason in relations.reasons

reasons contains reason if some reason in functions.reasons

reasons contains reason if some reason in settings.reasons
