package verify

import (
	"bytes"
	"slices"

	"datawriter/worker/event"
)

// checkRows: a row is lossless. The event is rebuilt from it and decoded again;
// what comes out must be the row itself, event_json where it has one included.
// So no row is in a file that a drain would have rejected, and no column
// contradicts the event that stands beside it.
var checkRows = check{
	Name:    "rows",
	Promise: "the event rebuilt from a row decodes into that row; every reject has a reason and its fields",
	row:     decodesIntoItself,
	reject: func(_ *file, r *event.Reject) string {
		switch {
		case len(r.Reason) == 0:
			return about(r.ID(), "it has no reason")
		case len(r.Fields) == 0 || len(r.Fields)%2 != 0:
			return about(r.ID(), "it has %d names and values", len(r.Fields))
		}
		return ""
	},
}

func decodesIntoItself(f *file, r *event.Row) string {
	kind := f.meta.Kind // whose columns the file has, whatever its name says
	f.rebuilt = event.AppendEvent(f.rebuilt[:0], kind, r)
	f.scratch = [2][]byte{fieldName, f.rebuilt}
	entry := event.Entry{ID: r.ID(), Fields: f.scratch[:]}
	switch reason := f.decoder.Decode(kind, &entry, &f.again); reason {
	case "":
	case event.ReasonTooLarge:
		return "" // an escape may be written longer than it came
	default:
		return about(r.ID(), "its event would be rejected: %s", reason)
	}
	f.again.EntryHash = r.EntryHash // is of the bytes as they came, and another check's business
	for i := range f.columns {
		if c := &f.columns[i]; !sameCell(c, r, &f.again) {
			return about(r.ID(), "its %s is not that of its event", c.Name)
		}
	}
	return ""
}

func sameCell(c *event.Column[event.Row], a, b *event.Row) bool {
	switch c.Type {
	case event.String:
		x, y := *c.Text(a), *c.Text(b)
		return (x == nil) == (y == nil) && bytes.Equal(x, y)
	case event.StringList, event.BinaryList:
		x, y := *c.List(a), *c.List(b)
		return (x == nil) == (y == nil) && slices.EqualFunc(x, y, bytes.Equal)
	}
	return *c.Int(a) == *c.Int(b)
}
