// Package drain is the main path: it moves the entries of one window from
// Redis Streams into published parts, once, and settles them.
//
// backlog.go and gaps.go plan which windows a run drains, drain.go walks over
// them, lanes.go drains their kinds side by side, window.go makes the attempts for one kind of a window, and kind.go holds the
// steps of the protocol for one kind, one function each, in the order in which
// they are called. DESIGN.md explains why they stand in that
// order. Everything may be killed anywhere: before a part is published all can
// be thrown away, after it all can be repeated.
//
// drained.go and missing.go tell a window without entries from one whose part is
// gone; budget.go bounds the memory of all kinds together; rescue.go repairs a
// stream whose last ID is ahead of the clock.
//
// The package does not know how a part is encoded, where it lives, or what
// command moves an entry.
package drain
