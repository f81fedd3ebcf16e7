package simulate

import (
	"strconv"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// sequenceField is the second field that Options.Sequence adds.
var sequenceField = []byte("seq")

// batch is what goes into one pipeline. Its memory is used again and again:
// slices into the arena stay valid when it grows, until the next reset.
type batch struct {
	arena     []byte
	additions []stream.Addition
	reasons   []event.Reason // of additions, one to one
}

func (b *batch) reset() {
	b.arena, b.additions, b.reasons = b.arena[:0], b.additions[:0], b.reasons[:0]
}

func (b *batch) full() bool {
	return len(b.additions) >= maxBatch || len(b.arena) >= maxBatchBytes
}

func (b *batch) add(kind event.Kind, id event.ID, fields [][]byte, reason event.Reason) {
	b.additions = append(b.additions, stream.Addition{Kind: kind, ID: id, Fields: fields})
	b.reasons = append(b.reasons, reason)
}

// number appends a sequence field to the last addition.
func (b *batch) number(n int64) {
	start := len(b.arena)
	b.arena = strconv.AppendInt(b.arena, n, 10)
	last := &b.additions[len(b.additions)-1]
	last.Fields = append(last.Fields, sequenceField, b.arena[start:len(b.arena):len(b.arena)])
}

// settle counts the additions whose ID is not zero as added and keeps the
// others, in order. It returns how many were added.
func (b *batch) settle(ids []event.ID, t *tally) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept := 0
	for i, id := range ids {
		if !id.IsZero() {
			t.added(b.additions[i], b.reasons[i], id)
			continue
		}
		b.additions[kept], b.reasons[kept] = b.additions[i], b.reasons[i]
		kept++
	}
	b.additions, b.reasons = b.additions[:kept], b.reasons[:kept]
	return len(ids) - kept
}
