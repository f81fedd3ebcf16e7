package ledger_test

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"datawriter/worker/event"
	"datawriter/worker/ledger"
)

func id(ms, seq uint64) event.ID { return event.ID{MS: ms, Seq: seq} }

func TestAnEntryIsItsIDAndItsHash(t *testing.T) {
	var s ledger.Set
	s.Add(id(2, 0), 20)
	s.Add(id(1, 5), 15)
	s.Add(id(1, 5), 16) // another entry under the same ID
	for _, c := range []struct {
		id   event.ID
		hash uint64
		want bool
	}{
		{id(1, 5), 15, true},
		{id(1, 5), 16, true},
		{id(1, 5), 17, false},
		{id(2, 0), 20, true},
		{id(2, 0), 15, false},
		{id(1, 0), 15, false},
		{id(5, 1), 15, false},
		{event.ID{}, 0, false},
	} {
		if s.Has(c.id, c.hash) != c.want {
			t.Errorf("has %s with hash %d: %v, want %v", c.id, c.hash, !c.want, c.want)
		}
	}
}

func TestTheEmptySetHasNothing(t *testing.T) {
	var s ledger.Set
	if s.Has(id(1, 0), 1) || s.Len() != 0 {
		t.Error("the zero Set holds something")
	}
	s.Duplicates(func(id event.ID, _ uint64) { t.Errorf("%s is in the zero Set twice", id) })
}

// TestAnyOrderOfQuestionsGetsTheSameAnswers: the shortcut for ascending
// questions must not change an answer.
func TestAnyOrderOfQuestionsGetsTheSameAnswers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s ledger.Set
		want := make(map[event.ID]map[uint64]bool)
		for range rng.IntN(40) {
			i, hash := id(rng.Uint64N(6), rng.Uint64N(3)), rng.Uint64N(3)
			s.Add(i, hash)
			if want[i] == nil {
				want[i] = make(map[uint64]bool)
			}
			want[i][hash] = true
		}
		for range 100 {
			i, hash := id(rng.Uint64N(7), rng.Uint64N(4)), rng.Uint64N(4)
			if got := s.Has(i, hash); got != want[i][hash] {
				t.Fatalf("has %s with hash %d: %v", i, hash, got)
			}
		}
	}
}

func TestAscendingQuestionsAreAllAnswered(t *testing.T) {
	var s ledger.Set
	for i := range uint64(1000) {
		s.Add(id(999-i, 0), i)
	}
	for i := range uint64(1000) {
		if !s.Has(id(i, 0), 999-i) {
			t.Fatalf("%d is missing", i)
		}
		if s.Has(id(i, 0), i+5000) {
			t.Fatalf("%d is there with another hash", i)
		}
	}
}

func TestDuplicatesAreEveryFurtherOccurrence(t *testing.T) {
	var s ledger.Set
	for _, e := range []struct {
		id   event.ID
		hash uint64
	}{{id(3, 0), 1}, {id(1, 0), 1}, {id(3, 0), 1}, {id(2, 0), 1}, {id(2, 0), 2}, {id(3, 0), 1}} {
		s.Add(e.id, e.hash)
	}
	var got []event.ID
	s.Duplicates(func(id event.ID, _ uint64) { got = append(got, id) })
	if want := []event.ID{id(3, 0), id(3, 0)}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !s.Has(id(2, 0), 2) {
		t.Error("after Duplicates the set has forgotten an entry")
	}
}

func TestIDsComeBackInPages(t *testing.T) {
	given := []event.ID{id(0, 1), id(0, 2), id(1795428300000, 0), id(1795428300000, 1<<64-1), id(1795428300001, 0), id(1<<63, 7), id(1<<64-1, 1<<64-1)}
	for _, size := range []int{1, 2, 3, len(given), 100} {
		var l ledger.IDs
		for range 2 { // the second time in the memory of the first
			l.Reset()
			for _, i := range given {
				l.Append(i)
			}
			var got []event.ID
			err := l.Pages(size, func(page []event.ID) error {
				if len(page) == 0 || len(page) > size {
					t.Errorf("a page of %d, at most %d was asked for", len(page), size)
				}
				got = append(got, page...)
				return nil
			})
			if err != nil || !slices.Equal(got, given) || l.Len() != len(given) {
				t.Errorf("in pages of %d: %v (%v), want %v", size, got, err, given)
			}
		}
	}
}

func TestPagesEndWithAnError(t *testing.T) {
	var l ledger.IDs
	enough := errors.New("enough")
	if err := l.Pages(5, func([]event.ID) error { return enough }); err != nil {
		t.Errorf("an empty list yields a page: %v", err)
	}
	for i := range uint64(10) {
		l.Append(id(i, 0))
	}
	pages := 0
	err := l.Pages(3, func([]event.ID) error {
		if pages++; pages == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || pages != 2 {
		t.Errorf("it ended after %d pages with %v", pages, err)
	}
}

// TestAnIDTakesAFewBytes: a window of millions of entries is settled from memory.
func TestAnIDTakesAFewBytes(t *testing.T) {
	const entries = 100_000
	rng := rand.New(rand.NewPCG(3, 4))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var l ledger.IDs
	for at, i := uint64(1795428300000), 0; i < entries; i++ {
		at += rng.Uint64N(3)
		l.Append(id(at, rng.Uint64N(4)))
	}
	runtime.ReadMemStats(&after)
	if each := float64(after.TotalAlloc-before.TotalAlloc) / entries; each > 3 {
		t.Errorf("an ID takes %.1f bytes", each)
	}
	n := 0
	_ = l.Pages(999, func(page []event.ID) error { n += len(page); return nil })
	if n != entries {
		t.Errorf("%d of %d IDs came back", n, entries)
	}
}
