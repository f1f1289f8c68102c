// Package catalog knows what the names in a database mean: which relation, columns, view definition, function or operator stands behind
// a name, for a session with a given search path.
//
// A Catalog reads PostgreSQL's system catalogs over a session of its own and keeps what it read as a Snapshot, which is replaced as a whole
// when definitions have changed. Snapshot.Resolve turns the facts of a text, which are what its names say, into facts of what they mean.
//
// What it cannot know: what a transaction that has not committed has defined, and the temporary objects of sessions.
//
// # How old it may be
//
// What the gateway's own sessions define is known at once: Changed says that something was defined, and Current waits until it has been
// read. For what is defined past the gateway the Catalog asks every second (Config.Poll) for a digest of the rows that a snapshot is made
// of, and reads all of them again when that is another. Every such change that had committed before a poll is noticed by it. So a
// decision rests on what had committed one poll and one reading earlier: 1.5 seconds with 1,000 tables, 4 seconds with 10,000, on a
// backend that is not busy. For a name that a snapshot does not have, Fresh looks at once. It never rests on less than what had committed ten seconds earlier (Config.MaxAge): a snapshot that could not
// be confirmed for so long is none, and what needs one is denied.
//
// The digest costs the backend 11 ms with 1,000 tables and 105 ms with 10,000, and next to nothing when no transaction has ended since the
// last one; a larger database is asked less often, so that polling takes a tenth of the time at the most. The counters of
// pg_stat_sys_tables would cost less than a millisecond and bound nothing: a session reports them at the end of a transaction if it has not
// done so within a second, otherwise ten seconds later, and not at all while it is idle in its next transaction (pgstat_report_stat; seen
// on PostgreSQL 15 and 18).
//
// The texts of views are the one part that no transaction holds still: pg_get_viewdef shows names as they are when it is called. When one
// of them changes in the midst of a reading, the digest of before and the names of after do not go together until the next poll, which
// notices that.
package catalog
