// Package e2e holds the tests of the whole: real clients, a real gateway, real
// PostgreSQL, Vault and OpenID provider, see e2e/stack.
//
// What they find is what a user would: they talk to the gateway's ports, read
// its logs, look into PostgreSQL as a superuser and into Vault as root, and
// know nothing of the gateway's packages.
package e2e
