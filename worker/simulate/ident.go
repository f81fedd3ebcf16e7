package simulate

// Identifiers are derived from numbers by hashing and never stored: the same
// author always has the same DID and the same post the same CID, so that
// repetitions in the events are as frequent as the authors and posts behind
// them, at no cost in memory.

const (
	// base32Lower is RFC 4648 base32 in lower case: DIDs of did:plc and CIDs.
	base32Lower = "abcdefghijklmnopqrstuvwxyz234567"
	// base32Sortable is the alphabet of TIDs, ascending in ASCII.
	base32Sortable = "234567abcdefghijklmnopqrstuvwxyz"

	didPrefix     = "did:plc:"
	recordCID     = "bafyrei" // multibase b, CIDv1, dag-cbor, sha2-256 of 32 bytes
	blobCID       = "bafkrei" // the same with codec raw
	charsPerWord  = 12        // 5 bits each, out of 64
	didChars      = 24
	cidFullChars  = 50 // digest characters of 5 bits between the first and the last
	tidChars      = 13
	tidClockBits  = 10
	commonClockID = 32 // servers use few clock IDs: almost every TID ends in "2" and one more character
)

// mix is the finalizer of splitmix64: every bit of the result depends on every
// bit of x.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// appendBase32 appends n characters drawn from the stream of words that x seeds.
func appendBase32(dst []byte, x uint64, n int) []byte {
	for n > 0 {
		x = mix(x)
		bits := x
		for range min(n, charsPerWord) {
			dst = append(dst, base32Lower[bits&31])
			bits >>= 5
		}
		n -= charsPerWord
	}
	return dst
}

// appendDID appends the did:plc of the author that x stands for.
func appendDID(dst []byte, x uint64) []byte {
	return appendBase32(append(dst, didPrefix...), x, didChars)
}

// appendCID appends a CID with a digest derived from x. The 256 bits of the
// digest are 3 in the first character (2 more belong to the prefix), 50 times
// 5, and 3 in the last, whose low 2 bits are padding.
func appendCID(dst []byte, prefix string, x uint64) []byte {
	edges := mix(^x)
	dst = append(dst, prefix...)
	dst = append(dst, base32Lower[edges&7])
	dst = appendBase32(dst, x, cidFullChars)
	return append(dst, base32Lower[edges>>3&7<<2])
}

// appendTID appends the timestamp identifier of a moment in microseconds and a
// clock ID below 1024.
func appendTID(dst []byte, us int64, clock uint64) []byte {
	n := uint64(us)<<tidClockBits | clock
	for shift := 5 * (tidChars - 1); shift >= 0; shift -= 5 {
		dst = append(dst, base32Sortable[n>>shift&31])
	}
	return dst
}
