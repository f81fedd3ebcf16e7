package window_test

import (
	"slices"
	"testing"

	"datawriter/worker/window"
)

func TestASetOfSpans(t *testing.T) {
	for name, c := range map[string]struct {
		add, want window.Spans
	}{
		"nothing in it":                    {nil, window.Spans{}},
		"one span":                         {window.Spans{{5, 10}}, window.Spans{{5, 10}}},
		"a span that continues another":    {window.Spans{{5, 10}, {10, 15}}, window.Spans{{5, 15}}},
		"a span that comes before another": {window.Spans{{10, 15}, {5, 10}}, window.Spans{{5, 15}}},
		"a gap between two":                {window.Spans{{0, 5}, {10, 15}}, window.Spans{{0, 5}, {10, 15}}},
		"a gap that is filled":             {window.Spans{{0, 5}, {10, 15}, {5, 10}}, window.Spans{{0, 15}}},
		"one that lies in another":         {window.Spans{{0, 50}, {10, 15}}, window.Spans{{0, 50}}},
		"one that overlaps two":            {window.Spans{{0, 5}, {10, 15}, {3, 12}}, window.Spans{{0, 15}}},
		"the same one twice":               {window.Spans{{5, 10}, {5, 10}}, window.Spans{{5, 10}}},
		"an empty one":                     {window.Spans{{5, 5}, {7, 6}}, window.Spans{}},
	} {
		var at, whole window.Spans
		for _, x := range c.add {
			at = at.Union(x)
		}
		if whole = whole.Union(c.add...); !slices.Equal(at, c.want) || !slices.Equal(whole, c.want) {
			t.Errorf("%s: one by one %v, at once %v, want %v", name, at, whole, c.want)
		}
	}
}

func TestASetThatGrowsTooLargeHoldsMoreAndNeverLess(t *testing.T) {
	var set window.Spans
	for i := range uint64(window.MaxSpans + 5) {
		set = set.Union(window.Span{From: 10 * i, To: 10*i + 5})
	}
	if len(set) != window.MaxSpans {
		t.Fatalf("%d spans, want %d", len(set), window.MaxSpans)
	}
	for i := range uint64(window.MaxSpans + 5) {
		if !set.Overlaps(window.Span{From: 10*i + 4, To: 10*i + 5}) {
			t.Fatalf("span %d is not in the set", i)
		}
	}
	if young := uint64(10 * (window.MaxSpans + 3)); set.Overlaps(window.Span{From: young + 5, To: young + 10}) {
		t.Error("young spans grew together, want the oldest")
	}
}

func TestASpanOverlapsASet(t *testing.T) {
	set := window.Spans{{10, 20}, {30, 40}}
	for x, want := range map[window.Span]bool{
		{0, 10}: false, {0, 11}: true, {12, 13}: true, {19, 21}: true, {20, 30}: false, {25, 50}: true, {40, 50}: false,
	} {
		if set.Overlaps(x) != want {
			t.Errorf("%v in %v: %v", x, set, !want)
		}
	}
}
