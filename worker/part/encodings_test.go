package part

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
)

// The fuzz targets compare every encoder with the plain sequence it encodes,
// and feed every decoder with bytes that nobody encoded.

func FuzzHybrid(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add([]byte{1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1}, uint8(1))
	f.Add(bytes.Repeat([]byte{3}, 100), uint8(2))
	f.Add(append([]byte{1, 2, 3}, bytes.Repeat([]byte{9}, 30)...), uint8(20))
	f.Fuzz(func(t *testing.T, raw []byte, width uint8) {
		w := uint(width%32) + 1
		numbers := make([]uint32, len(raw))
		for i, b := range raw {
			numbers[i] = uint32(uint64(b) * 0x01010101 & (1<<w - 1))
		}
		h := hybridReader{data: appendHybrid(nil, numbers, w), width: w}
		for i, want := range numbers {
			if got, err := h.next(); err != nil || got != want {
				t.Fatalf("number %d is %d, %v; want %d", i, got, err, want)
			}
		}
		drainHybrid(hybridReader{data: raw, width: w})
	})
}

func drainHybrid(h hybridReader) {
	for range 10_000 {
		if _, err := h.next(); err != nil {
			return
		}
	}
}

func FuzzDelta(f *testing.F) {
	for _, numbers := range [][]int64{
		{0}, {math.MinInt64, math.MaxInt64, math.MinInt64}, {1, 2, 3, 4}, slices.Repeat([]int64{7}, 300), {-1, 5, math.MaxInt64, 0},
	} {
		f.Add(appendInts(nil, numbers))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if d, err := newDeltaReader(raw); err == nil {
			_, _ = d.skip()
		}
		numbers := cutInts(raw)
		if len(numbers) == 0 {
			return
		}
		d, err := newDeltaReader(append(appendDelta(nil, numbers), "rest"...))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range numbers {
			if got, err := d.next(); err != nil || got != want {
				t.Fatalf("number %d is %d, %v; want %d", i, got, err, want)
			}
		}
		if rest, err := d.skip(); err != nil || string(rest) != "rest" {
			t.Fatalf("behind the numbers is %q, %v", rest, err)
		}
	})
}

func appendInts(dst []byte, numbers []int64) []byte {
	for _, n := range numbers {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(n))
	}
	return dst
}

func cutInts(raw []byte) (numbers []int64) {
	for ; len(raw) >= 8; raw = raw[8:] {
		numbers = append(numbers, int64(binary.LittleEndian.Uint64(raw)))
	}
	return numbers
}

func FuzzByteArrays(f *testing.F) {
	f.Add([]byte("did:plc:aaaa,did:plc:aabb,did:plc:aabb,,x"))
	f.Add([]byte{})
	f.Add([]byte("\x00,\xff\xff,abcdefghijklmnop,abcdefghijklmnoq"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		values := bytes.Split(raw, []byte(","))
		var arrays byteArrays
		dict, numbers := newDictionary(), make([]uint32, 0, len(values))
		for _, v := range values {
			arrays.add(v)
			numbers = append(numbers, dict.number(v))
		}
		sameTexts(t, &plainTexts{data: arrays.appendPlain(nil)}, values)
		delta, err := newDeltaTexts(arrays.appendDeltaArrays(nil, &deltaScratch{}))
		if err != nil {
			t.Fatal(err)
		}
		sameTexts(t, delta, values)
		indexed, err := newIndexedTexts(appendHybrid([]byte{31}, numbers, 31), &dict.values)
		if err != nil {
			t.Fatal(err)
		}
		sameTexts(t, indexed, values)
		drainTexts(raw, &dict.values)
	})
}

func sameTexts(t *testing.T, r textReader, values [][]byte) {
	t.Helper()
	for i, want := range values {
		if got, err := r.next(); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%T: value %d is %q, %v; want %q", r, i, got, err, want)
		}
	}
	if _, isDictionary := r.(*indexedTexts); isDictionary {
		return // the last group of indexes is filled up
	}
	if v, err := r.next(); err == nil {
		t.Fatalf("%T: %q behind the last value", r, v)
	}
}

// drainTexts reads raw as every encoding of strings.
func drainTexts(raw []byte, dictionary *byteArrays) {
	readers := []textReader{&plainTexts{data: raw}}
	if d, err := newDeltaTexts(raw); err == nil {
		readers = append(readers, d)
	}
	if d, err := newIndexedTexts(raw, dictionary); err == nil {
		readers = append(readers, d)
	}
	for _, r := range readers {
		for range 10_000 {
			if _, err := r.next(); err != nil {
				break
			}
		}
	}
}

func TestDictionaryNumbersEachValueOnce(t *testing.T) {
	d, known := newDictionary(), map[string]uint32{}
	for i := range 50_000 {
		v := fmt.Sprintf("value %d", i*i%7919)
		want, ok := known[v]
		if !ok {
			want = uint32(len(known))
			known[v] = want
		}
		if got := d.number([]byte(v)); got != want {
			t.Fatalf("%q has number %d, want %d", v, got, want)
		}
	}
	d.reset()
	if n := d.number([]byte("value 4")); n != 0 || d.size() != len("value 4")+4 {
		t.Errorf("after a reset the first value has number %d, and the size is %d", n, d.size())
	}
}

func TestDeltaIsShortWhereItPays(t *testing.T) {
	ascending := make([]int64, 1000)
	for i := range ascending {
		ascending[i] = sampleStart + int64(i)*3
	}
	if n := len(appendDelta(nil, ascending)); n > 100 {
		t.Errorf("1000 even steps take %d bytes", n)
	}
}
