package part

import (
	"bytes"
	"hash/maphash"
)

// dictionary numbers the distinct strings of a column chunk in the order in
// which they come.
type dictionary struct {
	values byteArrays
	slots  []slot // open addressing; a power of two long
	seed   maphash.Seed
}

// slot is half of a value's hash above 1 + its number; 0 is free. With the hash
// at hand most comparisons and all rehashing skip the bytes.
type slot uint64

func newSlot(hash uint32, number int) slot { return slot(hash)<<32 | slot(number+1) }

func (s slot) hash() uint32   { return uint32(s >> 32) }
func (s slot) number() uint32 { return uint32(s) - 1 }

const firstSlots = 1024

func newDictionary() *dictionary {
	return &dictionary{slots: make([]slot, firstSlots), seed: maphash.MakeSeed()}
}

// size returns the bytes of the values in PLAIN: those of the dictionary page.
func (d *dictionary) size() int { return len(d.values.bytes) + 4*len(d.values.ends) }

// held returns the bytes of memory that the values take: themselves, and per
// value an end and two to four slots. An empty dictionary counts as
// nothing, so that a row group is never full before its first row.
func (d *dictionary) held() int { return len(d.values.bytes) + (8+4*8)*len(d.values.ends) }

func (d *dictionary) reset() {
	d.values.reset()
	clear(d.slots)
}

// number returns the number of v, which it adds when it is new.
func (d *dictionary) number(v []byte) uint32 {
	hash := uint32(maphash.Bytes(d.seed, v))
	at := d.find(hash, v)
	if s := d.slots[at]; s != 0 {
		return s.number()
	}
	n := len(d.values.ends)
	d.values.add(v)
	d.slots[at] = newSlot(hash, n)
	if 2*len(d.values.ends) > len(d.slots) {
		d.grow()
	}
	return uint32(n)
}

// find returns the place of v's slot, or of the free one where it belongs.
func (d *dictionary) find(hash uint32, v []byte) uint32 {
	mask := uint32(len(d.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		s := d.slots[at]
		if s == 0 || s.hash() == hash && bytes.Equal(d.values.at(int(s.number())), v) {
			return at
		}
	}
}

func (d *dictionary) grow() {
	old := d.slots
	d.slots = make([]slot, 2*len(old))
	mask := uint32(len(d.slots) - 1)
	for _, s := range old {
		if s == 0 {
			continue
		}
		at := s.hash() & mask
		for d.slots[at] != 0 {
			at = (at + 1) & mask
		}
		d.slots[at] = s
	}
}
