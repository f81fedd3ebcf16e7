package verify

import "datawriter/worker/event"

// checkHash: where the bytes of the event stand in the file, their hash is
// computed again. A row whose typed columns carry the event holds no bytes: the
// order of its members and its spaces are gone, and the hash with them.
var checkHash = check{
	Name:    "hash",
	Promise: "entry_hash is the hash of the event, wherever the file holds its bytes",
	row: func(f *file, r *event.Row) string {
		if r.EventJSON == nil {
			return ""
		}
		f.scratch = [2][]byte{fieldName, r.EventJSON}
		return otherHash(r.ID(), f.scratch[:], r.EntryHash)
	},
	reject: func(_ *file, r *event.Reject) string { return otherHash(r.ID(), r.Fields, r.EntryHash) },
}

var fieldName = []byte(event.FieldName)

func otherHash(id event.ID, fields [][]byte, stored event.Int) string {
	entry := event.Entry{Fields: fields}
	if computed := int64(entry.Hash()); computed != stored.Value {
		return about(id, "its hash is %d, but the file says %d", computed, stored.Value)
	}
	return ""
}
