package ingest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errCBOR = errors.New("a frame is not readable")

// decodeCBOR reads one value of DAG-CBOR and returns what follows it. Maps are
// map[string]any, numbers int64; byte strings, whose content nobody here looks
// at, are slices of the text.
func decodeCBOR(text []byte) (value any, rest []byte, err error) {
	if len(text) == 0 {
		return nil, nil, errCBOR
	}
	major, n, rest, err := cborHead(text)
	if err != nil {
		return nil, nil, err
	}
	switch major {
	case 0:
		return int64(n), rest, nil
	case 1:
		return -1 - int64(n), rest, nil
	case 2, 3:
		if n > uint64(len(rest)) {
			return nil, nil, errCBOR
		}
		if major == 2 {
			return rest[:n], rest[n:], nil
		}
		return string(rest[:n]), rest[n:], nil
	case 4:
		return cborArray(n, rest)
	case 5:
		return cborMap(n, rest)
	case 6: // a tag, here always that of a link
		return decodeCBOR(rest)
	}
	return n == 21, rest, nil // true, false, null
}

func cborHead(text []byte) (major byte, n uint64, rest []byte, err error) {
	major, low, rest := text[0]>>5, text[0]&31, text[1:]
	if low < 24 {
		return major, uint64(low), rest, nil
	}
	size := 1 << (low - 24)
	if low > 27 || size > len(rest) {
		return 0, 0, nil, errCBOR
	}
	var wide [8]byte
	copy(wide[8-size:], rest)
	return major, binary.BigEndian.Uint64(wide[:]), rest[size:], nil
}

func cborArray(n uint64, rest []byte) (any, []byte, error) {
	var values []any
	for range n {
		value, after, err := decodeCBOR(rest)
		if err != nil {
			return nil, nil, err
		}
		values, rest = append(values, value), after
	}
	return values, rest, nil
}

func cborMap(n uint64, rest []byte) (any, []byte, error) {
	values := make(map[string]any)
	for range n {
		key, after, err := decodeCBOR(rest)
		if err != nil {
			return nil, nil, err
		}
		name, isText := key.(string)
		if !isText {
			return nil, nil, fmt.Errorf("%w: a key is no text", errCBOR)
		}
		if values[name], rest, err = decodeCBOR(after); err != nil {
			return nil, nil, err
		}
	}
	return values, rest, nil
}
