package part

import (
	"encoding/binary"
	"fmt"
)

// DELTA_BINARY_PACKED: a first number, then blocks of differences. A block
// holds its smallest difference and, per miniblock, what each difference is
// above it, packed as narrow as the miniblock allows. Sums and differences
// wrap around, as the format says, so every 64-bit number survives.
const (
	deltaBlock     = 128 // differences per block; what every known writer uses
	deltaMinis     = 4
	deltaMiniBlock = deltaBlock / deltaMinis
)

// appendDelta appends numbers, at least one, in DELTA_BINARY_PACKED.
func appendDelta(dst []byte, numbers []int64) []byte {
	dst = binary.AppendUvarint(dst, deltaBlock)
	dst = binary.AppendUvarint(dst, deltaMinis)
	dst = binary.AppendUvarint(dst, uint64(len(numbers)))
	dst = binary.AppendVarint(dst, numbers[0])
	var deltas [deltaBlock]int64
	for i := 1; i < len(numbers); {
		n := min(deltaBlock, len(numbers)-i)
		for k := range n {
			deltas[k] = numbers[i+k] - numbers[i+k-1]
		}
		dst = appendDeltaBlock(dst, deltas[:n])
		i += n
	}
	return dst
}

func appendDeltaBlock(dst []byte, deltas []int64) []byte {
	least := deltas[0]
	for _, d := range deltas[1:] {
		least = min(least, d)
	}
	dst = binary.AppendVarint(dst, least)
	widths := len(dst)
	dst = append(dst, 0, 0, 0, 0) // one per miniblock; those without a number stay 0
	for m := 0; m*deltaMiniBlock < len(deltas); m++ {
		mini := deltas[m*deltaMiniBlock : min((m+1)*deltaMiniBlock, len(deltas))]
		width := deltaWidth(mini, least)
		dst[widths+m] = byte(width)
		dst = appendMiniBlock(dst, mini, least, width)
	}
	return dst
}

func deltaWidth(mini []int64, least int64) uint {
	var all uint64
	for _, d := range mini {
		all |= uint64(d - least)
	}
	return widthOf(all)
}

// appendMiniBlock packs a miniblock; a partial one is filled up with zeros.
func appendMiniBlock(dst []byte, mini []int64, least int64, width uint) []byte {
	if width == 0 {
		return dst
	}
	p := bitPacker{dst: dst}
	for _, d := range mini {
		p.put(uint64(d-least), width)
	}
	for range deltaMiniBlock - len(mini) {
		p.put(0, width)
	}
	return p.finish()
}

// deltaReader yields the numbers of a DELTA_BINARY_PACKED sequence.
type deltaReader struct {
	data   []byte // what follows the current miniblock
	left   uint64 // numbers not yet yielded
	first  bool   // the next number is the first: it stands in the header
	value  int64  // the number before the next one
	least  int64
	widths []byte // of the block's miniblocks that are still to come
	mini   []byte // packed differences of the current miniblock
	width  uint
	at     int // next difference in mini; deltaMiniBlock when it is used up
}

// newDeltaReader reads the header of the sequence at the front of data.
func newDeltaReader(data []byte) (d deltaReader, err error) {
	var header [3]uint64
	for i := range header {
		if header[i], data, err = cutUvarint(data); err != nil {
			return d, err
		}
	}
	if header[0] != deltaBlock || header[1] != deltaMinis {
		return d, fmt.Errorf("delta blocks of %d numbers in %d miniblocks, not %d in %d", header[0], header[1], deltaBlock, deltaMinis)
	}
	first, data, err := cutVarint(data)
	return deltaReader{data: data, left: header[2], first: true, value: first, at: deltaMiniBlock}, err
}

func (d *deltaReader) next() (int64, error) {
	if d.left == 0 {
		return 0, errTruncated
	}
	d.left--
	if d.first {
		d.first = false
		return d.value, nil
	}
	if d.at == deltaMiniBlock {
		if err := d.startMiniBlock(); err != nil {
			return 0, err
		}
	}
	d.value += d.least + int64(unpack(d.mini, d.at, d.width))
	d.at++
	return d.value, nil
}

// startMiniBlock begins the next miniblock. Each takes at least a byte of
// the block's header, so the data bounds how many numbers can be claimed.
func (d *deltaReader) startMiniBlock() error {
	if len(d.widths) == 0 {
		if err := d.startBlock(); err != nil {
			return err
		}
	}
	d.width, d.widths, d.at = uint(d.widths[0]), d.widths[1:], 0
	n := packedBytes(deltaMiniBlock, d.width)
	if d.width > 64 || len(d.data) < n {
		return errTruncated
	}
	d.mini, d.data = d.data[:n:n], d.data[n:]
	return nil
}

func (d *deltaReader) startBlock() (err error) {
	if d.least, d.data, err = cutVarint(d.data); err != nil {
		return err
	}
	if len(d.data) < deltaMinis {
		return errTruncated
	}
	d.widths, d.data = d.data[:deltaMinis], d.data[deltaMinis:]
	return nil
}

// skip passes over the numbers not yet yielded and returns what follows the sequence.
func (d *deltaReader) skip() (rest []byte, err error) {
	for d.left > 0 {
		if _, err := d.next(); err != nil {
			return nil, err
		}
	}
	return d.data, nil
}
