# Which settings may be shown, changed and reset.
package sallyport.settings

import data.sallyport.access

# The value is a literal of the text, so no reason shows it; the name is one too when a function is given it.
reasons contains sprintf("%s may not be %s", [described(setting, statement), verb]) if {
	some statement in input.statement.statements
	some setting in statement.settings
	verb := object.get(verbs, setting.action, "changed")
	not permitted(setting)
}

described(setting, statement) := sprintf("setting %s", [setting.name]) if count(statement.functions) == 0

described(_, statement) := "a setting named to a function" if count(statement.functions) > 0

verbs := {"set": "set to this", "set_local": "set to this", "reset": "reset", "show": "shown"}

permitted(setting) if {
	setting.known
	setting.action == "show"
	setting.name in shown
}

permitted(setting) if {
	setting.known
	setting.action == "reset"
	setting.name in reset
}

permitted(setting) if {
	setting.known
	setting.action in {"set", "set_local"}
	harmless(setting.name, lower(setting.value))
}

# Settings whose values are names or words.
words := {
	"intervalstyle": {"postgres", "postgres_verbose", "sql_standard", "iso_8601"},
	"bytea_output": {"hex", "escape"},
	# Below notice the backend tells what it does inside, parse trees and all.
	"client_min_messages": {"notice", "warning", "error"},
	"transaction_isolation": isolation_levels,
	"default_transaction_isolation": isolation_levels,
	"transaction_read_only": booleans,
	"default_transaction_read_only": booleans,
	"transaction_deferrable": booleans,
	"default_transaction_deferrable": booleans,
	"jit": booleans,
	# These two decide how the backend reads a text. Any other value and it reads another text than the one that was judged.
	"client_encoding": {"utf8", "utf-8", "unicode"},
	"standard_conforming_strings": {"on", "true", "yes", "1"},
}

isolation_levels := {"read uncommitted", "read committed", "repeatable read", "serializable"}

booleans := {"on", "off", "true", "false", "yes", "no", "0", "1"}

# Settings whose values have a form.
forms := {
	"application_name": `^[ -~]{0,63}$`,
	"datestyle": `^[a-z]{2,10}(, ?[a-z]{2,10})?$`,
	# A name, an offset, a POSIX rule; no way up out of the directory the server looks names up in.
	"timezone": `^([a-z0-9_+:<>,-]{1,40}(/[a-z0-9_+-]{1,40}){0,3}|-?[0-9]{1,3}[.][0-9]{1,3})$`,
	"extra_float_digits": `^-?[0-9]{1,2}$`,
}

# Settings that limit the session; a limit of the role's own cannot be lifted by them.
limits := {"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout"}

harmless(name, value) if value in words[name]

harmless(name, value) if {
	regex.match(forms[name], value)
	not imitates(name, value)
}

# The gateway begins the application's name with the session's id; by that the server's log is joined with the audit log. None may look
# like another session's.
imitates("application_name", value) if regex.match(`^[0-9a-f]{16} `, value)

harmless(name, value) if {
	name in limits
	regex.match(`^[0-9]{1,10} ?(us|ms|s|min|h|d)?$`, value)
	not lifts(name, value)
}

# statement_timeout_ms of the role holds: 0 would be no limit, a larger value or another unit more than it.
lifts("statement_timeout", value) if {
	limit := access.terms.statement_timeout_ms
	not within(value, limit)
}

within(value, limit) if {
	regex.match(`^[0-9]{1,10} ?(ms)?$`, value)
	milliseconds := to_number(trim_right(value, " ms"))
	milliseconds > 0
	milliseconds <= limit
}

changeable := (object.keys(words) | object.keys(forms)) | limits

# Resetting goes back to the values the gateway started the session with. They are the pinned ones, so resetting is safe even where
# setting is not. RESET ALL ("*") and SET SESSION AUTHORIZATION DEFAULT are what connection pools send between two users of a
# connection.
reset := changeable | {"*", "search_path", "session_authorization"}

# What drivers ask for. The rest of the configuration is nobody's business here.
shown := changeable | {
	"search_path",
	"server_version", "server_version_num", "server_encoding", "integer_datetimes", "max_identifier_length", "max_index_keys",
	"lc_collate", "lc_ctype", "in_hot_standby", "is_superuser", "session_authorization", "role",
}
