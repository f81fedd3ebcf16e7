package part

import (
	"datawriter/worker/event"
	"datawriter/worker/window"
)

// SchemaVersion is the version of the columns and footer keys that this
// package writes and the only one that it reads.
const SchemaVersion = 1

// Meta is what a file says about itself in its footer. A part and its reject
// file carry the same Meta.
type Meta struct {
	Kind          event.Kind
	Shard         string // empty where there are no shards
	Window        window.Window
	Part          int   // 0 for the first part of a window
	Rows          int64 // rows of the part
	Rejected      int64 // rejects of the reject file beside it
	FirstID       event.ID
	LastID        event.ID // both zero when nothing came
	EntriesAdded  int64    // the stream's entries-added when it was read; -1 unknown
	RunID         string   // run_id of the Redis server
	WriterVersion string
	SchemaVersion int // 0 in Close means SchemaVersion
}
