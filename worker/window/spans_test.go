package window_test

import (
	"slices"
	"testing"

	"datawriter/worker/window"
)

func TestASetWithoutASpan(t *testing.T) {
	set := window.Spans{{10, 20}, {30, 40}}
	for name, c := range map[string]struct {
		out  window.Span
		want window.Spans
	}{
		"that lies between":      {window.Span{From: 20, To: 30}, set},
		"in the middle of one":   {window.Span{From: 12, To: 15}, window.Spans{{10, 12}, {15, 20}, {30, 40}}},
		"at the beginning":       {window.Span{From: 0, To: 15}, window.Spans{{15, 20}, {30, 40}}},
		"that covers one":        {window.Span{From: 5, To: 25}, window.Spans{{30, 40}}},
		"across both":            {window.Span{From: 15, To: 35}, window.Spans{{10, 15}, {35, 40}}},
		"up to the end of times": {window.Span{From: 15, To: 1<<64 - 1}, window.Spans{{10, 15}}},
	} {
		if got := set.Without(c.out); !slices.Equal(got, c.want) {
			t.Errorf("without one %s: %v, want %v", name, got, c.want)
		}
	}
	for ms, want := range map[uint64]uint64{9: 0, 10: 20, 19: 20, 20: 0, 35: 40, 40: 0} {
		if end, ok := set.EndOf(ms); end != want || ok != (want > 0) {
			t.Errorf("the span of %d ends at %d, %t, want %d", ms, end, ok, want)
		}
	}
}

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
