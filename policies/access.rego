# What data.yaml says about the identity and the database at hand.
package sallyport.access

account := data.access.accounts[input.identity.user]

# The roles the identity may claim. An account that is named is what it is named for; its groups do not matter then, so that a group
# somebody else manages cannot raise a named account.
roles contains account.role if not method_refused

roles contains data.access.groups[group] if {
	not account
	some group in input.identity.groups
}

# method_refused: the account may not prove itself this way.
method_refused if not input.identity.method in object.get(account, "methods", [input.identity.method])

default role := ""

role := name if {
	count(roles) == 1
	some name in roles
}

settings := data.access.roles[role]

# What the role grants in this database; undefined when it grants nothing.
database := settings.databases[input.session.database]
