// Package proof makes an audit log one whose changes show, and finds them.
//
// The lines of a log are the leaves of a Merkle tree as in RFC 6962, 2.1: what is hashed are the bytes of the line without its newline.
// Two kinds of lines are no leaves:
//
//   - A start, the first line of every file, has the size of the tree and the roots of its complete subtrees (RFC 6962 calls the whole a
//     Merkle tree; Crosby and Wallach the right edge a frontier). With it a file can be verified after those before it are gone.
//   - A checkpoint has the size and the root of the tree, as a note (https://c2sp.org/tlog-checkpoint) that is signed with Ed25519
//     (https://c2sp.org/signed-note), and the hashes of the leaves since the checkpoint before. The signed root proves these hashes,
//     and they show which line is not what it was. The note alone is what other machines keep.
//
// Whoever has the key can make another tree. What they cannot do is make one that agrees with checkpoints that were kept elsewhere.
package proof
