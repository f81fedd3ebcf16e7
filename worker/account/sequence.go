package account

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// String writes the ranges as "1-18 20-40".
func (q *Sequence) String() string {
	texts := make([]string, len(q.Seen))
	for i, r := range q.Seen {
		texts[i] = fmt.Sprintf("%d-%d", r.From, r.To)
	}
	return strings.Join(texts, " ")
}

// ParseRanges is the inverse of String.
func ParseRanges(text string) (ranges []Range, err error) {
	for one := range strings.FieldsSeq(text) {
		from, to, _ := strings.Cut(one, "-")
		a, errA := strconv.ParseInt(from, 10, 64)
		b, errB := strconv.ParseInt(to, 10, 64)
		if errA != nil || errB != nil || a < 1 || b < a {
			return nil, fmt.Errorf("%q is no range of numbers", one)
		}
		ranges = append(ranges, Range{a, b})
	}
	return ranges, nil
}

// judge returns how many numbers are missing below what was the largest one a
// window ago, and closes those gaps. The delay is for numbers that overtook others
// on their way to Redis. Before it tells of a gap it asks the files: a run that was
// killed may have published what it could not note here.
func (q *Sequence) judge(files Files) (missing int64, err error) {
	if len(q.Seen) == 0 {
		return 0, nil
	}
	if q.gap() {
		if err := q.ask(files); err != nil {
			return 0, err
		}
	}
	for q.gap() {
		missing += q.Seen[1].From - q.Seen[0].To - 1
		q.Seen[1].From = q.Seen[0].From
		q.Seen = q.Seen[1:]
	}
	q.High = q.Seen[len(q.Seen)-1].To
	return missing, nil
}

// close takes every gap so far for none.
func (q *Sequence) close() {
	if last := len(q.Seen) - 1; last > 0 {
		q.Seen = []Range{{q.Seen[0].From, q.Seen[last].To}}
	}
}

// gap reports whether numbers are missing that should have come by now.
func (q *Sequence) gap() bool { return len(q.Seen) > 1 && q.Seen[1].From <= q.High }

// ask adds the numbers of files. Those below the first that was ever noted stay
// out: what is missing there may have been told by an account that is lost.
func (q *Sequence) ask(files Files) error {
	parts, err := files()
	first := q.Seen[0].From
	for _, p := range parts {
		for _, r := range p.Numbers {
			if r.To >= first {
				q.Merge([]Range{{max(r.From, first), r.To}})
			}
		}
	}
	return err
}
