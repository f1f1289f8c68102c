// Package catalog knows what the names in a database mean: which relation, columns, view definition, function or operator stands behind
// a name, for a session with a given search path.
//
// A Catalog reads PostgreSQL's system catalogs over a session of its own and keeps what it read as a Snapshot, which is replaced as a whole
// when definitions have changed. Snapshot.Resolve turns the facts of a text, which are what its names say, into facts of what they mean.
//
// What it cannot know: what a transaction that has not committed has defined, and the temporary objects of sessions.
package catalog
