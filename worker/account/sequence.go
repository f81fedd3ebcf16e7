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

// maxRanges bounds what is kept of the numbers: a stream that skips more often is not
// numbered in any sense.
const maxRanges = 1000

// manyGaps is how many gaps at once, with more missing in them than there is between
// them, are no losses, and how many numberings are none: what the producer calls seq
// counts something else, like the events of all streams together.
const manyGaps = 10

// forgotten is how many entries a server may have taken and lost together with its own
// count of them, so that no look has seen them: more than the network sends between
// two looks, a window apart, in five minutes at 300 a second.
const forgotten = 100_000

// Range is an interval of numbers, both ends included.
type Range struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

// size returns how many numbers the range has.
func (r Range) size() int64 { return r.To - r.From + 1 }

// Sequence is which numbers of a producer were seen. The zero value is empty.
//
// Producers are not believed. A loss is a gap in a numbering; but a number too far from
// the others to be one of theirs begins a numbering of its own.
type Sequence struct {
	Seen   []Range `json:"seen,omitempty"`   // ascending, with gaps between them
	Judged []Range `json:"judged,omitempty"` // what Seen was when gaps were last judged
	Starts []int64 `json:"starts,omitempty"` // of numberings: no loss lies before them
	Most   int64   `json:"most,omitempty"`   // entries ever added to the stream, at most

	Broken bool `json:"-"` // there were too many gaps: these are no numbers
}

// Add notes a number. Numbers that ascend cost nothing.
func (q *Sequence) Add(n int64) {
	last := len(q.Seen) - 1
	switch {
	case q.Broken:
	case last >= 0 && n-1 == q.Seen[last].To:
		q.Seen[last].To = n
	case last >= 0 && n <= q.Seen[last].To:
		q.insert(n)
	default:
		q.Seen = append(q.Seen, Range{n, n})
		q.bound()
	}
}

// insert notes a number that is not above all others.
func (q *Sequence) insert(n int64) {
	at, _ := slices.BinarySearchFunc(q.Seen, n, func(r Range, n int64) int { return cmp.Compare(r.To, n) })
	switch r := &q.Seen[at]; {
	case r.From <= n:
	case at > 0 && q.Seen[at-1].To == n-1 && r.From == n+1:
		r.From = q.Seen[at-1].From
		q.Seen = slices.Delete(q.Seen, at-1, at)
	case at > 0 && q.Seen[at-1].To == n-1:
		q.Seen[at-1].To = n
	case r.From == n+1:
		r.From = n
	default:
		q.Seen = slices.Insert(q.Seen, at, Range{n, n})
		q.bound()
	}
}

// Merge notes ranges of numbers; it can be repeated.
func (q *Sequence) Merge(ranges []Range) {
	all := append(slices.Clone(q.Seen), ranges...)
	slices.SortFunc(all, func(a, b Range) int { return cmp.Compare(a.From, b.From) })
	merged := all[:0]
	for _, r := range all {
		if last := len(merged) - 1; last >= 0 && r.From-1 <= merged[last].To {
			merged[last].To = max(merged[last].To, r.To)
			continue
		}
		merged = append(merged, r)
	}
	q.Seen = merged
	q.bound()
}

// Note notes the numbers of a window. A window without any sense in its numbers leaves
// none to compare the next ones with.
func (q *Sequence) Note(window *Sequence) {
	if window.Broken {
		*q = Sequence{Most: q.Most}
		return
	}
	q.Merge(window.Seen)
}

// bound forgets numbers that are none.
func (q *Sequence) bound() {
	if len(q.Seen) > maxRanges {
		*q = Sequence{Most: q.Most, Broken: true}
	}
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

// judge returns how many numbers are missing in gaps that have stood since the last
// judgement, and closes those gaps. The delay is for numbers that overtook others on
// their way to Redis, and for a second producer, which moves the edge of its gap. Before
// it tells of a gap it asks the files: a run that was killed may have published what it
// could not note here. added is how many entries the stream ever had, as far as known.
func (q *Sequence) judge(added int64, files Files) (missing int64, err error) {
	q.Most, q.Broken = max(q.Most, added), false
	q.separate()
	if q.gap() {
		if err := q.ask(files); err != nil {
			return 0, err
		}
		q.separate()
	}
	missing = q.close()
	q.Judged = slices.Clone(q.Seen)
	return missing, nil
}

// forgive takes every gap so far for none.
func (q *Sequence) forgive(added int64) {
	q.Most = max(q.Most, added)
	q.separate()
	var joined []Range
	for i, r := range q.Seen {
		if i == 0 || slices.Contains(q.Starts, r.From) {
			joined = append(joined, r)
		} else {
			joined[len(joined)-1].To = r.To
		}
	}
	q.Seen = joined
}

// separate finds the numbers at which numberings begin: behind a gap in which more
// would be missing than the stream can have had. A range longer than twice that is
// what an absurd number once made. Numbers that come below all others begin none: an
// older window that was drained later brings such, and what is missing behind them is
// a loss.
func (q *Sequence) separate() {
	most := q.Most + forgotten
	q.Seen = slices.DeleteFunc(q.Seen, func(r Range) bool { return r.To-r.From > 2*most })
	for i := range len(q.Seen) - 1 {
		below, above := q.Seen[i], q.Seen[i+1]
		if above.From-below.To-1 > most && !slices.Contains(q.Starts, above.From) {
			q.Starts = append(q.Starts, above.From)
		}
	}
	q.Starts = slices.DeleteFunc(q.Starts, func(n int64) bool {
		return !slices.ContainsFunc(q.Seen, func(r Range) bool { return r.From == n })
	})
}

// stands reports whether the gap behind the range at i is a loss: it was the same when
// gaps were last judged, and no numbering begins behind it.
func (q *Sequence) stands(i int) bool {
	below, above := q.Seen[i].To, q.Seen[i+1].From
	for j := range len(q.Judged) - 1 {
		if q.Judged[j].To == below && q.Judged[j+1].From == above {
			return !slices.Contains(q.Starts, above)
		}
	}
	return false
}

// gap reports whether numbers are missing that should have come by now.
func (q *Sequence) gap() bool {
	for i := range len(q.Seen) - 1 {
		if q.stands(i) {
			return true
		}
	}
	return false
}

// close joins the ranges around gaps that stand and returns how many numbers those
// lack. A numbering that began behind a jump is one only if it has more than it lacks.
func (q *Sequence) close() (missing int64) {
	var joined []Range
	gaps, above, has, jumped := 0, int64(0), int64(0), false
	for i, r := range q.Seen {
		if i == 0 || !q.stands(i-1) {
			if slices.Contains(q.Starts, r.From) || i == 0 {
				has, jumped = 0, i > 0
			}
			joined, has = append(joined, r), has+r.size()
			continue
		}
		last := &joined[len(joined)-1]
		lacks := r.From - last.To - 1
		if has, gaps, above = has+r.size(), gaps+1, above+r.size(); !jumped || lacks < has {
			missing += lacks
		}
		last.To = r.To
	}
	q.Seen = joined
	if len(q.Starts) >= manyGaps || gaps >= manyGaps && missing > above {
		*q = Sequence{Most: q.Most}
		return 0
	}
	return missing
}

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
