package torture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"datawriter/worker/fault"
)

// tallies counts over all cases of a test run: how often each fault was tried,
// how often it is proven to have happened, and what else is worth a number.
type tallies struct {
	mu    sync.Mutex
	tried map[string]int
	fired map[string]int
	other map[string]int
}

var happened = tallies{tried: map[string]int{}, fired: map[string]int{}, other: map[string]int{}}

// fault notes that a fault was tried, and whether it happened.
func (t *tallies) fault(what string, happened bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tried[what]++
	if happened {
		t.fired[what]++
	}
}

func (t *tallies) add(what string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.other[what] += n
}

// never returns the faults of a list that did not happen once.
func (t *tallies) never(names []string) (never []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		if t.fired[name] == 0 {
			never = append(never, name)
		}
	}
	return never
}

func (t *tallies) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	text.WriteString("    fired    tried\n")
	for _, what := range slices.Sorted(maps.Keys(t.tried)) {
		fmt.Fprintf(&text, "%9d%9d %s\n", t.fired[what], t.tried[what], what)
	}
	for _, what := range slices.Sorted(maps.Keys(t.other)) {
		fmt.Fprintf(&text, "%9d          %s\n", t.other[what], what)
	}
	return text.String()
}

// atPoint names a fault spec in the tallies, without its count.
func atPoint(spec string) string {
	at, action, _ := strings.Cut(spec, "=")
	point, _, _ := strings.Cut(at, "#")
	return action + " at " + point
}

// expected lists what so many random schedules must have seen: every trouble
// where there are a few, every point with every action where there are many.
func expected(seeds, failovers int) (names []string) {
	if seeds >= 20 {
		for _, t := range troubles {
			if !t.rare {
				names = append(names, t.name)
			}
		}
		names = append(names, randomKill, pastLease, terminated, otherLength, idleKill)
	}
	if failovers > 0 {
		names = append(names, takenOver)
	}
	if failovers >= 10 {
		names = append(names, takenOverBehind, takenOverAlive)
	}
	if seeds >= 500 {
		for _, p := range fault.Points() {
			names = append(names, atPoint(string(p)+"=kill"), atPoint(string(p)+"=stop"))
			if isFileStep(p) {
				names = append(names, atPoint(string(p)+"=EIO"), atPoint(string(p)+"=ENOSPC"))
			}
		}
	}
	return names
}
