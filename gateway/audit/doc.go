// Package audit writes what happened: one JSON object a line, one line an event, in the order the gateway accepted them.
//
// A statement is two leaves: a Statement before anything of it is forwarded, an Outcome with the same id when its answer is complete.
// A write can fail. Then the caller denies the statement, or ends the session whose outcome could not be written.
package audit
