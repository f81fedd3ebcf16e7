package account

import (
	"cmp"
	"slices"
)

// rebuild computes the base from the footers, when the state is lost. Each says
// how many entries had been added when it was read; of those, some are in files
// that were read by then, some were still to be filed, and the base never is. So
// the smallest difference is the base, or more by what was waiting at that moment:
// a loss may be missed, but none is invented.
//
// Only the present server's footers count from where it counts; without one of
// them the next balance decides.
func rebuild(parts []Part, runID string) (base int64) {
	var same []Part
	filed := int64(0) // from other servers
	for _, p := range parts {
		if p.RunID == runID && p.Added >= 0 {
			same = append(same, p)
		} else {
			filed += p.Entries
		}
	}
	if len(same) == 0 {
		return 0
	}
	slices.SortFunc(same, func(a, b Part) int { return cmp.Compare(a.Added, b.Added) })
	base = same[0].Added
	for i, p := range same {
		filed += p.Entries
		if i+1 == len(same) || same[i+1].Added > p.Added {
			base = min(base, p.Added-filed)
		}
	}
	return base
}
