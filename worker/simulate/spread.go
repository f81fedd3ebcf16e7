package simulate

import (
	"math/bits"
	"time"

	"datawriter/worker/event"
	"datawriter/worker/window"
)

// spread places a known number of entries evenly over a window: the first at
// its start, the last before its end, IDs ascending in every stream.
type spread struct {
	startUS  int64
	lengthUS uint64
	total    uint64
	placed   uint64
	last     [len(recipes)]event.ID
}

func newSpread(w window.Window, total int64) *spread {
	return &spread{
		startUS:  w.Start.UnixMicro(),
		lengthUS: uint64(w.Length / time.Microsecond),
		total:    uint64(total),
	}
}

// next returns the moment of the next entry, in microseconds. At most total
// entries have a place.
func (s *spread) next() int64 {
	high, low := bits.Mul64(s.placed, s.lengthUS)
	offset, _ := bits.Div64(high, low, s.total)
	s.placed = min(s.placed+1, s.total-1)
	return s.startUS + int64(offset)
}

// id returns the ID of an entry at that moment: the first free one of its
// millisecond in the kind's stream.
func (s *spread) id(kind event.Kind, us int64) event.ID {
	id := event.ID{MS: uint64(us / 1000)}
	if last := s.last[kind]; last.MS == id.MS {
		id.Seq = last.Seq + 1
	}
	s.last[kind] = id
	return id
}
