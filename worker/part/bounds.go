package part

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"datawriter/worker/event"

	"github.com/xitongsys/parquet-go/parquet"
)

const (
	// statBytes is the longest string that statistics of a chunk carry: they
	// must be exact, so a longer one is left out.
	statBytes = 256
	// boundBytes is where strings are cut before they are compared: what is
	// longer than statBytes counts as long, whatever follows.
	boundBytes = statBytes + 1
	// indexBytes is the longest bound in a column index, where bounds may be
	// cut. 64 bytes are what parquet-mr and arrow-rs allow themselves.
	indexBytes = 64
)

func cut(v []byte) []byte { return v[:min(len(v), boundBytes)] }

// bounds are the smallest and the greatest value of a page or a chunk, both
// nil when it has none.
type bounds struct{ low, high []byte }

// compare orders two values as the column's TYPE_ORDER does: numbers signed,
// strings by their bytes, unsigned.
func (l *leaf) compare(a, b []byte) int {
	if l.isText() {
		return bytes.Compare(a, b)
	}
	x, y := int64(binary.LittleEndian.Uint64(a)), int64(binary.LittleEndian.Uint64(b))
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// widen makes b cover other as well.
func (b *bounds) widen(l *leaf, other bounds) {
	if b.low == nil || l.compare(other.low, b.low) < 0 {
		b.low = other.low
	}
	if b.high == nil || l.compare(other.high, b.high) > 0 {
		b.high = other.high
	}
}

// statistics returns the chunk's statistics: the null count always, the
// bounds where they are exact.
func (b bounds) statistics(nulls int64) *parquet.Statistics {
	s := &parquet.Statistics{NullCount: &nulls}
	if b.low != nil && len(b.low) <= statBytes {
		s.MinValue = b.low
	}
	if b.high != nil && len(b.high) <= statBytes {
		s.MaxValue = b.high
	}
	return s
}

// forIndex returns bounds short enough for a column index; ok is false when
// the greatest value has no short upper bound.
func (b bounds) forIndex(typ event.Type) (short bounds, ok bool) {
	text := typ == event.String || typ == event.StringList
	if text && (!validPrefix(b.low) || !validPrefix(b.high)) {
		return bounds{}, false
	}
	short = bounds{low: shortPrefix(b.low, text), high: b.high}
	if len(b.high) > indexBytes {
		short.high = increment(bytes.Clone(shortPrefix(b.high, text)), text)
	}
	return short, short.high != nil
}

// validPrefix reports whether v is UTF-8, save that cut may have split its
// last character.
func validPrefix(v []byte) bool {
	if len(v) == boundBytes {
		v = wholeRunes(v)
	}
	return utf8.Valid(v)
}

// wholeRunes drops the beginning of a character that v ends with, if any.
func wholeRunes(v []byte) []byte {
	for i := 1; i <= min(len(v), utf8.UTFMax); i++ {
		if utf8.RuneStart(v[len(v)-i]) {
			if !utf8.FullRune(v[len(v)-i:]) {
				return v[:len(v)-i]
			}
			break
		}
	}
	return v
}

// shortPrefix returns at most indexBytes of v, for text whole characters.
func shortPrefix(v []byte, text bool) []byte {
	if len(v) <= indexBytes {
		return v
	}
	if text {
		return wholeRunes(v[:indexBytes])
	}
	return v[:indexBytes]
}

// increment turns v into the shortest string that is greater than every
// string that begins with v, or returns nil when there is none. Text stays
// UTF-8.
func increment(v []byte, text bool) []byte {
	for len(v) > 0 {
		if !text {
			if last := len(v) - 1; v[last] < 0xFF {
				v[last]++
				return v
			}
			v = v[:len(v)-1]
			continue
		}
		r, n := utf8.DecodeLastRune(v)
		v = v[:len(v)-n]
		if next, ok := nextRune(r); ok {
			return utf8.AppendRune(v, next)
		}
	}
	return nil
}

// nextRune returns the character after r; the surrogates are none.
func nextRune(r rune) (rune, bool) {
	switch r {
	case utf8.MaxRune:
		return 0, false
	case 0xD7FF:
		return 0xE000, true
	}
	return r + 1, true
}

// boundaryOrder says how the bounds of the pages that have values are ordered.
func boundaryOrder(l *leaf, pages []bounds) parquet.BoundaryOrder {
	up, down := true, true
	for i := 1; i < len(pages); i++ {
		low, high := l.compare(pages[i-1].low, pages[i].low), l.compare(pages[i-1].high, pages[i].high)
		up = up && low <= 0 && high <= 0
		down = down && low >= 0 && high >= 0
	}
	switch {
	case up:
		return parquet.BoundaryOrder_ASCENDING
	case down:
		return parquet.BoundaryOrder_DESCENDING
	}
	return parquet.BoundaryOrder_UNORDERED
}
