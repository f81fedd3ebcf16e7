// Package sink owns where published files live and what they are called: the
// two layouts, staging a file, publishing it without ever replacing one, and
// making its name durable.
//
// It knows nothing of what is in a file, of Redis, or of when a file may be
// published. A published file never changes.
package sink
