// Package replay decides again what an audit log holds, by another policy than the one that decided then.
//
// A session is rebuilt from its session_start and connect events; its connect decision is asked again, and its statements are judged
// as in the session that the other policy would have given: with that policy's role, and with its observe. What the log does not hold
// whole (a text that was cut, a session whose beginning is in an older file) is counted and not guessed.
//
// A policy's clock shows the time of the event. There is no catalog: names are taken as written, and statements that were judged by what their names mean are counted.
//
// Only what a policy said is compared. What a gateway denies by itself, such as a text that is no SQL, is no policy's affair.
package replay
