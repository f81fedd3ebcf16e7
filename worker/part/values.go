package part

import (
	"encoding/binary"

	"github.com/xitongsys/parquet-go/parquet"
)

// pageValues holds the values, without nulls, of the page that a column is
// filling, and encodes them when the page is full.
type pageValues interface {
	// count returns how many values wait.
	count() int
	// held returns the bytes of memory in use.
	held() int
	// encode appends the values, at least one, to dst and says how.
	encode(dst []byte, s *deltaScratch) ([]byte, parquet.Encoding)
	// bounds returns the smallest and the greatest value, at least one waits.
	// Long strings are cut at boundBytes.
	bounds() (low, high []byte)
	// reset forgets the values.
	reset()
}

// intValues are the values of an INT64 column.
type intValues struct{ numbers []int64 }

func (v *intValues) count() int { return len(v.numbers) }
func (v *intValues) held() int  { return 8 * len(v.numbers) }
func (v *intValues) reset()     { v.numbers = v.numbers[:0] }

// encode chooses the shorter of DELTA_BINARY_PACKED, good for times and
// sequences, and PLAIN, good for hashes.
func (v *intValues) encode(dst []byte, _ *deltaScratch) ([]byte, parquet.Encoding) {
	start := len(dst)
	dst = appendDelta(dst, v.numbers)
	if len(dst)-start < 8*len(v.numbers) {
		return dst, parquet.Encoding_DELTA_BINARY_PACKED
	}
	dst = dst[:start]
	for _, n := range v.numbers {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(n))
	}
	return dst, parquet.Encoding_PLAIN
}

func (v *intValues) bounds() (low, high []byte) {
	least, greatest := v.numbers[0], v.numbers[0]
	for _, n := range v.numbers {
		least, greatest = min(least, n), max(greatest, n)
	}
	return binary.LittleEndian.AppendUint64(nil, uint64(least)), binary.LittleEndian.AppendUint64(nil, uint64(greatest))
}

// textValues are the values of a BYTE_ARRAY column. They begin each chunk as
// indexes into a dictionary and go on as themselves when that does not pay:
// at the end of the first page if the dictionary saved less than a quarter of it,
// later when the dictionary has grown past its limit.
type textValues struct {
	limit   int
	dict    *dictionary // nil when this chunk has none
	closed  bool        // the dictionary is full: the next pages go without
	used    bool        // pages of this chunk point into the dictionary
	unique  bool        // a page of many values repeated too little: no more dictionaries
	indexes []uint32    // the page's values in the dictionary
	plain   int         // bytes that the values behind indexes take in PLAIN
	arrays  byteArrays  // the page's values without dictionary
}

const (
	// manyValues is how many values show that a column does not repeat.
	manyValues = 1000
	// firstLook is how many values show that a column hardly ever repeats,
	// as hashes and keys: it need not be looked up to the end of the page.
	firstLook = 2000
)

func newTextValues(limit int) *textValues {
	v := &textValues{limit: limit}
	v.resetChunk()
	return v
}

// add returns the bytes of memory that the value takes.
func (v *textValues) add(value []byte) int {
	if v.dict == nil || v.closed {
		v.arrays.add(value)
		return len(value) + 8
	}
	before := v.dict.size()
	v.indexes = append(v.indexes, v.dict.number(value))
	v.plain += len(value) + 4
	cost := v.dict.size() - before + 4
	if len(v.indexes) == firstLook && !v.used && 200*v.dict.size() > 199*v.plain {
		v.abandon()
	}
	return cost
}

func (v *textValues) count() int { return len(v.indexes) + len(v.arrays.ends) }

func (v *textValues) held() int {
	n := 4*len(v.indexes) + len(v.arrays.bytes) + 8*len(v.arrays.ends)
	if v.dict != nil {
		n += v.dict.held()
	}
	return n
}

// full reports that the page should end here: it has that many bytes, or the
// dictionary has grown past its limit and the next page goes without.
func (v *textValues) full(pageBytes int) bool {
	return len(v.arrays.bytes) >= pageBytes || v.dict != nil && !v.closed && v.dict.size() > v.limit
}

func (v *textValues) at(i int) []byte {
	if len(v.indexes) > 0 {
		return v.dict.values.at(int(v.indexes[i]))
	}
	return v.arrays.at(i)
}

func (v *textValues) encode(dst []byte, s *deltaScratch) ([]byte, parquet.Encoding) {
	if len(v.indexes) > 0 && !v.used && 4*v.dict.size() > 3*v.plain {
		v.abandon()
	}
	if len(v.indexes) == 0 {
		return v.arrays.appendDeltaArrays(dst, s), parquet.Encoding_DELTA_BYTE_ARRAY
	}
	v.used = true
	v.closed = v.dict.size() > v.limit
	width := max(widthOf(uint64(len(v.dict.values.ends)-1)), 1)
	dst = append(dst, byte(width))
	return appendHybrid(dst, v.indexes, width), parquet.Encoding_RLE_DICTIONARY
}

// abandon turns the page's indexes into values and drops the dictionary. The
// values are less than 4/3 of the dictionary, or it would have paid.
func (v *textValues) abandon() {
	for _, i := range v.indexes {
		v.arrays.add(v.dict.values.at(int(i)))
	}
	v.unique = len(v.indexes) >= manyValues
	v.indexes, v.dict = nil, nil
}

func (v *textValues) bounds() (low, high []byte) {
	least, greatest := cut(v.at(0)), cut(v.at(0))
	for i := 1; i < v.count(); i++ {
		value := cut(v.at(i))
		if string(value) < string(least) {
			least = value
		} else if string(value) > string(greatest) {
			greatest = value
		}
	}
	return least, greatest
}

func (v *textValues) reset() {
	v.indexes, v.plain = v.indexes[:0], 0
	v.arrays.reset()
}

// resetChunk makes ready for the next chunk, whose dictionary begins empty.
func (v *textValues) resetChunk() {
	v.reset()
	v.used, v.closed = false, false
	switch {
	case v.unique:
		v.dict = nil
	case v.dict == nil || v.dict.size() > 2*v.limit: // one that a huge value has stretched is not kept
		v.dict = newDictionary()
	default:
		v.dict.reset()
	}
}
