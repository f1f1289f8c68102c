// Package inspect looks at a PostgreSQL server from inside for what would let people past the gateway, or further than the gateway's policy
// lets them: who may log in from where, what everybody may do, what the groups of sessions can, functions that run with others' rights,
// settings that write passwords, and releases with known holes or without support.
//
// It reads and changes nothing. What a role may not see is reported as unseen, not as good.
package inspect
