package account

import (
	"slices"

	"datawriter/worker/window"
)

// Drained is which times of a kind this archive has drained: no entry of them
// is to be expected in Redis, so a part that is missing there was lost and is no
// window without entries. The same spans stand with the consumer group; the
// more cautious of the two counts.
type Drained struct {
	// Assumed is an instant in milliseconds: whatever came before may have been
	// drained. It is where the archive's newest part ended when this record began,
	// which is later than the archive itself when the program was older or the
	// state folder was lost.
	Assumed uint64 `json:"assumed"`
	// Proven is what was marked after its part was published durably.
	Proven window.Spans `json:"proven"`
	// Missing is what was drained and has no part any more, as runs have found it.
	// Whoever looks for it again finds out whether a part came back, or the hole was
	// accepted.
	Missing window.Spans `json:"missing"`
}

// BeginDrained starts the record, unless there is one. newest returns the end of the
// kind's newest published part in milliseconds, 0 when it has none. It must
// come before the first part is published under this record.
func (s *State) BeginDrained(newest func() (uint64, error)) error {
	if s.Drained != nil {
		return nil
	}
	end, err := newest()
	if err != nil {
		return err
	}
	s.Drained = &Drained{Assumed: end}
	return nil
}

// Mark notes that spans are drained. It can be repeated.
func (s *State) Mark(spans ...window.Span) {
	if s.Drained == nil {
		s.Drained = &Drained{}
	}
	s.Drained.Proven = s.Drained.Proven.Union(spans...)
}

// Miss sets what was drained and has no part any more. Where that differs from
// before, files came or went by other hands, so that the next balance counts them
// again and takes what differs for no loss of Redis.
func (s *State) Miss(missing window.Spans) {
	if s.Drained == nil {
		s.Drained = &Drained{}
	}
	if !slices.Equal(s.Drained.Missing, missing) {
		s.Drained.Missing, s.Recount = missing, true
	}
}

// MissingParts returns what Miss has set.
func (s *State) MissingParts() window.Spans {
	if s.Drained == nil {
		return nil
	}
	return s.Drained.Missing
}

// MayBeDrained returns all times of which the account cannot say that they were
// never drained.
func (s *State) MayBeDrained() window.Spans {
	if s.Drained == nil {
		return nil
	}
	return s.Drained.Proven.Union(window.Span{To: s.Drained.Assumed})
}

// IsDrained returns the times of which the account knows that they were drained.
func (s *State) IsDrained() window.Spans {
	if s.Drained == nil {
		return nil
	}
	return s.Drained.Proven
}
