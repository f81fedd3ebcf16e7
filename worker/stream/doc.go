// Package stream is the only owner of Redis Streams commands: it reads a
// window's entries through a consumer group or by range, fences, leases and
// settles by script, and adds entries for producers.
//
// It refuses to know what an entry means, which entries a window needs, and
// when a step may be taken: drain decides, in the order of the protocol. It
// never retries and never logs; every error says which class it belongs to
// (see errors.go).
package stream
