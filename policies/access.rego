# Who the identity is to data.yaml, and what that gives it in this database.
package sallyport.access

account := data.access.accounts[input.identity.user]

# The roles the identity has without asking. An account that is named is what it is named for, whatever its groups: groups are kept
# elsewhere, and who keeps them cannot raise a named account.
roles contains account.role if proved

roles contains data.access.groups[group] if {
	not account
	some group in input.identity.groups
}

# The account may prove itself as it did.
proved if not account.methods

proved if input.identity.method in account.methods

# The roles it may ask for: those, and what else a named account may be.
requestable contains name if some name in roles

requestable contains name if {
	proved
	some name in account.roles
}

requested := input.session.requested_role

# The one role; "" for none, and for several: which of them would be meant is not ours to guess.
default role := ""

role := requested if requested in requestable

role := name if {
	requested == ""
	count(roles) == 1
	some name in roles
}

# What data says about the role; undefined when it says nothing.
terms := data.access.roles[role]

# What the role is granted in this database; undefined when that is nothing.
database := terms.databases[input.session.database]
