package part

import (
	"bytes"
	"hash/maphash"
)

// dictionary numbers the distinct strings of a column chunk in the order in
// which they come.
type dictionary struct {
	values byteArrays
	hashes []uint32 // of each value, so that most comparisons and all rehashing skip the bytes
	slots  []uint32 // open addressing: 1 + a value's number, 0 is free; a power of two long
	seed   maphash.Seed
}

const firstSlots = 1024

func newDictionary() *dictionary {
	return &dictionary{slots: make([]uint32, firstSlots), seed: maphash.MakeSeed()}
}

// size returns the bytes of the values in PLAIN: those of the dictionary page.
func (d *dictionary) size() int { return len(d.values.bytes) + 4*len(d.values.ends) }

// held returns the bytes of memory that the values take: themselves, and per
// value an end, a hash and two to four slots. An empty dictionary counts as
// nothing, so that a row group is never full before its first row.
func (d *dictionary) held() int { return len(d.values.bytes) + (8+4+4*4)*len(d.values.ends) }

func (d *dictionary) reset() {
	d.values.reset()
	d.hashes = d.hashes[:0]
	clear(d.slots)
}

// number returns the number of v, which it adds when it is new.
func (d *dictionary) number(v []byte) uint32 {
	hash := uint32(maphash.Bytes(d.seed, v))
	slot := d.find(hash, v)
	if n := d.slots[slot]; n != 0 {
		return n - 1
	}
	d.values.add(v)
	d.hashes = append(d.hashes, hash)
	d.slots[slot] = uint32(len(d.hashes))
	if len(d.hashes)*2 > len(d.slots) {
		d.grow()
	}
	return uint32(len(d.hashes) - 1)
}

// find returns the slot of v, or the free one where it belongs.
func (d *dictionary) find(hash uint32, v []byte) uint32 {
	mask := uint32(len(d.slots) - 1)
	for slot := hash & mask; ; slot = (slot + 1) & mask {
		n := d.slots[slot]
		if n == 0 || d.hashes[n-1] == hash && bytes.Equal(d.values.at(int(n-1)), v) {
			return slot
		}
	}
}

func (d *dictionary) grow() {
	d.slots = make([]uint32, 2*len(d.slots))
	mask := uint32(len(d.slots) - 1)
	for i, hash := range d.hashes {
		slot := hash & mask
		for d.slots[slot] != 0 {
			slot = (slot + 1) & mask
		}
		d.slots[slot] = uint32(i + 1)
	}
}
