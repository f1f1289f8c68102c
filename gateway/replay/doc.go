// Package replay decides again what an audit log holds, by another policy than the one that decided then.
//
// A session is rebuilt from its session_start and connect events; its connect decision is asked again, and its statements are judged
// as in the session that the other policy would have given: with that policy's role, and with its observe. What the log does not hold
// whole (a text that was cut, a session whose beginning is in an older file) is counted and not guessed.
//
// A policy's clock shows the time of the event. What names meant then is gone, but for the relations that an event lists. So names are taken as
// written, or, with Config.Resolve, as they are meant now; each difference says what its two decisions rest on, and whether the relations are
// others now. Statements are counted by the same.
//
// Only what a policy said is compared. What a gateway denies by itself, such as a text that is no SQL, is no policy's affair.
package replay
