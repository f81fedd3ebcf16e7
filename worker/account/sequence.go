package account

import (
	"cmp"
	"slices"
)

// Field is the optional second field of an entry, with which a producer numbers
// what it adds to a stream: 1, 2, 3 and so on. It proves a loss that no counter of
// Redis can show: a tail that Redis forgot together with its count.
const Field = "seq"

// maxRanges bounds the state file: a stream that skips more often is not numbered
// in any sense.
const maxRanges = 1000

// Range is an interval of numbers, both ends included.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// Sequence is which numbers of a producer were seen. The zero value is empty.
type Sequence struct {
	Seen []Range `json:"seen,omitempty"` // ascending, with gaps between them
	High int64   `json:"high,omitempty"` // the largest number when gaps were last judged
}

// Add notes a number. Numbers that ascend cost nothing.
func (q *Sequence) Add(n int64) {
	if last := len(q.Seen) - 1; last >= 0 && n == q.Seen[last].To+1 {
		q.Seen[last].To = n
		return
	}
	q.Merge([]Range{{n, n}})
}

// Merge notes ranges of numbers; it can be repeated.
func (q *Sequence) Merge(ranges []Range) {
	all := append(slices.Clone(q.Seen), ranges...)
	slices.SortFunc(all, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	merged := all[:0]
	for _, r := range all {
		if last := len(merged) - 1; last >= 0 && r.From <= merged[last].To+1 {
			merged[last].To = max(merged[last].To, r.To)
			continue
		}
		merged = append(merged, r)
	}
	q.Seen = merged[max(0, len(merged)-maxRanges):]
}

// judge returns how many numbers are missing below what was the largest one a
// window ago, and closes those gaps. The delay is for numbers that overtook others
// on their way to Redis.
func (q *Sequence) judge() (missing int64) {
	if len(q.Seen) == 0 {
		return 0
	}
	for len(q.Seen) > 1 && q.Seen[1].From <= q.High {
		missing += q.Seen[1].From - q.Seen[0].To - 1
		q.Seen[1].From = q.Seen[0].From
		q.Seen = q.Seen[1:]
	}
	q.High = q.Seen[len(q.Seen)-1].To
	return missing
}
