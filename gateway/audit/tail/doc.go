// Package tail has what is in the audit log's files follow to other machines: to syslog, OTLP, a webhook, NATS JetStream.
//
// The files are the source of truth. A Tail reads them as they are written, sends what it reads, and keeps in a file of its own how far
// its receiver has taken it: the cursor. Nobody who appends to the log knows of it, let alone waits for it. Each receiver has its own
// Tail, with its own cursor, and is as far behind as it is.
//
// # What a receiver gets
//
// Every line, byte for byte and in the order of the log: events, and the tree and checkpoint lines that prove them. So a copy is a log
// itself. Each line comes at least once: again after a failure, after a restart, after a crash of the machine. It has an id, and two
// lines with the same id are the same line:
//
//	1712-9f86d081884c7d65             an event: its index in the log, and the first 64 bits of its hash as a leaf
//	tree-1712-60303ae22b998861        the line a file begins with: how many events are before it
//	checkpoint-1713-fd61a03af4f77d87  a checkpoint likewise
//
// With Config.OCSF a receiver gets the events of package ocsf instead, each made of one line, and nothing for the lines that it makes none of.
// They have the ids of their lines. But they prove nothing, a statement's event does not say how it ended, and it has its text only where the
// line has: once in a file. sallyport audit export puts lines together.
//
// The texts beside the log are sent in neither form: they are no leaves, and a copy with other lines than those of the log would be none. Who
// needs them elsewhere copies the files; the digest in a statement proves its text there too.
//
// # Files
//
// A file is known by its first line, which says how many events are before it and when it was begun, whatever it is called: rotated by
// the log itself, by logrotate (audit.log.1, audit.log-20260302), packed by gzip, or written again after it was removed. A file has been
// read to its end when the next one begins with as many events as were read, and with the same tree.
//
// When the file that a cursor is in was removed before it was read to its end, the Tail goes on with what follows and says how many
// events its receiver will not get: these are in the receiver's copy as a gap that audit verify finds.
package tail
