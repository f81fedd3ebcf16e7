package part

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"datawriter/worker/event"
)

func TestBoundsForIndex(t *testing.T) {
	a, wide := strings.Repeat("a", 64), "😀" // four bytes
	for _, c := range []struct {
		name      string
		typ       event.Type
		low, high string
		wantLow   string
		wantHigh  string
		none      bool
	}{
		{name: "short values stay", typ: event.String, low: "", high: "zz", wantLow: "", wantHigh: "zz"},
		{name: "64 bytes stay", typ: event.String, low: a, high: a, wantLow: a, wantHigh: a},
		{name: "a longer lower bound is cut", typ: event.String, low: a + "b", high: "b", wantLow: a, wantHigh: "b"},
		{name: "a longer upper bound is cut and incremented", typ: event.String, low: "", high: a + "b", wantHigh: a[1:] + "b"},
		{name: "a character is not split", typ: event.String, low: a[:62] + wide, high: a[:62] + wide, wantLow: a[:62], wantHigh: a[:61] + "b"},
		{name: "the increment leaps over the surrogates", typ: event.String, low: "", high: a[:61] + "\uD7FF" + "x", wantHigh: a[:61] + "\uE000"},
		{name: "the last character of all is passed over", typ: event.String, low: "", high: a[:60] + "\U0010FFFF" + "x", wantHigh: a[:59] + "b"},
		{name: "nothing stands above the last character of all", typ: event.String, low: "", high: strings.Repeat("\U0010FFFF", 17), none: true},
		{name: "bytes that are not UTF-8 have no text bounds", typ: event.String, low: "\xff", high: "\xff", none: true},
		{name: "binary is incremented by bytes", typ: event.BinaryList, low: "\xff", high: a[:63] + "\xff\xff", wantLow: "\xff", wantHigh: a[:62] + "b"},
		{name: "nothing stands above 64 bytes of FF", typ: event.BinaryList, low: "", high: strings.Repeat("\xff", 65), none: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := bounds{low: []byte(c.low), high: []byte(c.high)}.forIndex(c.typ)
			if ok == c.none {
				t.Fatalf("ok is %t", ok)
			}
			if ok && (string(got.low) != c.wantLow || string(got.high) != c.wantHigh) {
				t.Errorf("bounds are %q and %q, want %q and %q", got.low, got.high, c.wantLow, c.wantHigh)
			}
		})
	}
}

func FuzzBoundsForIndex(f *testing.F) {
	f.Add([]byte("abc"), []byte(strings.Repeat("é😀", 60)), true)
	f.Add([]byte(strings.Repeat("\U0010FFFF", 80)), []byte(strings.Repeat("\xff", 300)), false)
	f.Fuzz(func(t *testing.T, low, high []byte, text bool) {
		typ := event.BinaryList
		if text {
			typ = event.String
		}
		if bytes.Compare(low, high) > 0 {
			low, high = high, low
		}
		short, ok := bounds{low: cut(low), high: cut(high)}.forIndex(typ)
		if !ok {
			return
		}
		if bytes.Compare(short.low, low) > 0 || bytes.Compare(short.high, high) < 0 {
			t.Errorf("%q..%q does not cover %q..%q", short.low, short.high, low, high)
		}
		if text && (!utf8.Valid(short.low) || !utf8.Valid(short.high)) {
			t.Errorf("%q..%q is not UTF-8", short.low, short.high)
		}
		// the next character may be wider than the one it replaces
		if most := indexBytes + utf8.UTFMax - 1; len(short.low) > indexBytes || len(short.high) > most {
			t.Errorf("%q..%q is longer than %d bytes", short.low, short.high, most)
		}
	})
}

func TestStatisticsLeaveLongValuesOut(t *testing.T) {
	long := bytes.Repeat([]byte("a"), statBytes+1)
	s := bounds{low: long[:statBytes], high: cut(long)}.statistics(3)
	if !bytes.Equal(s.MinValue, long[:statBytes]) || s.IsSetMaxValue() || s.GetNullCount() != 3 {
		t.Errorf("statistics are %+v", s)
	}
	if s := (bounds{}).statistics(1); s.IsSetMinValue() || s.IsSetMaxValue() {
		t.Errorf("no values have bounds: %+v", s)
	}
}
