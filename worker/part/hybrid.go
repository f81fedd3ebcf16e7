package part

import (
	"encoding/binary"
	"fmt"
)

// The RLE / bit-packing hybrid carries definition levels, repetition levels
// and dictionary indexes: runs of one number, and groups of eight packed
// numbers, each behind a header whose lowest bit tells which it is.

// shortestRun is the length from which a run of equal numbers is cheaper
// than packing them.
const shortestRun = 8

// appendHybrid appends numbers of that width in the hybrid encoding.
func appendHybrid[T uint8 | uint32](dst []byte, numbers []T, width uint) []byte {
	packed := 0 // numbers[packed:i] wait to be packed
	for i := 0; i < len(numbers); {
		run := runLength(numbers[i:])
		fill := (8 - (i-packed)%8) % 8 // packed groups are full before a run begins
		if run-fill < shortestRun {
			i += run
			continue
		}
		dst = appendPacked(dst, numbers[packed:i+fill], width)
		dst = appendRun(dst, numbers[i], run-fill, width)
		i += run
		packed = i
	}
	return appendPacked(dst, numbers[packed:], width)
}

func runLength[T uint8 | uint32](numbers []T) int {
	n := 1
	for n < len(numbers) && numbers[n] == numbers[0] {
		n++
	}
	return n
}

func appendRun[T uint8 | uint32](dst []byte, v T, count int, width uint) []byte {
	dst = binary.AppendUvarint(dst, uint64(count)<<1)
	for n := uint(0); n < width; n += 8 {
		dst = append(dst, byte(uint32(v)>>n))
	}
	return dst
}

// appendPacked packs numbers in groups of eight, the last one filled up with zeros.
func appendPacked[T uint8 | uint32](dst []byte, numbers []T, width uint) []byte {
	if len(numbers) == 0 {
		return dst
	}
	groups := (len(numbers) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	p := bitPacker{dst: dst}
	for _, v := range numbers {
		p.put(uint64(v), width)
	}
	for range groups*8 - len(numbers) {
		p.put(0, width)
	}
	return p.finish()
}

// hybridReader yields the numbers of a hybrid encoding one by one, so that a
// run that claims to be long costs no memory.
type hybridReader struct {
	data   []byte // what follows the current run
	width  uint
	value  uint32 // of the current run
	packed []byte // of the current packed groups; nil in a run
	at     int    // next number in packed
	left   uint64 // numbers left in the run or the groups
}

func (h *hybridReader) next() (uint32, error) {
	if h.left == 0 {
		if err := h.header(); err != nil {
			return 0, err
		}
	}
	h.left--
	if h.packed == nil {
		return h.value, nil
	}
	v := unpack(h.packed, h.at, h.width)
	h.at++
	return uint32(v), nil
}

// header begins the next run or group.
func (h *hybridReader) header() error {
	head, rest, err := cutUvarint(h.data)
	if err != nil {
		return err
	}
	if head>>1 == 0 {
		return fmt.Errorf("a run of length 0")
	}
	if head&1 == 1 {
		return h.startPacked(head>>1, rest)
	}
	return h.startRun(head>>1, rest)
}

// startPacked checks the claimed length before it multiplies it, so that no
// claim overflows.
func (h *hybridReader) startPacked(groups uint64, rest []byte) error {
	if groups > uint64(len(rest))+1 || groups*uint64(h.width) > uint64(len(rest)) {
		return errTruncated
	}
	n := groups * uint64(h.width) // eight numbers of width bits are width bytes
	h.packed, h.data = rest[:n:n], rest[n:]
	h.at, h.left = 0, groups*8
	return nil
}

func (h *hybridReader) startRun(count uint64, rest []byte) error {
	n := int(h.width+7) / 8
	if len(rest) < n {
		return errTruncated
	}
	v := loadWord(rest[:n])
	if widthOf(v) > h.width {
		return fmt.Errorf("a run of %d, which has more than %d bits", v, h.width)
	}
	h.value, h.packed, h.data, h.left = uint32(v), nil, rest[n:], count
	return nil
}
