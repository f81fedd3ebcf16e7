// Package ingest moves the events of Jetstream, the JSON stream of the Bluesky
// network, into the Redis Streams that the drain empties: each once, with no
// silent gap.
//
// It owns the websocket and both of Jetstream's wires, the position in the
// source, what was seen lately, and what is said about gaps. It knows nothing
// of files or windows. The rules it keeps stand in worker/DESIGN.md.
package ingest
