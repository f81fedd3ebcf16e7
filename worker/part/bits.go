package part

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

var errTruncated = errors.New("the bytes end too early")

// bitPacker appends numbers of a fixed width, least significant bit first,
// which is how every packed encoding of Parquet lays them out.
type bitPacker struct {
	dst   []byte
	word  uint64
	taken uint // bits of word in use, below 64
}

func (p *bitPacker) put(v uint64, width uint) {
	p.word |= v << p.taken
	p.taken += width
	if p.taken < 64 {
		return
	}
	p.dst = binary.LittleEndian.AppendUint64(p.dst, p.word)
	p.taken -= 64
	p.word = v >> (width - p.taken)
}

// finish appends the bits of the last, partial word, filled up to a byte.
func (p *bitPacker) finish() []byte {
	for ; p.taken > 0; p.taken -= min(p.taken, 8) {
		p.dst = append(p.dst, byte(p.word))
		p.word >>= 8
	}
	return p.dst
}

// unpack returns number i of those of that width packed in data. The caller
// has made sure that data is long enough.
func unpack(data []byte, i int, width uint) uint64 {
	if width == 0 {
		return 0
	}
	at := uint64(i) * uint64(width)
	first, shift := int(at/8), uint(at%8)
	v := loadWord(data[first:]) >> shift
	if shift+width > 64 {
		v |= uint64(data[first+8]) << (64 - shift)
	}
	if width == 64 {
		return v
	}
	return v & (1<<width - 1)
}

// loadWord reads up to eight bytes, little-endian; the end of a page is
// rarely a whole word.
func loadWord(data []byte) uint64 {
	if len(data) >= 8 {
		return binary.LittleEndian.Uint64(data)
	}
	var word [8]byte
	copy(word[:], data)
	return binary.LittleEndian.Uint64(word[:])
}

func packedBytes(count int, width uint) int { return (count*int(width) + 7) / 8 }

func widthOf(v uint64) uint { return uint(bits.Len64(v)) }

// cutUvarint reads a variable-length number from the front of data.
func cutUvarint(data []byte) (v uint64, rest []byte, err error) {
	v, n := binary.Uvarint(data)
	if n <= 0 {
		return 0, nil, errTruncated
	}
	return v, data[n:], nil
}

// cutVarint reads a zigzag variable-length number from the front of data.
func cutVarint(data []byte) (v int64, rest []byte, err error) {
	v, n := binary.Varint(data)
	if n <= 0 {
		return 0, nil, errTruncated
	}
	return v, data[n:], nil
}
