package event

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// FieldName is the one field of a stream entry that holds the event.
const FieldName = "event"

// MaxEventBytes is the largest event that becomes a row; a larger one is
// rejected as ReasonTooLarge. An AT Protocol record holds at most 1 MiB of
// CBOR, whose JSON stays well below this.
const MaxEventBytes = 4 << 20

// ID is a Redis Stream entry ID: milliseconds of Unix time and a sequence.
// IDs are ordered by Compare.
type ID struct {
	MS  uint64
	Seq uint64
}

// Compare returns -1, 0 or +1 as id stands before, at or after other.
func (id ID) Compare(other ID) int {
	switch {
	case id.MS < other.MS, id.MS == other.MS && id.Seq < other.Seq:
		return -1
	case id == other:
		return 0
	}
	return 1
}

// IsZero reports whether id is 0-0, which no entry can have.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the ID as Redis writes it: "1783175888218-0".
func (id ID) String() string { return string(id.Append(nil)) }

// Append appends the ID as Redis writes it.
func (id ID) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, id.MS, 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, id.Seq, 10)
}

// MarshalText returns String, so that JSON documents carry it.
func (id ID) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// UnmarshalText is the inverse of MarshalText.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}

// ParseID parses "MS-SEQ".
func ParseID(s string) (ID, error) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok {
		return ID{}, fmt.Errorf("entry ID %q is not of the form MILLISECONDS-SEQUENCE", s)
	}
	m, err := strconv.ParseUint(ms, 10, 64)
	if err != nil {
		return ID{}, fmt.Errorf("entry ID %q: %w", s, err)
	}
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return ID{}, fmt.Errorf("entry ID %q: %w", s, err)
	}
	return ID{MS: m, Seq: n}, nil
}

// Entry is one stream entry. Its byte slices belong to whoever read it and
// are valid as long as the reader says.
type Entry struct {
	ID     ID
	Fields [][]byte // names and values in turn, exactly as Redis held them
}

// Event returns the value of the entry's one event field; ok is false when
// there is none, or more than one.
func (e *Entry) Event() (event []byte, ok bool) {
	for i := 0; i+1 < len(e.Fields); i += 2 {
		if string(e.Fields[i]) != FieldName {
			continue
		}
		if ok {
			return nil, false
		}
		event, ok = e.Fields[i+1], true
	}
	return event, ok
}

// Hash returns xxHash64 (seed 0) of the event field's bytes, or of all names
// and values in order when there is not exactly one event field. With the ID
// it is an entry's identity (schema.md: entry_hash, there as a signed number).
func (e *Entry) Hash() uint64 {
	if event, ok := e.Event(); ok {
		return xxhash.Sum64(event)
	}
	var d xxhash.Digest
	d.Reset()
	for _, f := range e.Fields {
		_, _ = d.Write(f) // never fails
	}
	return d.Sum64()
}
