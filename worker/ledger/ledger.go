// Package ledger owns the Set: which entries of one (window, kind) the
// published parts already hold. It is what makes a rerun harmless.
//
// It knows nothing of files or of Redis: whoever reads the parts adds their
// entries. An entry is its ID and its hash, because after a rollback and a clock
// step another entry can have the same ID.
package ledger

import (
	"cmp"
	"slices"

	"datawriter/worker/event"
)

// Set is a set of entries. The zero Set is empty. Add everything first, then
// ask: Add after Has is not allowed. It is not safe for concurrent use.
type Set struct {
	entries []entry // 24 bytes each; sorted once asked
	sorted  bool
	at      int // where the last question was answered: questions come in ID order
}

type entry struct {
	id   event.ID
	hash uint64
}

func (a entry) compare(b entry) int {
	if c := a.id.Compare(b.id); c != 0 {
		return c
	}
	return cmp.Compare(a.hash, b.hash)
}

// Add puts an entry into the set.
func (s *Set) Add(id event.ID, hash uint64) {
	s.entries = append(s.entries, entry{id, hash})
	s.sorted = false
}

// Len returns how many entries were added.
func (s *Set) Len() int { return len(s.entries) }

// Has reports whether the entry is in the set. Questions in ascending order
// take constant time, any other order logarithmic.
func (s *Set) Has(id event.ID, hash uint64) bool {
	if len(s.entries) == 0 {
		return false
	}
	if !s.sorted {
		slices.SortFunc(s.entries, entry.compare)
		s.sorted, s.at = true, 0
	}
	want := entry{id, hash}
	if next := s.at + 1; next < len(s.entries) && s.entries[next].compare(want) == 0 {
		s.at = next
		return true
	}
	at, found := slices.BinarySearchFunc(s.entries, want, entry.compare)
	if found {
		s.at = at
	}
	return found
}

// Duplicates calls yield for every entry that was added more than once.
func (s *Set) Duplicates(yield func(id event.ID, hash uint64)) {
	slices.SortFunc(s.entries, entry.compare)
	s.sorted, s.at = true, 0
	for i := 1; i < len(s.entries); i++ {
		if s.entries[i] == s.entries[i-1] {
			yield(s.entries[i].id, s.entries[i].hash)
		}
	}
}
