package window

import (
	"fmt"
	"strings"
	"time"
)

// Range is a half-open interval [From, To) of any length: the windows that
// begin in it are meant. The zero Range means all windows there are.
type Range struct {
	From time.Time
	To   time.Time
}

// ParseRange reads START/END or START/DURATION, where DURATION is like "24h",
// "5m" or "PT24H". A single window is a range too.
func ParseRange(s string) (Range, error) {
	from, to, ok := strings.Cut(s, "/")
	if !ok {
		return Range{}, fmt.Errorf("range %q has no '/': write START/END or START/DURATION, for example 2026-11-23T00:00:00Z/24h", s)
	}
	start, err := parseTime(from)
	if err != nil {
		return Range{}, fmt.Errorf("range %q: %w", s, err)
	}
	end, err := parseTime(to)
	if err != nil {
		length, err := parseDuration(to)
		if err != nil {
			return Range{}, fmt.Errorf("range %q: %w", s, err)
		}
		end = start.Add(length)
	}
	if !end.After(start) {
		return Range{}, fmt.Errorf("range %q: it ends at %s, not after its start %s", s, end.Format(time.RFC3339), start.Format(time.RFC3339))
	}
	return Range{From: start, To: end}, nil
}

// IsZero reports whether the range means all windows.
func (r Range) IsZero() bool { return r == Range{} }

// Contains reports whether a window is meant: whether it begins in the range.
func (r Range) Contains(w Window) bool {
	return r.IsZero() || !w.Start.Before(r.From) && w.Start.Before(r.To)
}

// everything is how the zero Range is written.
const everything = "everything"

// String returns the range as ParseRange reads it, or "everything".
func (r Range) String() string {
	if r.IsZero() {
		return everything
	}
	return r.From.Format(time.RFC3339Nano) + "/" + r.To.Format(time.RFC3339Nano)
}

// MarshalText returns String, so that JSON documents carry it.
func (r Range) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (r *Range) UnmarshalText(text []byte) (err error) {
	if string(text) == everything {
		*r = Range{}
		return nil
	}
	*r, err = ParseRange(string(text))
	return err
}
