package simulate

import (
	"bytes"
	"context"

	"datawriter/worker/event"
	"datawriter/worker/stream"
)

// lookUp finds the entries of b that already are in their streams, with the
// same fields under the same ID, and counts those as added.
func (s *sender) lookUp(ctx context.Context, b *batch) error {
	ids := make([]event.ID, len(b.additions))
	for kind := range s.top {
		if err := s.lookUpKind(ctx, b.additions, ids, event.Kind(kind)); err != nil {
			return err
		}
	}
	s.remember(b, ids)
	b.settle(ids, s.tally)
	return nil
}

// lookUpKind sets the IDs of those additions of one kind that are in its stream.
func (s *sender) lookUpKind(ctx context.Context, additions []stream.Addition, ids []event.ID, kind event.Kind) error {
	var own []int // indices, their IDs ascending
	for i := range additions {
		if additions[i].Kind == kind {
			own = append(own, i)
		}
	}
	if len(own) == 0 {
		return nil
	}
	from, to := additions[own[0]].ID, after(additions[own[len(own)-1]].ID)
	var page stream.Page
	for {
		if err := s.client.Stream(kind).Range(ctx, &page, from, to, maxBatch); err != nil {
			return err
		}
		for i := range page.Entries {
			entry := &page.Entries[i]
			for len(own) > 0 && additions[own[0]].ID.Compare(entry.ID) < 0 {
				own = own[1:]
			}
			if len(own) > 0 && additions[own[0]].ID == entry.ID && same(additions[own[0]].Fields, entry.Fields) {
				ids[own[0]] = entry.ID
			}
		}
		if len(page.Entries) < maxBatch {
			return nil
		}
		from = after(page.Entries[len(page.Entries)-1].ID)
	}
}

func same(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// after returns the next ID. Sequences of a spread stay far from overflow.
func after(id event.ID) event.ID { return event.ID{MS: id.MS, Seq: id.Seq + 1} }

// raise lifts IDs that their stream has passed: Redis refused an entry and then
// took the next one, so the first can only come behind it. The IDs stay
// ascending and within the window, because the one passed was.
func (s *sender) raise(b *batch) {
	if !s.explicit {
		return
	}
	top := s.top
	for i := range b.additions {
		a := &b.additions[i]
		if a.ID.Compare(top[a.Kind]) <= 0 {
			a.ID = after(top[a.Kind])
		}
		top[a.Kind] = a.ID
	}
}

// remember keeps the last ID that each stream is known to have.
func (s *sender) remember(b *batch, ids []event.ID) {
	for i, id := range ids {
		if kind := b.additions[i].Kind; id.Compare(s.top[kind]) > 0 {
			s.top[kind] = id
		}
	}
}
