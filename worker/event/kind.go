package event

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is one of the five Bluesky record kinds that the archive keeps, or one
// of the raw kinds that it keeps beside them on request. Its value is an index
// into AllKinds.
type Kind uint8

// The kinds, in the order in which tables and documents list them.
const (
	Posts Kind = iota
	Likes
	Reposts
	Follows
	Blocks

	// The raw kinds: events of Jetstream that hold no record. Their rows hold the
	// event as it came.
	Identity
	Account
)

// firstRaw is where the raw kinds begin.
const firstRaw = Identity

// kindSpec is everything that distinguishes one kind from another.
type kindSpec struct {
	name       string
	collection string // AT Protocol NSID of the record type; a raw kind has none
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

	Identity: rawSpec("identity"),
	Account:  rawSpec("account"),
}

// Kinds lists the five kinds that every archive has, in table order.
func Kinds() []Kind { return AllKinds()[:firstRaw] }

// RawKinds lists the kinds that are kept on request, as they came.
func RawKinds() []Kind { return AllKinds()[firstRaw:] }

// AllKinds lists every kind, the raw ones last.
func AllKinds() []Kind {
	kinds := make([]Kind, len(specs))
	for i := range specs {
		kinds[i] = Kind(i)
	}
	return kinds
}

// IsRaw reports whether rows of the kind hold the event as it came.
func (k Kind) IsRaw() bool { return k >= firstRaw }

// String returns the kind's name as it stands in stream names and file paths: "posts".
func (k Kind) String() string { return specs[k].name }

// Collection returns the AT Protocol collection of the kind's records:
// "app.bsky.feed.post"; nothing for a raw kind.
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

// ParseKind returns the kind of that name, also a raw one.
func ParseKind(name string) (Kind, error) {
	for i := range specs {
		if specs[i].name == name {
			return Kind(i), nil
		}
	}
	return 0, fmt.Errorf("kind %q is unknown: use one of %s", name, namesOf(AllKinds()))
}

// ParseRawKinds returns the raw kinds of those names, each once, in table order.
// Empty names are passed over: so a list that is empty may be written.
func ParseRawKinds(names []string) (kinds []Kind, err error) {
	for _, name := range names {
		kind, err := ParseKind(name)
		switch {
		case name == "":
		case err != nil || !kind.IsRaw():
			return nil, fmt.Errorf("%q cannot be kept as well: use %s", name, namesOf(RawKinds()))
		default:
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds), nil
}

func namesOf(kinds []Kind) string {
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = kind.String()
	}
	return strings.Join(names, ", ")
}

// KindOfCollection returns the kind whose records live in that collection.
func KindOfCollection(collection string) (Kind, bool) {
	for i := range specs[:firstRaw] {
		if specs[i].collection == collection {
			return Kind(i), true
		}
	}
	return 0, false
}
