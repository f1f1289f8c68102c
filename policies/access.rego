# Who the identity is to data.yaml, and what that gives it in this database.
package sallyport.access

account := data.access.accounts[input.identity.user]

# The roles the identity may claim. An account that is named is what it is named for, whatever its groups: groups are kept elsewhere,
# and who keeps them cannot raise a named account.
roles contains account.role if not account.methods

roles contains account.role if input.identity.method in account.methods

roles contains data.access.groups[group] if {
	not account
	some group in input.identity.groups
}

# The one role; "" for none, and for several: which of them would be meant is not ours to guess.
default role := ""

role := name if {
	count(roles) == 1
	some name in roles
}

# What data says about the role; undefined when it says nothing.
terms := data.access.roles[role]

# What the role is granted in this database; undefined when that is nothing.
database := terms.databases[input.session.database]
