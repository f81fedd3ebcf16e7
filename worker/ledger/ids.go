package ledger

import (
	"encoding/binary"

	"datawriter/worker/event"
)

// IDs is a list of ascending entry IDs, kept as differences: two or three bytes
// each, so that a window of any size can be settled from memory. The zero value
// is empty.
type IDs struct {
	deltas []byte
	last   event.ID
	n      int
}

// Append adds an ID; it must not stand before the last one.
func (l *IDs) Append(id event.ID) {
	l.deltas = binary.AppendUvarint(l.deltas, id.MS-l.last.MS)
	l.deltas = binary.AppendUvarint(l.deltas, id.Seq)
	l.last = id
	l.n++
}

// Len returns how many IDs the list has.
func (l *IDs) Len() int { return l.n }

// Reset empties the list and keeps its memory.
func (l *IDs) Reset() { *l = IDs{deltas: l.deltas[:0]} }

// Pages calls yield with the IDs in order, at most size at a time, until it
// returns an error, which is passed on. The slice is reused.
func (l *IDs) Pages(size int, yield func([]event.ID) error) error {
	page := make([]event.ID, 0, min(size, l.n))
	rest, id := l.deltas, event.ID{}
	for i := range l.n {
		ms, n := binary.Uvarint(rest)
		seq, m := binary.Uvarint(rest[n:])
		rest = rest[n+m:]
		id = event.ID{MS: id.MS + ms, Seq: seq}
		page = append(page, id)
		if len(page) == size || i == l.n-1 {
			if err := yield(page); err != nil {
				return err
			}
			page = page[:0]
		}
	}
	return nil
}
