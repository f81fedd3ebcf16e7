package event

import (
	"fmt"
	"strings"
)

// Kind is one of the five Bluesky record kinds that the archive keeps. Its
// value is an index into Kinds.
type Kind uint8

// The kinds, in the order in which tables and documents list them.
const (
	Posts Kind = iota
	Likes
	Reposts
	Follows
	Blocks
)

// kindSpec is everything that distinguishes one kind from another.
type kindSpec struct {
	name       string
	collection string // AT Protocol NSID of the record type
	columns    []Column[Row]

	// decodeField reads the value of the record's member d.key, which is none
	// of those that every kind has ($type, createdAt), into row or d.unknown.
	decodeField func(d *Decoder, row *Row)
	// appendFields appends what decodeField reads, in the order of the names.
	appendFields func(dst []byte, row *Row) []byte
}

// specs is the table of kinds: a new kind is one line here and one file.
var specs = [...]kindSpec{
	Posts:   postSpec,
	Likes:   likeSpec,
	Reposts: repostSpec,
	Follows: followSpec,
	Blocks:  blockSpec,
}

// Kinds lists every kind, in table order.
func Kinds() []Kind {
	kinds := make([]Kind, len(specs))
	for i := range specs {
		kinds[i] = Kind(i)
	}
	return kinds
}

// String returns the kind's name as it stands in stream names and file paths: "posts".
func (k Kind) String() string { return specs[k].name }

// Collection returns the AT Protocol collection of the kind's records: "app.bsky.feed.post".
func (k Kind) Collection() string { return specs[k].collection }

// MarshalText returns the kind's name, so that JSON documents carry "posts".
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (k *Kind) UnmarshalText(text []byte) error {
	parsed, err := ParseKind(string(text))
	if err == nil {
		*k = parsed
	}
	return err
}

// ParseKind returns the kind of that name.
func ParseKind(name string) (Kind, error) {
	for i := range specs {
		if specs[i].name == name {
			return Kind(i), nil
		}
	}
	return 0, fmt.Errorf("kind %q is unknown: use one of %s", name, kindNames())
}

func kindNames() string {
	names := make([]string, len(specs))
	for i := range specs {
		names[i] = specs[i].name
	}
	return strings.Join(names, ", ")
}

// KindOfCollection returns the kind whose records live in that collection.
func KindOfCollection(collection string) (Kind, bool) {
	for i := range specs {
		if specs[i].collection == collection {
			return Kind(i), true
		}
	}
	return 0, false
}
