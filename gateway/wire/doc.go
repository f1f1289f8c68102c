// Package wire frames the PostgreSQL protocol: it reads messages within bounds, looks at headers, and passes bytes on unchanged.
//
// A [Pipe] is one direction of a relay. What it has read goes to the other side only when it was accepted, in one write for all
// that one read brought; most messages are a header to be walked and bytes to be passed on. The few messages that are looked into
// are decoded by the functions beside it ([DecodeBind], [DecodeParse] …), which insist that a body is consumed exactly.
//
// On a [Socket], which the connections of production are on, a Pipe reads each time only once, borrows its buffers, and holds none while
// it waits. Any other connection is read in the plain way.
//
// Format: https://www.postgresql.org/docs/current/protocol-message-formats.html
package wire
