// Package simulate is a producer for tests, load and practice: it writes
// events like Bluesky's into the five streams, made up from a seed or replayed
// from a file, live or with explicit IDs into a past window.
//
// It owns what a believable event looks like (the Generator) and how a polite
// producer behaves: it keeps a pace, slows down before Redis is full, and
// resumes when Redis refused writes or was away. It refuses to know how entries
// are read, decoded or archived; what it sends is checked by those who do.
package simulate
