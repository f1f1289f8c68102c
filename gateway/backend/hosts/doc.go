// Package hosts chooses the host at which a session of a database is opened, and bounds how many sessions are open there.
//
//	Set      the hosts of a database, and what is wanted of the one that is chosen: libpq's target_session_attrs
//	Servers  what is known of each host, by everybody who has tried it: is it a standby, has it failed lately
//	Places   how many sessions may be open, and who waits for one to end, first come, first served
//
// [Set.Open] asks hosts one after another until one is up and is what is wanted, as libpq does with several hosts in a connection string
// (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS). What libpq does not do is remember: hosts that are
// known to suit come first, then those that nobody knows, those that did not suit, and at last those that have failed. What is known is
// forgotten after a while, so that a host that was promoted, or came back, is found by who asks next. Nothing is ever refused for what is
// remembered: as long as one host suits, it is found.
//
// A session stays where it was opened. When its server ends or becomes another, it ends too.
package hosts
