package ledger

import (
	"encoding/binary"

	"datawriter/worker/event"
)

// IDs is a list of ascending entry IDs, kept as differences: two or three bytes
// each, so that a window of any size can be settled from memory. The zero value
// is empty.
type IDs struct {
	blocks [][]byte // of whole IDs; one growing slice would be copied, and be there twice meanwhile
	used   int      // how many of the blocks hold IDs, the others wait for reuse
	last   event.ID
	n      int
}

const blockBytes = 64 << 10

// Append adds an ID; it must not stand before the last one.
func (l *IDs) Append(id event.ID) {
	if l.used == 0 || blockBytes-len(l.blocks[l.used-1]) < 2*binary.MaxVarintLen64 {
		l.begin()
	}
	block := &l.blocks[l.used-1]
	*block = binary.AppendUvarint(*block, id.MS-l.last.MS)
	*block = binary.AppendUvarint(*block, id.Seq)
	l.last = id
	l.n++
}

// begin takes an empty block.
func (l *IDs) begin() {
	if l.used == len(l.blocks) {
		l.blocks = append(l.blocks, make([]byte, 0, blockBytes))
	}
	l.blocks[l.used] = l.blocks[l.used][:0]
	l.used++
}

// Len returns how many IDs the list has.
func (l *IDs) Len() int { return l.n }

// Reset empties the list and keeps its memory.
func (l *IDs) Reset() { *l = IDs{blocks: l.blocks} }

// Pages calls yield with the IDs in order, at most size at a time, until it
// returns an error, which is passed on. The slice is reused.
func (l *IDs) Pages(size int, yield func([]event.ID) error) error {
	page := make([]event.ID, 0, min(size, l.n))
	for id := range l.all {
		if page = append(page, id); len(page) < size {
			continue
		}
		if err := yield(page); err != nil {
			return err
		}
		page = page[:0]
	}
	if len(page) == 0 {
		return nil
	}
	return yield(page)
}

// all yields the IDs in order.
func (l *IDs) all(yield func(event.ID) bool) {
	id := event.ID{}
	for _, rest := range l.blocks[:l.used] {
		for len(rest) > 0 {
			ms, n := binary.Uvarint(rest)
			seq, m := binary.Uvarint(rest[n:])
			rest = rest[n+m:]
			if id = (event.ID{MS: id.MS + ms, Seq: seq}); !yield(id) {
				return
			}
		}
	}
}
