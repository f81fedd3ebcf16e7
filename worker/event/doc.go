// Package event owns the nouns of the archive: the five kinds and the raw ones
// beside them, the entry as a Redis Stream holds it, the row as Parquet holds
// it, and the way between them that loses nothing.
//
// It decodes the Jetstream JSON of one commit event into a Row, rebuilds the
// event from a Row, and names the reason when an entry cannot be a row. It
// knows nothing of Redis connections, of Parquet encodings or of files: floors
// above read its column tables and move bytes.
package event
