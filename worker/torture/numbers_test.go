package torture

import (
	"encoding/json"
	"slices"

	"datawriter/worker/account"
	"datawriter/worker/event"
	"datawriter/worker/verify"
	"datawriter/worker/window"
)

// checkNumbers is invariant 10 where producers number what they add: each number
// that Redis took and lost is told, and no other. Two more windows are drained
// for that, since a gap is judged a window late.
func (s *schedule) checkNumbers(win window.Window) {
	for range 2 {
		s.catchUp()
		s.now = win.StartMS()
		for _, k := range event.Kinds() {
			if acked, err := s.producer.send([]addition{{k, s.id(k), s.producer.fields(k)}}); acked != 1 {
				fail("redis refused the last entry of %s: %w", k, err)
			}
		}
		s.drain(exitDrained, win)
		win = win.Next()
	}
	book := account.OpenBook(s.state)
	for _, k := range event.Kinds() {
		state := must(book.Read(k.String(), s.stream(k)))
		lost := s.gaps(k, state.Numbers.Seen[0].From)
		if told, back := state.Lost[account.Skipped], s.returned(k); told < lost || told > lost+back {
			fail("%d numbers of %s were lost, %d more for a while, and datawriter tells of %d: %+v", lost, k, back, told, state)
		}
		if len(state.Pending) > 0 {
			fail("losses of %s were not told: %+v", k, state.Pending)
		}
		s.skipped += int(lost)
	}
}

// returned returns how many entries of a kind were lost and came back: a run in
// between has told of them.
func (w *world) returned(kind event.Kind) (n int64) {
	filed := w.filed()
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	for i, e := range w.journal.entries {
		if _, kept := filed[i]; i.kind == kind && (e.returned || e.excused && kept) {
			n++
		}
	}
	return n
}

// gaps returns how many numbers of a kind are missing between those in files, from
// the first that the account has seen.
func (w *world) gaps(kind event.Kind, first int64) (missing int64) {
	var filed []int64
	w.journal.mu.Lock()
	numbers := make(map[identity]int64)
	for i, e := range w.journal.entries {
		numbers[i] = e.number
	}
	w.journal.mu.Unlock()
	for i := range w.filed() {
		if i.kind == kind && numbers[i] >= first {
			filed = append(filed, numbers[i])
		}
	}
	slices.Sort(filed)
	for n := 1; n < len(filed); n++ {
		missing += max(0, filed[n]-filed[n-1]-1)
	}
	return missing
}

// verified asks the program itself whether every promise is kept. Where a stream
// was deleted or evicted it says so for ever, by the counts in footers.
func (w *world) verified() {
	out, code := w.output("verify", "--data", w.data, "--state-dir", w.state, "--redis-url", w.url, "--output", "json")
	var report verify.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		fail("datawriter verify: exit %d, and %w\n%s", code, err, out)
	}
	for _, v := range report.Violations {
		if v.Check != "counter" || !w.wiped {
			fail("datawriter verify: %+v", v)
		}
	}
	if len(report.Violations) == 0 && code != exitDrained {
		fail("datawriter verify: exit %d\n%s", code, out)
	}
}

func atLeast(what string, got, want int) {
	if got < want {
		fail("%s: %d, want at least %d", what, got, want)
	}
}
