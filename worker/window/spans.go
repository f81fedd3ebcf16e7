package window

import (
	"cmp"
	"slices"
)

// Span is the half-open interval [From, To) in milliseconds since 1970, the
// time of entry IDs.
type Span struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Span returns the window's interval in milliseconds.
func (w Window) Span() Span { return Span{w.StartMS(), w.EndMS()} }

// Spans is a set of instants: spans that ascend and do not touch each other.
// The zero value is empty.
type Spans []Span

// MaxSpans bounds a set. Where Union would exceed it, the oldest spans grow
// together: the set then holds more than was put in, never less.
const MaxSpans = 1000

// Union returns the set with more spans in it, which may overlap and have any
// order; empty ones add nothing. The receiver stays as it is.
func (s Spans) Union(more ...Span) Spans {
	all := slices.DeleteFunc(slices.Concat(s, more), func(x Span) bool { return x.From >= x.To })
	slices.SortFunc(all, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	merged := all[:0]
	for _, x := range all {
		if last := len(merged) - 1; last >= 0 && x.From <= merged[last].To {
			merged[last].To = max(merged[last].To, x.To)
			continue
		}
		merged = append(merged, x)
	}
	if beyond := len(merged) - MaxSpans; beyond > 0 {
		merged[beyond].From = merged[0].From
		merged = merged[beyond:]
	}
	return merged
}

// Overlaps reports whether any instant of x is in the set.
func (s Spans) Overlaps(x Span) bool {
	return slices.ContainsFunc(s, func(of Span) bool { return of.From < x.To && x.From < of.To })
}

// Without returns the set less a span. The receiver stays as it is.
func (s Spans) Without(x Span) (rest Spans) {
	for _, of := range s {
		for _, left := range []Span{{of.From, min(of.To, x.From)}, {max(of.From, x.To), of.To}} {
			if left.From < left.To {
				rest = append(rest, left)
			}
		}
	}
	return rest
}

// EndOf returns the end of the span in which an instant lies; ok is false when it
// lies in none.
func (s Spans) EndOf(ms uint64) (end uint64, ok bool) {
	for _, of := range s {
		if of.From <= ms && ms < of.To {
			return of.To, true
		}
	}
	return 0, false
}
