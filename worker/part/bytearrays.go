package part

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// byteArrays is a sequence of byte strings in one buffer.
type byteArrays struct {
	bytes []byte
	ends  []int // where each string ends in bytes
}

func (a *byteArrays) add(v []byte) {
	a.bytes = append(a.bytes, v...)
	a.ends = append(a.ends, len(a.bytes))
}

func (a *byteArrays) at(i int) []byte {
	start := 0
	if i > 0 {
		start = a.ends[i-1]
	}
	return a.bytes[start:a.ends[i]:a.ends[i]]
}

func (a *byteArrays) reset() { a.bytes, a.ends = a.bytes[:0], a.ends[:0] }

// appendPlain appends the strings in PLAIN: a four-byte length before each.
func (a *byteArrays) appendPlain(dst []byte) []byte {
	for i := range a.ends {
		v := a.at(i)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(v)))
		dst = append(dst, v...)
	}
	return dst
}

// deltaScratch is space that appendDeltaArrays uses and leaves behind.
type deltaScratch struct{ prefixes, suffixes []int64 }

// appendDeltaArrays appends the strings, at least one, in DELTA_BYTE_ARRAY:
// how much each shares with the one before it, how long the rest is, and the
// rests. DIDs, record keys and CIDs begin alike, and with the lengths out of
// the way the rest compresses to its entropy.
func (a *byteArrays) appendDeltaArrays(dst []byte, s *deltaScratch) []byte {
	s.prefixes, s.suffixes = s.prefixes[:0], s.suffixes[:0]
	var previous []byte
	for i := range a.ends {
		v := a.at(i)
		n := commonPrefix(previous, v)
		s.prefixes = append(s.prefixes, int64(n))
		s.suffixes = append(s.suffixes, int64(len(v)-n))
		previous = v
	}
	dst = appendDelta(dst, s.prefixes)
	dst = appendDelta(dst, s.suffixes)
	for i := range a.ends {
		dst = append(dst, a.at(i)[s.prefixes[i]:]...)
	}
	return dst
}

func commonPrefix(a, b []byte) int {
	n, i := min(len(a), len(b)), 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// textReader yields the byte strings of a page one by one; each is valid
// until the next.
type textReader interface {
	next() ([]byte, error)
}

// plainTexts reads PLAIN.
type plainTexts struct{ data []byte }

func (p *plainTexts) next() ([]byte, error) {
	if len(p.data) < 4 {
		return nil, errTruncated
	}
	n, rest := uint64(binary.LittleEndian.Uint32(p.data)), p.data[4:]
	if n > uint64(len(rest)) {
		return nil, errTruncated
	}
	p.data = rest[n:]
	return rest[:n:n], nil
}

// deltaTexts reads DELTA_BYTE_ARRAY.
type deltaTexts struct {
	prefixes, suffixes deltaReader
	data               []byte
	value              []byte // the string before the next one
}

func newDeltaTexts(data []byte) (*deltaTexts, error) {
	prefixes, err := newDeltaReader(data)
	if err != nil {
		return nil, fmt.Errorf("prefix lengths: %w", err)
	}
	ahead := prefixes
	if data, err = ahead.skip(); err != nil {
		return nil, fmt.Errorf("prefix lengths: %w", err)
	}
	suffixes, err := newDeltaReader(data)
	if err != nil {
		return nil, fmt.Errorf("suffix lengths: %w", err)
	}
	ahead = suffixes
	if data, err = ahead.skip(); err != nil {
		return nil, fmt.Errorf("suffix lengths: %w", err)
	}
	return &deltaTexts{prefixes: prefixes, suffixes: suffixes, data: data, value: []byte{}}, nil
}

func (d *deltaTexts) next() ([]byte, error) {
	prefix, err := d.prefixes.next()
	if err != nil {
		return nil, err
	}
	suffix, err := d.suffixes.next()
	if err != nil {
		return nil, err
	}
	if prefix < 0 || prefix > int64(len(d.value)) || suffix < 0 || suffix > int64(len(d.data)) {
		return nil, errors.New("a string reaches beyond its page")
	}
	d.value = append(d.value[:prefix], d.data[:suffix]...)
	d.data = d.data[suffix:]
	return d.value, nil
}

// indexedTexts reads RLE_DICTIONARY: indexes into a dictionary page.
type indexedTexts struct {
	dictionary *byteArrays
	indexes    hybridReader
}

func newIndexedTexts(data []byte, dictionary *byteArrays) (*indexedTexts, error) {
	if len(data) == 0 {
		return nil, errTruncated
	}
	width := uint(data[0])
	if width > 32 {
		return nil, fmt.Errorf("dictionary indexes of %d bits", width)
	}
	return &indexedTexts{dictionary: dictionary, indexes: hybridReader{data: data[1:], width: width}}, nil
}

func (t *indexedTexts) next() ([]byte, error) {
	i, err := t.indexes.next()
	if err != nil {
		return nil, err
	}
	if uint64(i) >= uint64(len(t.dictionary.ends)) {
		return nil, fmt.Errorf("index %d into a dictionary of %d", i, len(t.dictionary.ends))
	}
	return t.dictionary.at(int(i)), nil
}
