# Which settings may be shown and changed.
package sallyport.settings

reasons contains sprintf("setting %s is not permitted", [setting.name]) if {
	some statement in input.statement.statements
	some setting in statement.settings
	not setting.name in {"application_name", "timezone", "datestyle", "*"}
}
